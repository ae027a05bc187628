"""The terms that counting conventions are sums of: what can be counted about one layer, each a number over the batch.

A few terms reproduce a tool's slip; their sentence says what they are, and the conventions that use them mark the slip.
"""

# mypy: disable-error-code="no-any-return"
# A term asks for the arguments of the operators that it is used with, and the tests see to it that they are those.

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from archcalc.ops import Op
from archcalc.ops.window import dilated, window_count
from archcalc.shape import Shape


class Site(NamedTuple):
    """A layer as a tool meets it: its operator, the shapes of its input (of all inputs, for a merge) and output.

    ``folded`` tells a convolution and the BatchNorm behind it that an exporter writes as one layer.
    """

    op: Any
    x: Shape
    y: Shape
    folded: bool = False


def macs(site: Site) -> int:
    """Multiply-accumulates of a convolution or linear layer."""
    return site.op.macs(site.x, site.y)


def elementwise(site: Site) -> int:
    """Every operation besides the multiply-accumulates."""
    return site.op.elementwise(site.x, site.y)


def bias(site: Site) -> int:
    """One for each output that has a bias."""
    return site.y.elements * site.op.bias


def folded_bias(site: Site) -> int:
    """One for each output that has a bias, or is given one by the BatchNorm folded into the convolution."""
    return site.y.elements * (site.op.bias or site.folded)


def x(site: Site) -> int:
    """Elements of the input."""
    return site.x.elements


def y(site: Site) -> int:
    """Elements of the output."""
    return site.y.elements


def first_image(site: Site) -> int:
    """Elements of the output for one image."""
    return site.y.elements // site.y.n


def out_of_place(site: Site) -> int | None:
    """Elements of the output of an activation; None where it works in place, which is another operator to the tool."""
    return None if site.op.inplace else site.y.elements


def unfolded(site: Site) -> int:
    """Elements of the output of a BatchNorm that no convolution has taken in."""
    return 0 if site.folded else site.y.elements


def affine(site: Site) -> int:
    """Elements of the output of a normalisation that has a learned scale."""
    learned = site.op.elementwise_affine if hasattr(site.op, "elementwise_affine") else site.op.affine
    return site.y.elements * learned


def untracked(site: Site) -> int:
    """Elements of the output of a BatchNorm that keeps no running statistics, so that it takes its own in evaluation too."""
    return 0 if site.op.track_running_stats else site.y.elements


def params(site: Site) -> int:
    """Learned parameters, once for each image."""
    return site.x.n * site.op.params(site.x)


def window(site: Site) -> int:
    """Pixels in the windows of all outputs, those of the padding too."""
    return site.y.elements * prod(site.op.kernel_size)


def pooled(site: Site) -> int:
    """Elements that a pooling slides over: of the input, or of a padded copy of it where PyTorch cannot pad so by itself."""
    first, *_ = site.op.kept(site.x, site.y, "cuda")
    return first.elements


def whole_map(site: Site) -> int:
    """Elements of the output of a pooling to one pixel."""
    return site.y.elements if site.y.axes == (1, 1) else 0


def tiles(site: Site) -> int | None:
    """Elements of the input of an adaptive pooling whose windows tile it; None where they overlap."""
    tiled = all(i % o == 0 for i, o in zip(site.x.axes, site.y.axes, strict=True))
    return site.x.elements if tiled else None


def rows(site: Site) -> int:
    """Rows that a softmax normalises, each by itself."""
    return site.y.elements // site.y[site.op.dim]


def one_axis_rows(site: Site) -> int:
    """Rows of a LayerNorm that normalised only the first of its dimensions."""
    row = site.x[1:] if site.op.normalized_shape is None else site.op.normalized_shape
    return site.y.elements // row[0]


def span(site: Site) -> int:
    """Channels that a local response normalisation looks at, over all elements."""
    return site.y.elements * site.op.size


def padded(site: Site) -> int:
    """Elements that a local response normalisation averages: size - 1 channels of zeros are laid around the squares."""
    return site.x.elements // site.x.c * (site.x.c + site.op.size - 1)


def pairs(site: Site) -> int:
    """Operations on two tensors, one for each element of their result: the branches are joined one after the other."""
    shapes: tuple[Shape, ...] = site.x  # type: ignore[assignment]  # of a merge
    joined = list(shapes[0])
    work = 0
    for branch in shapes[1:]:
        joined = [max(sizes) for sizes in zip(joined, branch, strict=True)]
        work += prod(joined)
    return work


