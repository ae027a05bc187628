"""How far something is that may take its time: told on a terminal, and only once it has taken a second."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")
PATIENCE_SECONDS = 1.0
BAR = 24


def progress(items: Sequence[Item], label: str, stream: Any, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Item]:
    """Yield the items, and tell on the stream how many are done."""
    start = clock()
    shown = ""
    try:
        for done, item in enumerate(items):
            if (shown or clock() - start >= PATIENCE_SECONDS) and stream.isatty():
                full = BAR * done // len(items)
                shown = f"{label} [{'=' * full}{' ' * (BAR - full)}] {done}/{len(items)}"
                _write(stream, shown)
            yield item
    finally:  # also where the caller stops on the way
        _wipe(stream, shown)


@contextmanager
def waiting(label: str, stream: Any, *, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Tell on the stream, second by second, how long something has run of which nobody knows how far it is."""
    if not stream.isatty():
        yield
        return
    start, ended = time.monotonic(), Event()

    def tell() -> None:
        shown = ""
        while not ended.wait(patience_seconds):
            shown = f"{label} {time.monotonic() - start:.0f} s"
            _write(stream, shown)
        _wipe(stream, shown)

    thread = Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _write(stream: Any, line: str) -> None:
    stream.write(f"\r{line}")
    stream.flush()


def _wipe(stream: Any, line: str) -> None:
    if line:
        _write(stream, " " * len(line) + "\r")
