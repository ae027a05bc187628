"""Published weights: which tensor of a file is which of the model, what does not fit, and loading what does."""

import re
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import TYPE_CHECKING, Final, NamedTuple

from archcalc.errors import UsageError
from archcalc.graph import Graph
from archcalc.pytorch.files import Contents, Found, contents, tensors
from archcalc.pytorch.state import Entry, state

if TYPE_CHECKING:
    from torch import Tensor, nn

MISSING, UNEXPECTED, MISMATCHED = "missing", "unexpected", "mismatched"

# What wrappers put before every key: DataParallel, torch.compile, Lightning and its like.
PREFIXES: Final = ("module.", "_orig_mod.", "model.", "net.", "backbone.", "encoder.")
# A DenseNet of before torchvision 0.3 has norm.1 for norm1 within its layers.
_OLD_DENSENET: Final = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")
_COUNTER: Final = ".num_batches_tracked"


class Difference(NamedTuple):
    """A tensor that only the model has (``missing``), only the file (``unexpected``), or both differently (``mismatched``)."""

    key: str
    verdict: str
    wanted: tuple[int, ...] | None
    found: Found | None


class Match(NamedTuple):
    """A file held against a model: which key of the file is which of the model's, and what does not fit.

    ``counters`` are BatchNorm's counts of batches that older files lack; they stay 0, as PyTorch itself lets them.
    """

    contents: Contents
    expected: int
    names: dict[str, str]
    differences: tuple[Difference, ...]
    counters: int
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether all that the model needs is there; what the file has besides is left."""
        return all(difference.verdict == UNEXPECTED for difference in self.differences)


def compare(graph: Graph, path: str) -> Match:
    """Hold a file against a graph, its tensors unread where the format allows. Raises as ``files.contents`` does."""
    return match(state(graph), contents(path))


def load(module: "nn.Module", path: str) -> Match:
    """Give a module the weights of a file. Raises UsageError if the file cannot be read, or does not fit the module."""
    found = attempt(module, path)
    if not found.fits:
        wrong = [difference for difference in found.differences if difference.verdict != UNEXPECTED]
        some = ", ".join(f"{difference.key} ({difference.verdict})" for difference in wrong[:3])
        some += ", ..." if len(wrong) > 3 else ""
        message = f"{path} does not fit the model: of its {found.expected:,} tensors {len(wrong):,} are missing or differ: {some}"
        raise UsageError("E297", message, help="archcalc weights MODEL FILE shows all of them")
    return found


def attempt(module: "nn.Module", path: str) -> Match:
    """Hold a file against a module, and load it if it fits; otherwise the module stays as it is.

    Numbers of another floating-point type are converted. Raises UsageError for a file that cannot be read, and for NaN or infinity.
    """
    import torch

    held = module.state_dict()
    wanted = {key: Entry(tuple(tensor.shape), True, not tensor.is_floating_point()) for key, tensor in held.items()}
    about, values = tensors(path)
    found = match(wanted, about)
    if found.fits:
        _check_finite(path, found.names, values)
        with torch.no_grad():
            for name, key in found.names.items():
                held[key].copy_(values[name])
    return found


def match(wanted: Mapping[str, Entry], about: Contents) -> Match:
    """Find for each tensor of a file the one of the model that it is, by its key, and compare their sizes and kinds of numbers."""
    names, notes = _named(about.tensors, wanted)
    there = {key: name for name, key in names.items()}
    differences = []
    counters = 0
    for key, entry in wanted.items():
        found = about.tensors[there[key]] if key in there else None
        if found is None and key.endswith(_COUNTER):
            counters += 1
        elif found is None:
            differences.append(Difference(key, MISSING, entry.sizes, None))
        elif found.sizes != entry.sizes or _kind(found.dtype) != ("whole" if entry.whole else "real"):
            differences.append(Difference(key, MISMATCHED, entry.sizes, found))
    wrong = {difference.key for difference in differences}
    differences += [Difference(name, UNEXPECTED, None, about.tensors[name]) for name, key in names.items() if key not in wanted]
    fitting = {name: key for name, key in names.items() if key in wanted and key not in wrong}
    return Match(about, len(wanted), fitting, tuple(differences), counters, (*about.notes, *notes))


def _named(keys: Iterable[str], wanted: Mapping[str, Entry]) -> tuple[dict[str, str], list[str]]:
    """Return the model's key for each of the file's, and notes on what was changed to find them."""
    names = {key: key for key in keys}
    notes = []
    before = ("", *PREFIXES, *map("".join, permutations(PREFIXES, 2)))
    used = [prefix for prefix in before if any(key.startswith(prefix) for key in names)]
    best = max(used, key=lambda prefix: _hits(_without(names, prefix), wanted), default="")
    if best:
        names = _without(names, best)
        notes.append(f"the keys begin with {best} there")
    old = {name: found for name, key in names.items() if key not in wanted and (found := _OLD_DENSENET.fullmatch(key))}
    free = wanted.keys() - names.values()
    renamed = {name: found[1] + found[2] for name, found in old.items() if found[1] + found[2] in free}
    if renamed:
        notes.append(f"{len(renamed):,} keys are an old DenseNet's: norm.1 for norm1")
    return names | renamed, notes


def _without(names: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name: key.removeprefix(prefix) for name, key in names.items()}


def _hits(names: Mapping[str, str], wanted: Mapping[str, Entry]) -> int:
    """Return how many of the model's keys are found, -1 where two tensors would have one key."""
    keys = list(names.values())
    return len(wanted.keys() & keys) if len(set(keys)) == len(keys) else -1


def _kind(dtype: str) -> str:
    """Return what kind of numbers a type holds: those of one kind are converted, others are not."""
    if dtype.startswith(("float", "bfloat")):
        return "real"
    return "whole" if dtype.startswith(("int", "uint")) else dtype


def _check_finite(path: str, names: Mapping[str, str], values: "Mapping[str, Tensor]") -> None:
    for name in names:
        tensor = values[name]
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            message = f"{name} of {path} holds numbers that are infinite or none at all"
            raise UsageError("E299", message, help="a training that diverged leaves such weights; take an earlier file")
