"""The layers of LeNet-5 that later networks gave up (LeCun et al. 1998, section II.B); not classes of torch.nn."""

from math import prod

from archcalc.errors import ShapeError
from archcalc.formula import formula
from archcalc.ops.base import OWN, WHOLE, Fans, Kept, Op, Stored, View, Window, need_rank
from archcalc.ops.code import Code, made, padded
from archcalc.ops.conv import bias_adds, units
from archcalc.ops.fields import Count, OptionalPair, Pair, PairPadding, Table
from archcalc.ops.kernels import NEW, NONE, PART, SAME, STRETCHED_TURNED, SUM_TURNED, VIEW, Gradient, Kernel
from archcalc.ops.window import UNDILATED, copied_elements, padded_copy, sides, slide, windows
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
    begins = ("weight", "bias")
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

    def state(self, x: Shape) -> tuple[Stored, ...]:
        return (Stored("weight", (x.c, 1, 1)), Stored("bias", (x.c, 1, 1)))

    def fans(self, x: Shape) -> tuple[Fans, ...]:
        return (Fans(prod(self.kernel_size), 1),)

    def macs(self, x: Shape, y: Shape) -> int:
        return 0  # a sum and a scale, no product of matrices

    def elementwise(self, x: Shape, y: Shape) -> int:
        return subsample_work(y=y, k=self.kernel_size)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements, wanted_by=(0,)), Kept("sums", y.elements, wanted_by=(OWN,)))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return (
            Kernel(("input",), "sums", y.elements, (NEW,), ("input",), "avg_pool2d"),
            Kernel(("sums", "weight"), "scaled", y.elements, (NEW, STRETCHED_TURNED), ("sums",)),
            Kernel(("scaled", "bias"), "output", y.elements, (SAME, SUM_TURNED), holds=("sums",)),
        )

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(x.axes, self.kernel_size, self._steps(), (0, 0), UNDILATED)

    def neurons(self, x: Shape, y: Shape) -> int:
        return units(y_image=y[1:])

    def connections(self, x: Shape, y: Shape) -> int:
        return subsample_connections(y_image=y[1:], k=self.kernel_size)

    def code(self, x: Shape) -> Code:
        return Code(made(self, "TrainableSubsample2d", x.c))


class ConnectedConv2d(Op, frozen=True):
    """A convolution whose output maps each see the input maps that ``table`` lists for them, counted from 0; each has one bias."""

    short = "conv"
    begins = ("weight", "bias")
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

    def state(self, x: Shape) -> tuple[Stored, ...]:
        kernels = (Stored(f"maps.{number}.weight", (1, len(row), *self.kernel_size)) for number, row in enumerate(self.table))
        return (Stored("bias", (len(self.table), 1, 1)), *kernels)

    def fans(self, x: Shape) -> tuple[Fans, ...]:
        taps = prod(self.kernel_size)
        return tuple([Fans(len(row) * taps, taps) for row in self.table])

    def macs(self, x: Shape, y: Shape) -> int:
        return connected_macs(n=y.n, o=y.axes, k=self.kernel_size, m=self._entries())

    def elementwise(self, x: Shape, y: Shape) -> int:
        return bias_adds(y=y, bias=True)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        # Each output map is a convolution of its own over a copy of the maps that it sees.
        copies = (Shape((x.n, len(row), *x.axes)) for row in self.table)
        sizes = (padded_copy(copy, self.kernel_size, self.stride, self.padding) or copied_elements(x=copy) for copy in copies)
        return tuple(Kept(f"maps for output {number}", elements) for number, elements in enumerate(sizes))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        copies = [tensor.elements for tensor in self.kept(x, y, rules)]
        padded = padded_copy(x, self.kernel_size, self.stride, self.padding)
        found = [Kernel(("input",), "padded", padded, (NEW,))] if padded else []
        source = "padded" if padded else "input"
        held: tuple[str, ...] = ()  # the maps made so far, and the variable with the last copy
        for number, (row, elements) in enumerate(zip(self.table, copies, strict=True)):
            seen, maps = f"maps for output {number}", tuple([f"map {place} for output {number}" for place in range(len(row))])
            found += [Kernel((source,), name, elements // len(row), (NEW,), alias=True) for name in maps]
            found.append(Kernel(maps, seen, elements, (PART,) * len(row), name="cat", holds=held))
            weighted = (seen, f"maps.{number}.weight")
            found.append(Kernel(weighted, f"output {number}", y.n * prod(y.axes), (NEW, NEW), (seen,), "convolution"))
            held = (*held[:number], f"output {number}", seen)
        made, held = held[:-1], (*held, source)
        joined = Kernel(made, "joined", y.elements, (PART,) * len(made), name="cat")
        return (*found, joined, Kernel(("joined", "bias"), "output", y.elements, (SAME, SUM_TURNED), holds=held))

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

    def code(self, x: Shape) -> Code:
        ends = sides(self.padding, x.axes, self.kernel_size, self.stride)
        common = tuple(map(min, ends))
        extra = tuple((start - p, end - p) for (start, end), p in zip(ends, common, strict=True))
        module = made(self, "ConnectedConv2d", "table", padding=common)
        return Code(module, f"{{self}}({padded(extra)})") if any(map(any, extra)) else Code(module)


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

    def state(self, x: Shape) -> tuple[Stored, ...]:
        return (Stored("centers", (self.out_features, x.c), learned=False),)

    def macs(self, x: Shape, y: Shape) -> int:
        return 0  # differences come first: no product of matrices

    def elementwise(self, x: Shape, y: Shape) -> int:
        return distance_work(y=y, c_in=x.c)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("differences", differences(y=y, c_in=x.c)),)

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        e = differences(y=y, c_in=x.c)
        return (
            Kernel(("input",), "row", x.elements, (VIEW,), alias=True),
            Kernel(("row", "centers"), "differences", e, (SUM_TURNED, NONE)),
            Kernel(("differences",), "squares", e, (Gradient("new", (e, e)),), ("differences",), "pow"),
            Kernel(("squares",), "output", y.elements, (VIEW,), name="sum"),
        )

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return WHOLE

    def neurons(self, x: Shape, y: Shape) -> int:
        return units(y_image=y[1:])

    def connections(self, x: Shape, y: Shape) -> int:
        return distance_connections(y_image=y[1:], c_in=x.c)

    def code(self, x: Shape) -> Code:
        return Code(made(self, "RBF", x.c, "out_features"))
