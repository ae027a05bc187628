"""Normalisations; fields as in torch.nn.

Element-wise work is counted in evaluation mode: one for each operation on numbers that depend on the input. A mean over a row of
l takes l - 1 additions and a division; what is fixed once training is over (the root of BatchNorm's running variance) is free.
"""

from math import prod

from archcalc.errors import ShapeError
from archcalc.formula import exact, formula
from archcalc.ops.base import Kept, Op, Stored, View, Weightless, affine, need_rank, undivided
from archcalc.ops.code import Code, made
from archcalc.ops.fields import Count, Flag, OptionalReal, OptionalTail, Positive, Real
from archcalc.ops.kernels import NEW, SAME, Gradient, Kernel, apply
from archcalc.shape import Shape

STATISTIC_BYTES = 4  # on CUDA, means and deviations of batches and layers are float32 where activations are of 16 bits


@formula
def channel_params(c: int, affine: int) -> int:
    """A learned scale and a learned shift for each channel."""
    return 2 * c * affine


@formula
def running_statistics(c: int) -> int:
    """A running mean and a running variance for each channel, and the number of batches seen."""
    return 2 * c + 1


@formula
def fixed_norm_work(y: Shape, affine: int) -> int:
    """Subtract the mean, divide by the deviation; multiply by the scale, add the shift."""
    return (2 + 2 * affine) * prod(y)


@formula
def norm_work(y: Shape, rows: int, affine: int, bias: int) -> int:
    """Mean 1, differences 1, squares 1, their mean 1, division 1; per row the small number added and the root; scale and shift."""
    return (5 + affine + bias) * prod(y) + 2 * rows


@formula
def row_params(row: tuple[int, ...], affine: int, bias: int) -> int:
    """A learned scale and a learned shift for each element of a row."""
    return prod(row) * (affine + bias)


@formula
def row_count(y: Shape, row: tuple[int, ...]) -> int:
    """Rows that are normalised each by itself."""
    return exact(prod(y), prod(row))


@formula
def group_count(n: int, g: int) -> int:
    """Groups of channels in the batch, each normalised by itself."""
    return n * g


@formula
def padded_squares(e: int, c: int, k: int) -> int:
    """The squares, and k - 1 channels of zeros around them."""
    return exact(e, c) * (c + k - 1)


@formula
def response_norm_work(y: Shape, k: int) -> int:
    """A square; k - 1 additions across channels; times alpha/k, plus the constant, to the power beta; the division."""
    return (k + 4) * prod(y)


def _statistics(rows: int, rules: str) -> tuple[Kept, Kept]:
    """Return a mean and a deviation for each row; on the CPU they are of the activations' type."""
    item_bytes = STATISTIC_BYTES if rules == "cuda" else None
    return Kept("mean", rows, item_bytes, widens=True), Kept("deviation", rows, item_bytes, widens=True)


class _Norm(Op, frozen=True):
    """Takes off a mean and divides by a deviation; the shape stays."""

    begins = ("weight", "bias")

    def macs(self, x: Shape, y: Shape) -> int:
        return 0

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return None

    def neurons(self, x: Shape, y: Shape) -> int:
        return 0  # scales and shifts belong to the units of the layer before

    def connections(self, x: Shape, y: Shape) -> int:
        return 0


class _BatchNorm(_Norm, frozen=True):
    """Normalises each channel over the batch: in training by its own statistics, in evaluation by the running ones."""

    short = "bn"
    geometry = Op.geometry - {"eps", "momentum"}  # two operators that share running statistics must reckon them alike
    eps: Positive = 1e-5
    momentum: OptionalReal = 0.1
    affine: Flag = True
    track_running_stats: Flag = True

    def params(self, x: Shape) -> int:
        return channel_params(c=x.c, affine=self.affine)

    def buffers(self, x: Shape) -> int:
        return running_statistics(c=x.c) if self.track_running_stats else 0

    def state(self, x: Shape) -> tuple[Stored, ...]:
        running = ("running_mean", (x.c,)), ("running_var", (x.c,)), ("num_batches_tracked", ())
        statistics = [Stored(name, sizes, learned=False) for name, sizes in running if self.track_running_stats]
        return (*(affine((x.c,), x.c, True) if self.affine else ()), *statistics)

    def elementwise(self, x: Shape, y: Shape) -> int:
        if self.track_running_stats:
            return fixed_norm_work(y=y, affine=self.affine)
        return norm_work(y=y, rows=x.c, affine=self.affine, bias=self.affine)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements), *_statistics(x.c, rules))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        _, *statistics = self.kept(x, y, rules)  # in evaluation the running ones are read instead
        return apply("batch_norm", self, x, y, rules, tuple(statistics) if training or not self.track_running_stats else ())

    def code(self, x: Shape) -> Code:
        return Code(made(self, f"nn.{type(self).__name__}", x.c))


class BatchNorm1d(_BatchNorm, frozen=True):
    """Batch normalisation of features (N, C) or sequences (N, C, L); fields as in torch.nn.BatchNorm1d."""

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 2, 3)
        return x


class BatchNorm2d(_BatchNorm, frozen=True):
    """Batch normalisation of feature maps (N, C, H, W) (Ioffe and Szegedy 2015); fields as in torch.nn.BatchNorm2d."""

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        return x


