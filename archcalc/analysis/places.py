"""Where the layers of several models stand among the rows that they share: by that it is known whether two of them read the same.

A layer stands in its own row if all the models that are held against each other have one there. A layer that only some of them have
is passed over: it stands where what it reads does, and of several inputs where the last one does. So if one model has a BatchNorm
more, what comes behind it reads the convolution in both; if it has a shortcut more, the main path in both.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archcalc.analysis.compare import Part

Models = tuple[int, ...]  # those that are held against each other, by number


def matched(names: Sequence[Iterable[str]]) -> list[tuple[str | None, ...]]:
    """Return the names of some models side by side: the same ones, then those that are left, in their order."""
    rows: list[list[str | None]] = []
    for count, own in enumerate(names):
        left = dict.fromkeys(own)
        for row in rows:
            row.append(next((name for name in row if name in left), None))
            left.pop(row[-1] or "", None)
        rest = iter(left)
        for row in rows:
            row[-1] = row[-1] or next(rest, None)
        rows += [[*(None,) * count, name] for name in rest]
    return [tuple(row) for row in rows]


class Places:
    """Where everything stands, for the models that are held against each other: layers in the rows from 0 on, inputs below 0."""

    def __init__(self, inputs: Sequence[Iterable[str]], columns: "Sequence[tuple[Part | None, ...]]"):
        self.inputs = matched(inputs)
        self.columns = columns
        self.rows: list[dict[str, int]] = [{} for _ in inputs]
        for row, column in enumerate(columns):
            for model, part in enumerate(column):
                if part is not None:
                    self.rows[model][part.name] = row
        self.known: dict[Models, dict[int, dict[str, int]]] = {}

    def of(self, models: Models) -> dict[int, dict[str, int]]:
        """Return, for each of the models, where everything in it stands."""
        if models not in self.known:
            found: dict[int, dict[str, int]] = {model: {} for model in models}
            for place, names in enumerate(self.inputs, start=-len(self.inputs)):
                for model, own in found.items():
                    if (name := names[model]) is not None:
                        own[name] = place
            for place, column in enumerate(self.columns):
                everywhere = self._everywhere(place, models)
                for model, own in found.items():
                    if (part := column[model]) is not None:
                        own[part.name] = place if everywhere else max(own[name] for name in part.inputs)
            self.known[models] = found
        return self.known[models]

    def read(self, models: Models, inputs: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        """Return what each of the models reads, as names; none where all read the same."""
        found = self.of(models)
        places = [tuple(found[model][name] for name in names) for model, names in zip(models, inputs, strict=True)]
        return [tuple(self._name(place, models) for place in own) for own in places] if len(set(places)) > 1 else []

    def held(self, models: Models, shares: Sequence[str | None]) -> list[str | None]:
        """Return whose parameters each of the models uses, as names; a holder that the others lack keeps its own."""
        rows = [None if holder is None else self.rows[model][holder] for model, holder in zip(models, shares, strict=True)]
        return [
            self._name(row, models) if row is not None and self._everywhere(row, models) else holder
            for row, holder in zip(rows, shares, strict=True)
        ]

    def _everywhere(self, row: int, models: Models) -> bool:
        return all(self.columns[row][model] is not None for model in models)

    def _name(self, place: int, models: Models) -> str:
        """Return what stands in a place, by its name in the first of the models that has it."""
        if place < 0:
            return next(name for model in models if (name := self.inputs[place][model]) is not None)
        return next(part.name for model in models if (part := self.columns[place][model]) is not None)


def having(parts: Sequence[object]) -> Models:
    """Return the models that have a part in a row."""
    return tuple(model for model, part in enumerate(parts) if part is not None)
