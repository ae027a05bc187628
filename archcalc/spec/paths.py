"""Names as paths: what a step is called in its scope, and the tensor that each path stands for."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from archcalc.errors import SpecError, did_you_mean
from archcalc.spec.source import Scalar
from archcalc.spec.steps import Common
from archcalc.spec.values import Name
from archcalc.spec.whitelist import shown

LONGEST_PATH = 500  # characters: a path is repeated in every layer below it


class Scope:
    """A path and the names taken in it."""

    __slots__ = ("counts", "numbered", "path", "position", "written")

    def __init__(self, path: str, written: frozenset[str], numbered: bool = False):
        self.path = path
        self.written = written
        self.numbered = numbered
        self.position = 0
        self.counts: dict[str, int] = {}

    def name(self, short: str, given: str | None, taken: Mapping[str, int]) -> str:
        """Return the full path of the next step: its given name, or its position, or its short name and count."""
        position = self.position
        self.position += 1
        if short[-1].isdigit():
            short += "_"  # relu6_1 and conv3x3_1, not relu61
        count = self.counts[short] = self.counts.get(short, 0) + 1
        if given is not None:
            return self.path + given
        if self.numbered:
            return f"{self.path}{position}"
        count = _unwritten(self.written, short, count)
        while f"{self.path}{short}{count}" in taken:
            count = _unwritten(self.written, short, count + 1)
        self.counts[short] = count
        return f"{self.path}{short}{count}"


@lru_cache(maxsize=4096)
def _unwritten(written: frozenset[str], short: str, count: int) -> int:
    """Return the first count from this one on whose name is not written out; kept, since each round of a repeat asks it anew."""
    while f"{short}{count}" in written:
        count += 1
    return count


class Paths:
    """The tensor at each path: those of inputs and steps, and where blocks, groups, heads and repeats end."""

    def __init__(self) -> None:
        self.points: dict[str, int] = {}
        self._steps: dict[str, Scalar] = {}  # which step took the path

    def claim(self, path: str, common: Common) -> None:
        """Raise SpecError if the path is taken, or too long."""
        if path in self.points:
            if self._steps.get(path) is common.place:
                way_out = "it runs more than once: let its name count, as in conv{i}"
            elif path in self._steps:
                way_out = f"the first is on line {self._steps[path].line}; names are unique within a scope"
            else:
                way_out = "it is an input"
            raise SpecError("E054", f"two steps are named {path}", help=way_out, place=common.place.place())
        if len(path) > LONGEST_PATH:
            message = f"the path of this step is longer than {LONGEST_PATH} characters"
            raise SpecError("E031", message, help="shorter names, or fewer scopes in each other", place=common.place.place())

    def mark(self, path: str, index: int, common: Common) -> None:
        """Note that a path stands for this tensor."""
        self.points[path] = index
        self._steps[path] = common.place

    def resolve(self, name: Name, wanted: str, scope: Scope, names: Mapping[str, Any]) -> str:
        """Return the full path of the earlier step that ``name`` calls ``wanted``: in this scope, or in the ones around it."""
        path = scope.path
        while path + wanted not in self.points:
            if not path:
                raise self._unknown(name, wanted, scope, names)
            path = path[: path.rstrip(".").rfind(".") + 1]
        return path + wanted

    def names_step(self, name: str) -> bool:
        """Whether some step, in whatever scope, bears this name."""
        return any(path == name or path.endswith("." + name) for path in self.points)

    def _unknown(self, name: Name, wanted: str, scope: Scope, names: Mapping[str, Any]) -> SpecError:
        if wanted in scope.written:
            way_out = f"{wanted} stands further down, or its `if` is false here; only what ran before can be named"
        elif wanted in names:
            way_out = (
                f'{wanted} is a value here, {shown(names[wanted])}, and no step; in braces a name may hold it: "enc{{{wanted}}}"'
            )
        else:
            inside = {path.removeprefix(scope.path) for path in self.points}
            alike = {path for path in inside if path.count(".") == wanted.count(".")}
            way_out = did_you_mean(wanted, alike or inside) or "only a step further up can be named; paths look like layer1.0.conv1"
        return SpecError("E055", f"no earlier step is named {wanted}", help=way_out, place=name.tree.place())
