"""Files of weights: safetensors, whose header is read without PyTorch, and PyTorch's own, of which nothing is ever executed.

Files come from anywhere. Whatever one holds, it is read as tensors or refused with an ArchcalcError.
"""

import os
import struct
import warnings
import zipfile
from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import msgspec

from archcalc.errors import MissingError, UsageError
from archcalc.pytorch.missing import need_torch

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS, ZIP, LEGACY = "safetensors", "torch zip", "torch legacy"
MOST_PACKED: Final = 2**20  # bytes that an archive may hold in few: code, names
MOST_HEADER: Final = 100_000_000  # bytes: the bound of the safetensors library itself
# Under what name training scripts put the state_dict among other things.
WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "net", "model_ema")

# The types of safetensors' header as PyTorch calls them, and their bytes.
_TYPES: dict[str, tuple[str, int]] = {
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "U16": ("uint16", 2),
    "I16": ("int16", 2),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "U32": ("uint32", 4),
    "I32": ("int32", 4),
    "F32": ("float32", 4),
    "U64": ("uint64", 8),
    "I64": ("int64", 8),
    "F64": ("float64", 8),
    "C64": ("complex64", 8),
}


class Found(NamedTuple):
    """A tensor of a file: its sizes, and its type in PyTorch's words."""

    sizes: tuple[int, ...]
    dtype: str


class Contents(NamedTuple):
    """What a file holds. ``read`` is ``header`` where the tensors' values were not looked at, else ``whole``.

    ``notes`` say what stood around the tensors.
    """

    format: str
    read: str
    tensors: dict[str, Found]
    notes: tuple[str, ...] = ()


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def contents(path: str) -> Contents:
    """Return what tensors a file holds, without their values where its format allows: safetensors, and PyTorch's since 1.6.

    Raises UsageError for a file that cannot be read, MissingError where PyTorch is needed for it and not there.
    """
    format = _format(path)
    if format == SAFETENSORS:
        return Contents(format, "header", _header(path))
    tensors, notes = _unpickled(path, format, values=False)
    return Contents(format, "header" if format == ZIP else "whole", _described(tensors), notes)


def tensors(path: str) -> "tuple[Contents, dict[str, Tensor]]":
    """Return what tensors a file holds, and the tensors themselves, on the CPU. Raises as ``contents`` does."""
    format = _format(path)
    if format == SAFETENSORS:
        header = _header(path)
        load = _safetensors().load_file
        try:
            found = load(path)
        except Exception as error:  # what its reader refuses beyond what the header shows, an exception of its own kind
            _broken(path, str(error))
        return Contents(format, "whole", header), found
    found, notes = _unpickled(path, format, values=True)
    return Contents(format, "whole", _described(found), notes), found


def packed(state: "Mapping[str, Tensor]") -> bytes:
    """Return tensors as a safetensors file: the same bytes for the same tensors. Raises MissingError without the library."""
    # Tied parameters stand under each of their keys; the format wants them apart.
    apart = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in state.items()}
    # What other readers look for; a second entry would stand before or behind it as chance has it.
    content: bytes = _safetensors().save(apart, {"format": "pt"})
    return content