class LayerNorm(_Norm, frozen=True):
    """Normalises the last dimensions of each image by themselves (Ba et al. 2016); fields as in torch.nn.LayerNorm.

    ``normalized_shape`` names those dimensions; left out, it is everything but the batch.
    """

    short = "ln"
    normalized_shape: OptionalTail = None
    eps: Positive = 1e-5
    elementwise_affine: Flag = True
    bias: Flag = True

    def _row(self, x: Shape) -> tuple[int, ...]:
        return x[1:] if self.normalized_shape is None else self.normalized_shape

    def output(self, x: Shape) -> Shape:
        row = self._row(x)
        if row != x[1:][-len(row) :]:
            sizes = "x".join(map(str, row))
            way_out = f"leave normalized_shape out: it is then {list(x[1:])}"
            if row == (x.c,):  # ConvNeXt's, which torch.nn has for channels last alone
                way_out = (
                    "GroupNorm: {num_groups: 1} has the same parameters and shape, but one mean for all pixels, not one for each"
                )
            message = f"LayerNorm normalises {sizes}, but its input is {x}, which does not end so"
            raise ShapeError("E106", message, help=way_out)
        return x

    def params(self, x: Shape) -> int:
        return row_params(row=self._row(x), affine=self.elementwise_affine, bias=self.bias and self.elementwise_affine)

    def buffers(self, x: Shape) -> int:
        return 0

    def state(self, x: Shape) -> tuple[Stored, ...]:
        row = tuple(self._row(x))
        learned = Stored("weight", row), Stored("bias", row)
        return learned[: (1 + self.bias) * self.elementwise_affine]

    def elementwise(self, x: Shape, y: Shape) -> int:
        rows = row_count(y=y, row=self._row(x))
        return norm_work(y=y, rows=rows, affine=self.elementwise_affine, bias=self.bias and self.elementwise_affine)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        rows = row_count(y=y, row=self._row(x))
        return (Kept("input", x.elements), *_statistics(rows, rules))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("layer_norm", self, x, y, rules, self.kept(x, y, rules)[1:])

    def code(self, x: Shape) -> Code:
        return Code(made(self, "nn.LayerNorm", list(self._row(x)), normalized_shape=None))  # a list: (3, 3) is not 3 here


class GroupNorm(_Norm, frozen=True):
    """Normalises groups of channels of each image (Wu and He 2018); fields as in torch.nn.GroupNorm."""

    short = "gn"
    num_groups: Count
    eps: Positive = 1e-5
    affine: Flag = True

    def output(self, x: Shape) -> Shape:
        if x.c % self.num_groups:
            raise ShapeError("E103", undivided(x.c, "channels", self.num_groups), help=f"num_groups must divide {x.c}")
        return x

    def params(self, x: Shape) -> int:
        return channel_params(c=x.c, affine=self.affine)

    def buffers(self, x: Shape) -> int:
        return 0

    def state(self, x: Shape) -> tuple[Stored, ...]:
        return affine((x.c,), x.c, True) if self.affine else ()

    def elementwise(self, x: Shape, y: Shape) -> int:
        return norm_work(y=y, rows=group_count(n=x.n, g=self.num_groups), affine=self.affine, bias=self.affine)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        groups = group_count(n=x.n, g=self.num_groups)
        return (Kept("input", x.elements), Kept("mean", groups), Kept("deviation", groups))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("group_norm", self, x, y, rules, self.kept(x, y, rules)[1:])

    def code(self, x: Shape) -> Code:
        return Code(made(self, "nn.GroupNorm", "num_groups", x.c))


class LocalResponseNorm(Weightless, frozen=True):
    """x / (k + alpha/size * sum of x^2 over ``size`` channels)^beta; fields as in torch.nn.LocalResponseNorm.

    PyTorch divides alpha by size; Krizhevsky et al. 2012 (section 3.3) do not: their alpha of 1e-4 at size 5 is 5e-4 here.
    """

    short = "lrn"
    size: Count
    alpha: Real = 1e-4
    beta: Real = 0.75
    k: Real = 1.0

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 3, 4, 5)
        return x

    def elementwise(self, x: Shape, y: Shape) -> int:
        return response_norm_work(y=y, k=self.size)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        # The squares are padded with size - 1 channels of zeros before they are averaged.
        squares = padded_squares(e=x.elements, c=x.c, k=self.size)
        return (Kept("input", x.elements), Kept("squares", squares), Kept("base", x.elements), Kept("denominator", x.elements))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        _, squares, *_ = self.kept(x, y, rules)
        e = x.elements
        # Backward, a power takes one of its own and a product before the last one; a division two quotients and a sign.
        return (
            Kernel(("input", "input"), "product", e, (NEW, NEW), ("input",)),
            Kernel(("product",), "squares", squares.elements, (NEW,)),
            Kernel(("squares",), "mean", e, (NEW,), ("squares",), "avg_pool3d" if len(x) > 3 else "avg_pool2d"),
            Kernel(("mean",), "scaled", e, (NEW,)),
            Kernel(("scaled",), "base", e, (SAME,), holds=("mean",)),
            Kernel(("base",), "denominator", e, (Gradient("new", (e, e)),), ("base",), "pow", holds=("mean",)),
            Kernel(("input", "denominator"), "output", e, (NEW, Gradient("new", (e, e, e))), ("input", "denominator")),
        )

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return None

    def code(self, x: Shape) -> Code:
        return Code(made(self, "nn.LocalResponseNorm", "size"))
