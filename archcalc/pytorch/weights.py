"""Published weights: which tensor of a file is which of the model, what does not fit, and loading what does."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

from archcalc.errors import UsageError
from archcalc.graph import Graph
from archcalc.pytorch.files import Contents, Found, contents, tensors
from archcalc.pytorch.state import Entry, state

if TYPE_CHECKING:
    from torch import Tensor, nn

MISSING, UNEXPECTED, MISMATCHED = "missing", "unexpected", "mismatched"

# What wrappers put before every key: DataParallel, torch.compile, Lightning and its like.
PREFIXES: Final = ("module", "_orig_mod", "model", "net", "backbone", "encoder")
MOST_PREFIXES: Final = 6  # of them before one key
# A DenseNet of before torchvision 0.3 has norm.1 for norm1 within its layers.
_OLD_DENSENET: Final = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")
_COUNTER: Final = ".num_batches_tracked"


class Difference(NamedTuple):
    """A tensor that only the model has (``missing``), only the file (``unexpected``), or both differently (``mismatched``)."""

    key: str
    verdict: str
    wanted: Entry | None
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

    Numbers of another floating-point type are converted. Raises UsageError for a file that cannot be read, for NaN or infinity, and
    where tensors that are one in the module differ.
    """
    import torch

    held = module.state_dict(keep_vars=True)
    holders: dict[int, str] = {}  # tied parameters are one object
    wanted = {}
    for key, tensor in held.items():
        learned, holder = isinstance(tensor, torch.nn.Parameter), holders.setdefault(id(tensor), key)
        wanted[key] = Entry(tuple(tensor.shape), learned, holder, whole=not tensor.is_floating_point())
    about, values = tensors(path)
    found = match(wanted, about)
    if found.fits:
        _check_finite(path, [name for name, key in found.names.items() if not wanted[key].whole], values)
        _check_tied(path, found.names, wanted, values)
        with torch.no_grad():
            for name, key in found.names.items():
                value = values[name]
                if wanted[key].whole:  # a count that float16 cannot hold is infinite there: the most that it can is nearer
                    value = value.double().nan_to_num(posinf=torch.finfo(torch.float16).max)
                held[key].copy_(value)
    return found


def match(wanted: Mapping[str, Entry], about: Contents) -> Match:
    """Find for each tensor of a file the one of the model that it is, by its key, and compare their sizes and kinds of numbers.

    A tied tensor is there under any of its keys: ``safetensors.torch.save_model`` writes one of them. Counts of batches may be real
    numbers, since who casts a checkpoint to half precision often casts them too.
    """
    names, notes = _named(about.tensors, wanted)
    there = {key: name for name, key in names.items() if key in wanted}
    holders = {wanted[key].holder for key in there}
    differences = []
    tied, counters = [], 0
    for key, entry in wanted.items():
        found = about.tensors[there[key]] if key in there else None
        if found is None and entry.holder in holders:
            tied.append(key)
        elif found is None and key.endswith(_COUNTER):
            counters += 1
        elif found is None:
            differences.append(Difference(key, MISSING, entry, None))
        elif found.sizes != entry.sizes or _kind(found.dtype) not in ("real", entry.kind):
            differences.append(Difference(key, MISMATCHED, entry, found))
    if tied:
        notes.append(f"tied to others, under whose keys they stand there: {', '.join(tied[:6])}{', ...' if len(tied) > 6 else ''}")
    wrong = {difference.key for difference in differences}
    differences += [Difference(name, UNEXPECTED, None, about.tensors[name]) for name, key in names.items() if key not in wanted]
    fitting = {name: key for name, key in names.items() if key in wanted and key not in wrong}
    return Match(about, len(wanted), fitting, tuple(differences), counters, (*about.notes, *notes))


def _named(keys: Iterable[str], wanted: Mapping[str, Entry]) -> tuple[dict[str, str], list[str]]:
    """Return the model's key for each of the file's, and notes on what was changed to find them."""
    names = {key: key for key in keys}
    notes = []
    hits = Counter(prefix for key in names for prefix in _prefixes(key) if key.removeprefix(prefix) in wanted)
    best = max(hits, key=hits.__getitem__, default="")
    without = {key: key.removeprefix(best) for key in names}
    if best and len(set(without.values())) == len(names):  # no two tensors would have one key
        names = without
        notes.append(f"the keys begin with {best} there")
    old = {name: found for name, key in names.items() if key not in wanted and (found := _OLD_DENSENET.fullmatch(key))}
    free = wanted.keys() - names.values()
    renamed = {name: found[1] + found[2] for name, found in old.items() if found[1] + found[2] in free}
    if renamed:
        notes.append(f"{len(renamed):,} keys are an old DenseNet's: norm.1 for norm1")
    return names | renamed, notes


def _prefixes(key: str) -> Iterator[str]:
    """Yield what wrappers may have put before a key, from nothing to the longest."""
    parts = takewhile(PREFIXES.__contains__, key.split(".", MOST_PREFIXES)[:-1])
    return accumulate((f"{part}." for part in parts), initial="")


def _kind(dtype: str) -> str:
    """Return what kind of numbers a type holds: those of one kind are converted into each other, and real ones into whole."""
    if dtype.startswith(("float", "bfloat")):
        return "real"
    return "whole" if dtype.startswith(("int", "uint")) else dtype


def _check_tied(path: str, names: Mapping[str, str], wanted: Mapping[str, Entry], values: "Mapping[str, Tensor]") -> None:
    firsts: dict[str, str] = {}
    for name, key in names.items():
        first = firsts.setdefault(wanted[key].holder, name)
        if first != name and (values[first] != values[name]).any():
            message = f"{first} and {name} are one tensor in the model, but differ in {path}"
            raise UsageError("E297", message, help="the file is of a model that does not share them")


def _check_finite(path: str, names: Iterable[str], values: "Mapping[str, Tensor]") -> None:
    for name in names:
        tensor = values[name]
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            message = f"{name} of {path} holds numbers that are infinite or none at all"
            raise UsageError("E299", message, help="a training that diverged leaves such weights; take an earlier file")
