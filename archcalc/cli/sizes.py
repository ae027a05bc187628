"""Sizes in bytes on the command line: ``24GiB``, ``512MB``, ``8519680``."""

from typing import Any

import click

from archcalc.errors import UsageError

MOST = 2**60  # bytes: an exbibyte, which no device has


class Size(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A number of bytes, with a unit of powers of 1024 or of 1000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        from archcalc.units import parse_bytes

        found = parse_bytes(str(value))
        if found > MOST:
            raise UsageError("E230", f"{value} is more than any device has", help="such as 24GiB")
        return found
