"""What an analysis finds: one row per layer and their sums, as plain data."""

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from archcalc.errors import one_line

if TYPE_CHECKING:
    from fractions import Fraction

Axes = tuple[int, ...]


class Layer(msgspec.Struct, frozen=True):
    """The numbers of one layer. Counts are over the batch, except params, buffers, neurons and connections, which have none.

    ``flops`` is every arithmetic operation, 2*macs and the element-wise work; ``saved_bytes`` is what autograd keeps for this layer
    in training (a storage that an earlier layer keeps already is not counted again).
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Axes, ...]
    output_shape: Axes
    params: int
    trainable: int
    buffers: int
    macs: int
    flops: int
    elementwise_flops: int
    output_bytes: int
    saved_bytes: int
    receptive_field: tuple[int, ...] | None
    jump: "tuple[Fraction | int, ...] | None"
    padding: tuple[int, ...] | None
    paths_agree: bool
    neurons: int
    connections: int
    shares: str | None = None


class Totals(msgspec.Struct, frozen=True):
    """Sums over the layers; ``trainable`` leaves out frozen parameters."""

    params: int
    trainable: int
    buffers: int
    macs: int
    flops: int
    elementwise_flops: int
    output_bytes: int
    saved_bytes: int
    neurons: int
    connections: int


class Report(msgspec.Struct, frozen=True):
    """The analysis of one graph. ``input`` holds the shape of each input, batch first.

    ``outputs`` names the layers whose tensors leave the network: ``output`` is that of the main path, the others are side heads.
    """

    model: str
    title: str
    input: dict[str, Axes]
    dtype: str
    layers: tuple[Layer, ...]
    totals: Totals
    outputs: dict[str, str]

    def __repr__(self) -> str:
        totals = f"{self.totals.params:,} params, {self.totals.macs:,} MACs"
        return f"<Report {one_line(self.model)}: {len(self.layers):,} layers; {totals}; {self.dtype}>"

    def _repr_html_(self) -> str:
        from archcalc.render.html import report_html  # notebooks ask the object itself for its picture

        return report_html(self)


def sums(layers: tuple[Layer, ...]) -> Totals:
    """Return the totals of some rows, from the rows' own numbers."""
    columns = zip(*map(_summed, layers), strict=True) if layers else [()] * len(Totals.__struct_fields__)
    return Totals(*map(sum, columns))


_summed = attrgetter(*Totals.__struct_fields__)
