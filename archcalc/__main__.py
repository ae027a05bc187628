"""The process of a command: what the installed ``archcalc`` starts, and ``python -m archcalc``."""

import gc
import sys
from typing import NoReturn


def script() -> NoReturn:
    """Run the command line and end the process at once: to take it apart costs a small command a tenth of its time."""
    import contextlib
    import os

    code = _run()
    for stream in (sys.stdout, sys.stderr):
        # It may be closed, full or missing: what there was to say of that has been said.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)


def _run() -> str | int | None:
    """Run the command line and return its exit code. Most commands make no cycles worth a sweep, nor do their imports."""
    gc.disable()
    from archcalc.cli import main

    try:
        main()
    except SystemExit as end:
        return end.code


if __name__ == "__main__":
    sys.exit(_run())
