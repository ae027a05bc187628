"""A progress bar for what may take its time: on a terminal, and only once it has taken a second."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
PATIENCE_SECONDS = 1.0
BAR = 24


def progress(items: Sequence[Item], label: str, stream: Any, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Item]:
    """Yield the items, and tell on the stream how many are done."""
    start = clock()
    shown = False
    for done, item in enumerate(items):
        if (shown or clock() - start >= PATIENCE_SECONDS) and stream.isatty():
            shown = True
            full = BAR * done // len(items)
            stream.write(f"\r{label} [{'=' * full}{' ' * (BAR - full)}] {done}/{len(items)}")
            stream.flush()
        yield item
    if shown:
        stream.write("\r" + " " * (len(label) + BAR + 4 + len(f"{len(items)}/{len(items)}")) + "\r")
        stream.flush()
