"""The line on a terminal that says what is being timed, and how well its time is known by now."""

import os
import time
from collections.abc import Callable
from typing import Any

from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.analysis.timing.sampling import Sampler
from archcalc.render.figures import cells, plain
from archcalc.render.terminal import fold, screen

EVERY_SECONDS = 0.2


class Ticker:
    """Writes over one line of a stream, if that is a terminal, and wipes it at the end."""

    def __init__(self, cases: int, stream: Any, clock: Callable[[], float] = time.monotonic):
        self.cases, self.stream, self.clock = cases, stream, clock
        self.seen: dict[Configuration, None] = {}
        self.told = clock()
        self.width = 0  # cells of what stands there now

    def tell(self, case: Case, sampler: Sampler) -> None:
        """Hear of a burst; now and then the line is written anew."""
        self.seen[case.configuration] = None
        if self.clock() - self.told < EVERY_SECONDS or not self.stream.isatty():
            return
        self.told = self.clock()
        state = f"{len(sampler.samples):,} samples" if sampler.samples else "warming up"
        line = plain(f"{len(self.seen)}/{self.cases} {state}, {sampler.elapsed:.1f} s: {case.configuration.label}")
        columns = screen(self.stream, os.environ).width or 80
        self._write(fold(line, columns - 1)[0])  # a line that breaks cannot be written over

    def __enter__(self) -> "Ticker":
        return self

    def __exit__(self, *_: object) -> None:
        if self.width:
            self._write("")
            self.stream.write("\r")
            self.stream.flush()

    def _write(self, text: str) -> None:
        taken = cells(text)
        self.stream.write(f"\r{text}{'':{max(0, self.width - taken)}}")
        self.stream.flush()
        self.width = taken