def _format(path: str) -> str:
    """Return a file's format by how it begins. Raises UsageError if it is none that holds weights."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError("E200", f"cannot read {path}: {reason}") from None
    if start[:4] == b"PK\x03\x04":
        return ZIP
    if start[8:9] == b"{":
        return SAFETENSORS
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return LEGACY
    what = "is empty" if not start else "does not begin as one of them"
    message = f"weights are read from safetensors and from PyTorch's files, and {path} {what}"
    raise UsageError("E296", message, help="torch.save(model.state_dict(), FILE) writes one")


def _header(path: str) -> dict[str, Found]:
    """Return the tensors that a safetensors header describes, checked against the file's size as its library does."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(MOST_HEADER, size - 8):
            _broken(path, f"its header says that it has {length:,} bytes; the file has {size:,}, and {MOST_HEADER:,} are let in")
        text = file.read(length)
    try:
        raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        raw.pop("__metadata__", None)
        entries = {name: msgspec.json.decode(entry, type=_Entry) for name, entry in raw.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _broken(path, f"its header cannot be read: {error}")
    _check_offsets(path, entries, size - 8 - length)
    return {name: Found(tuple(entry.shape), _TYPES[entry.dtype][0]) for name, entry in entries.items()}


def _check_offsets(path: str, entries: Mapping[str, _Entry], size: int) -> None:
    """Refuse a header whose tensors do not lie one behind the other and fill the file."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        known = _TYPES.get(entry.dtype)
        if known is None:
            _broken(path, f"{name[:80]} has the type {entry.dtype[:40]}, which is not known")
        begin, stop = entry.data_offsets
        if begin != end or stop < begin or min(entry.shape, default=0) < 0 or prod(entry.shape) * known[1] != stop - begin:
            _broken(path, f"{name[:80]} does not stand where its header says")
        end = stop
    if end != size:
        _broken(path, f"its tensors end at byte {end:,} of {size:,}")


def _unpickled(path: str, format: str, *, values: bool) -> "tuple[dict[str, Tensor], tuple[str, ...]]":
    """Return the tensors of one of PyTorch's files and notes on what stood around them; on the meta device without ``values``."""
    need_torch("E310", "reading PyTorch's own files needs")
    import torch

    if format == ZIP:
        _check_zip(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below, once
            # weights_only: a pickle can hold code, and this unpickler calls nothing but what makes tensors and containers.
            found = torch.load(path, map_location="cpu" if values else "meta", weights_only=True, mmap=format == ZIP and not values)
    except Exception as error:  # a damaged file can make the reader fail in any way
        _refuse(path, str(error))
    notes = []
    for _ in WRAPPERS:
        inside = next((name for name in WRAPPERS if isinstance(found, dict) and isinstance(found.get(name), dict)), None)
        if inside is None:
            break
        found = found[inside]
        notes.append(f"the state_dict stands under {inside}")
    if not isinstance(found, dict):
        _empty(path, type(found).__name__)
    kept = {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor) and _is_plain(value)}
    if not kept:
        inner = [str(name)[:80] for name, value in found.items() if isinstance(value, dict) and _holds_tensors(value)]
        if inner:
            message = f"{path} holds no weights of its own, but there are some under {', '.join(inner[:6])}"
            raise UsageError("E296", message, help="torch.save(checkpoint[NAME], FILE) saves one of these alone")
        _empty(path, "sparse or quantised tensors" if _holds_tensors(found) else "a mapping without tensors")
    others = [str(name) for name in found if str(name) not in kept]
    if others:
        what = "it is no plain tensor" if len(others) == 1 else "they are no plain tensors"
        notes.append(f"left out, since {what}: {', '.join(others[:6])}")
    return kept, tuple(notes)


def _holds_tensors(mapping: Mapping[Any, object]) -> bool:
    import torch

    return any(isinstance(value, torch.Tensor) for value in mapping.values())


def _is_plain(tensor: "Tensor") -> bool:
    """Whether a tensor is an array of numbers: neither sparse nor quantised."""
    return str(tensor.layout) == "torch.strided" and not tensor.is_quantized


def _check_zip(path: str) -> None:
    """Refuse an archive that would grow when it is read: PyTorch packs code, but stores tensors as they are."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = sum(entry.file_size for entry in archive.infolist())
    except Exception as error:  # a damaged archive can make the reader fail in any way
        _broken(path, str(error))
    size = os.path.getsize(path)
    if sizes > 2 * size + MOST_PACKED:
        _broken(path, f"the archive says that it holds {sizes:,} bytes, and has {size:,}")


def _described(tensors: "Mapping[str, Tensor]") -> dict[str, Found]:
    return {name: Found(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in tensors.items()}


def _refuse(path: str, reason: str) -> NoReturn:
    """Raise the error of PyTorch's reader in our words."""
    if "weights_only" in reason or "Weights only" in reason:
        if "TorchScript" in reason:
            message = f"{path} is a TorchScript program, not weights"
            way_out = "torch.save(model.state_dict(), FILE) writes weights"
        else:
            message = f"{path} holds more than tensors, and unpickling that could run code: nothing of it was read"
            way_out = "who trusts the file saves its state_dict alone: torch.save(model.state_dict(), FILE)"
        raise UsageError("E298", message, help=way_out)
    _broken(path, reason)


def _broken(path: str, reason: str) -> NoReturn:
    reason = " ".join(reason.split())[:200].rstrip(".") or "it ends too early"
    raise UsageError("E295", f"{path} cannot be read as weights: {reason}", help="download or save it once more")


def _empty(path: str, what: str) -> NoReturn:
    raise UsageError("E296", f"{path} holds no weights but {what}", help="torch.save(model.state_dict(), FILE) writes some")


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise MissingError("E311", "safetensors is not installed", help="pip install 'archcalc[torch]'") from None
    return safetensors.torch
