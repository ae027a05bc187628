"""A row of numbers as one line of characters, as high as the numbers are large."""

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*#%@"  # each darker than the one before
EAST_ASIAN = ("ja", "ko", "zh")  # whose terminals may give a block two cells


def sparkline(numbers: Sequence[int], width: int, signs: str = ASCII, most: int = 0) -> str:
    """Return the numbers as at most ``width`` characters; each stands for the largest of those that fall to it.

    The highest sign stands for ``most``, or for the largest number where that is more.

    >>> sparkline([0, 1, 5, 9, 5, 0], 6), sparkline([0, 1, 5, 9, 5, 0], 3), sparkline([0, 1, 5, 9, 5, 0], 6, most=18)
    (' .+@+ ', '.@+', ' .-+- ')
    """
    if not numbers:
        return ""
    width = min(width, len(numbers))
    edges = [len(numbers) * place // width for place in range(width + 1)]
    columns = [max(numbers[start:end]) for start, end in pairwise(edges)]
    most = max(*columns, most) or 1
    # What is there at all is seen: only nothing is a blank.
    return "".join(signs[-(-column * (len(signs) - 1) // most)] for column in columns)


def signs_for(stream: Any, terminal: bool, environ: Mapping[str, str] = os.environ) -> str:
    """Return the blocks where a terminal is sure to show each in one cell, else plain ASCII."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    utf = (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
    return BLOCKS if terminal and utf and not locale.lower().startswith(EAST_ASIAN) else ASCII
