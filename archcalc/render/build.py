"""What was built, told in a line or two."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from archcalc.render.figures import plain

if TYPE_CHECKING:
    from archcalc.pytorch.weights import Match

_WHAT = {
    ".pt2": "exported program for {mode}, {dtype}, {inputs}",
    ".onnx": "ONNX opset 18 for eval, {dtype}, {inputs}",
    ".safetensors": "weights, {dtype}",
}


def note(file: str, about: Mapping[str, str], match: "Match | None") -> str:
    """Return what a file holds, and what its weights are; ``match`` says what of another file they were taken from."""
    lines = [f"{plain(file)}: {plain(about['model'])}, {_WHAT[PurePath(file).suffix.lower()].format_map(about)}"]
    if match is None:
        lines.append(f"weights: drawn with {about['weights']}")
    else:
        lines += [f"weights: {len(match.names):,} tensors of {plain(about['weights'])}", *match.notes]
        if match.differences:
            lines.append(f"{len(match.differences):,} tensors there that the model does not have were left")
    return "\n".join(lines)
