"""The layers of LeNet-5 that later networks gave up (LeCun et al. 1998, section II.B); not classes of torch.nn."""

from math import prod

from archcalc.errors import ShapeError
from archcalc.formula import formula
from archcalc.ops.base import OWN, WHOLE, Kept, Op, View, Window, need_rank
from archcalc.ops.conv import bias_adds, units
from archcalc.ops.fields import Count, OptionalPair, Pair, PairPadding, Table
from archcalc.ops.window import UNDILATED, copied_elements, padded_copy, slide, windows
from archcalc.shape import Shape


@formula
def subsample_params(c: int) -> int:
    """A coefficient and a bias for each map."""
    return 2 * c


@formula
def subsample_work(y: Shape, k: tuple[int, ...]) -> int:
    """One addition for each pixel after the first; times the coefficient, plus the bias."""
    return prod(y) * (prod(k) + 1)


@formula
def subsample_connections(y_image: tuple[int, ...], k: tuple[int, ...]) -> int:
    """Every pixel of the field, and the bias: so the paper counts S2's 5,880."""
    return prod(y_image) * (prod(k) + 1)


@formula
def connected_params(k: tuple[int, ...], m: int, c_out: int) -> int:
    """A kernel for each entry of the table, and a bias for each output map."""
    return prod(k) * m + c_out


@formula
def connected_macs(n: int, o: tuple[int, ...], k: tuple[int, ...], m: int) -> int:
    """One multiply-accumulate for each kernel element of each entry of the table, at each position."""
    return n * prod(o) * prod(k) * m


@formula
def connected_connections(o: tuple[int, ...], k: tuple[int, ...], m: int, c_out: int) -> int:
    """The kernel elements of each entry of the table and the biases, at each position."""
    return prod(o) * (prod(k) * m + c_out)


@formula
def centre_elements(c_in: int, c_out: int) -> int:
    """A centre with a number for each input, for each output."""
    return c_in * c_out


@formula
def distance_work(y: Shape, c_in: int) -> int:
    """c_in differences, c_in squares, c_in - 1 additions."""
    return prod(y) * (3 * c_in - 1)


@formula
def differences(y: Shape, c_in: int) -> int:
    """A difference for each input of each output."""
    return prod(y) * c_in


@formula
def distance_connections(y_image: tuple[int, ...], c_in: int) -> int:
    """Every unit sees every input; it has no bias."""
    return prod(y_image) * c_in


class TrainableSubsample2d(Op, frozen=True):
    """The sum of each field, times a learned coefficient, plus a learned bias, one of each for a map."""

    short = "subsample"
    kernel_size: Pair
    stride: OptionalPair = None  # kernel_size, where it is left out

    def _steps(self) -> tuple[int, ...]:
        return self.kernel_size if self.stride is None else self.stride

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        return x.with_axes(x.c, slide(x.axes, self.kernel_size, self._steps(), (0, 0)))

    def params(self, x: Shape) -> int:
        return subsample_params(c=x.c)

    def buffers(self, x: Shape) -> int:
        return 0

    def macs(self, x: Shape, y: Shape) -> int:
        return 0  # a sum and a scale, no product of matrices

    def elementwise(self, x: Shape, y: Shape) -> int:
        return subsample_work(y=y, k=self.kernel_size)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements, wanted_by=(0,)), Kept("sums", y.elements, wanted_by=(OWN,)))

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(x.axes, self.kernel_size, self._steps(), (0, 0), UNDILATED)

    def neurons(self, x: Shape, y: Shape) -> int:
        return units(y_image=y[1:])

    def connections(self, x: Shape, y: Shape) -> int:
        return subsample_connections(y_image=y[1:], k=self.kernel_size)


class ConnectedConv2d(Op, frozen=True):
    """A convolution whose output maps each see the input maps that ``table`` lists for them, counted from 0; each has one bias."""

    short = "conv"
    table: Table
    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: PairPadding = (0, 0)

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        largest = max(map(max, self.table))
        if largest >= x.c:
            message = f"the table names input map {largest}, but the input has {x.c} maps, 0 to {x.c - 1}"
            raise ShapeError("E106", message, help="maps are counted from 0")
        return x.with_axes(len(self.table), slide(x.axes, self.kernel_size, self.stride, self.padding))

    def params(self, x: Shape) -> int:
        return connected_params(k=self.kernel_size, m=self._entries(), c_out=len(self.table))

    def buffers(self, x: Shape) -> int:
        return 0

    def macs(self, x: Shape, y: Shape) -> int:
        return connected_macs(n=y.n, o=y.axes, k=self.kernel_size, m=self._entries())

    def elementwise(self, x: Shape, y: Shape) -> int:
        return bias_adds(y=y, bias=True)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        # Each output map is a convolution of its own over a copy of the maps that it sees.
        copies = (Shape((x.n, len(row), *x.axes)) for row in self.table)
        sizes = (padded_copy(copy, self.kernel_size, self.stride, self.padding) or copied_elements(x=copy) for copy in copies)
        return tuple(Kept(f"maps for output {number}", elements) for number, elements in enumerate(sizes))

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(x.axes, self.kernel_size, self.stride, self.padding, UNDILATED)

    def neurons(self, x: Shape, y: Shape) -> int:
        return units(y_image=y[1:])

    def connections(self, x: Shape, y: Shape) -> int:
        return connected_connections(o=y.axes, k=self.kernel_size, m=self._entries(), c_out=len(self.table))

    def _entries(self) -> int:
        return sum(map(len, self.table))


class RBF(Op, frozen=True):
    """Squared distances to centres that are fixed, not learned: (N, in_features) -> (N, out_features).

    LeNet-5's centres are 7x12 bitmaps of the digits.
    """

    short = "rbf"
    out_features: Count

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 2)
        return Shape((x.n, self.out_features))

    def params(self, x: Shape) -> int:
        return 0

    def buffers(self, x: Shape) -> int:
        return centre_elements(c_in=x.c, c_out=self.out_features)

    def macs(self, x: Shape, y: Shape) -> int:
        return 0  # differences come first: no product of matrices

    def elementwise(self, x: Shape, y: Shape) -> int:
        return distance_work(y=y, c_in=x.c)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("differences", differences(y=y, c_in=x.c)),)

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return WHOLE

    def neurons(self, x: Shape, y: Shape) -> int:
        return units(y_image=y[1:])

    def connections(self, x: Shape, y: Shape) -> int:
        return distance_connections(y_image=y[1:], c_in=x.c)