def by_factor(site: Site) -> int:
    """Elements of the input times the scale factors, rounded down; 0 where a size is given."""
    factors = getattr(site.op, "scale_factor", None)
    return 0 if factors is None else int(site.x.elements * prod(factors))


def by_whole_factor(site: Site) -> int:
    """Elements of the input times the scale factors, each rounded down first; those of the output where a size is given."""
    factors = site.op.scale_factor
    return site.y.elements if factors is None else site.x.elements * prod(map(int, factors))


def unscaled(site: Site) -> int:
    """Elements of the input where scale factors are given: the factors are forgotten."""
    return 0 if getattr(site.op, "scale_factor", None) is None else site.x.elements


def one_map(site: Site) -> int:
    """Height times width where a size is given: channels and batch are forgotten."""
    return 0 if site.op.size is None else prod(site.op.size)


def output_grid(site: Site) -> int:
    """What a transposed convolution would multiply if every output, not every input, met the whole kernel."""
    return site.y.elements * prod(site.op.kernel_size) * (site.x.c // site.op.groups)


def output_grid_groupless(site: Site) -> int:
    """The output grid's products, the groups forgotten unless the layer has as many channels behind it as before."""
    channels = site.op.out_channels // site.op.groups if site.op.out_channels == site.x.c else site.x.c
    return site.y.elements * prod(site.op.kernel_size) * channels


def output_grid_turned(site: Site) -> int:
    """The output grid's products with input and output channels exchanged."""
    return site.y.elements * prod(site.op.kernel_size) * (site.op.out_channels // site.op.groups)


def output_grid_strided(site: Site) -> int:
    """The output grid's products over the strides, which leaves some too many at the edges; groups are forgotten."""
    return site.y.elements * prod(site.op.kernel_size) * site.x.c // prod(site.op.stride)


def twice_grouped(site: Site) -> int:
    """A transposed convolution's products with the output channels divided by the groups twice, rounded down."""
    return site.x.elements * prod(site.op.kernel_size) * (site.op.out_channels // site.op.groups // site.op.groups)


def shrunk_bias(site: Site) -> int:
    """A transposed convolution's biases, over the size that a plain convolution would have given, for one group."""
    if not site.op.bias:
        return 0
    spans = dilated(site.op.kernel_size, site.op.dilation)
    sizes = [window_count(*axis) for axis in zip(site.x.axes, spans, site.op.stride, site.op.padding, strict=True)]
    return site.x.n * (site.op.out_channels // site.op.groups) * prod(sizes)


Term = Callable[[Site], int | None]
TERMS: dict[str, Term] = {
    term.__name__: term
    for term in (
        macs, elementwise, bias, folded_bias, x, y, first_image, out_of_place, unfolded, affine, untracked, params, window,
        pooled, whole_map, tiles, rows, one_axis_rows, span, padded, pairs, by_factor, by_whole_factor, unscaled, one_map,
        output_grid, output_grid_groupless, output_grid_turned, output_grid_strided, twice_grouped, shrunk_bias,
    )
}  # fmt: skip
BIASES = frozenset({"bias", "folded_bias", "shrunk_bias"})  # terms that a ledger shows on a line of their own


class Summand(NamedTuple):
    """A whole number of times a term; ``per_image`` divides it by the batch."""

    times: int
    term: str
    per_image: bool = False

    def at(self, site: Site) -> int | None:
        """Return its value at a layer, None where the tool stops there."""
        value = TERMS[self.term](site)
        if value is None:
            return None
        return self.times * value // (site.y.n if self.per_image else 1)


def parse(rule: str) -> tuple[Summand, ...]:
    """Return the summands of a rule: ``2*macs + bias``, ``3*y - rows``, ``x/n + x`` (``/n``: for one image of the batch).

    >>> parse("3*y - rows")
    (Summand(times=3, term='y', per_image=False), Summand(times=-1, term='rows', per_image=False))
    """
    summands = []
    for part in rule.replace(" - ", " + -").split(" + "):
        times, _, term = part.rpartition("*")
        sign = -1 if term.startswith("-") else 1
        name = term.removeprefix("-").removesuffix("/n")
        if name not in TERMS:
            raise KeyError(f"there is no term {name} in {rule}")
        summands.append(Summand(int(times or sign), name, term.endswith("/n")))
    return tuple(summands)


def folds(op: Op) -> bool:
    """Whether an exporter's constant folding writes a BatchNorm behind this operator as part of it."""
    return type(op).__name__ in ("Conv1d", "Conv2d", "Conv3d")
