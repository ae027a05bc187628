"""Activations: functions of one element each, and the softmaxes, functions of one row; fields as in torch.nn.

What autograd keeps is what the derivative is reckoned from: some need the input, some the output. In place, the output takes the
input's storage; an activation whose derivative needs the input then copies that first, so nothing is saved.
"""

from math import prod

from archcalc.errors import ShapeError
from archcalc.formula import exact, formula
from archcalc.ops.base import Kept, Op, Stored, View, Weightless, dimension
from archcalc.ops.code import Code, made
from archcalc.ops.fields import Approximation, Count, Flag, Index, Real
from archcalc.ops.kernels import NEW, STRETCHED_TURNED, Kernel, apply
from archcalc.shape import Shape


@formula
def per_element(y: Shape, f: int) -> int:
    """The same few operations for each element."""
    return f * prod(y)


@formula
def softmax_work(y: Shape, c: int) -> int:
    """For a row of c: c - 1 comparisons, c differences from the largest, c exponentials, c - 1 additions, c divisions."""
    return 5 * prod(y) - 2 * exact(prod(y), c)


@formula
def log_softmax_work(y: Shape, c: int) -> int:
    """For a row of c: c - 1 comparisons, c differences, c exponentials, c - 1 additions, a logarithm, c differences from that."""
    return 5 * prod(y) - exact(prod(y), c)


@formula
def slopes(c: int) -> int:
    """One learned slope for all channels, or one for each."""
    return c


class _Activation(Weightless, frozen=True):
    """Applies a function to each element; the shape stays."""

    def output(self, x: Shape) -> Shape:
        return x

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("", self, x, y, rules)

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return None

    def code(self, x: Shape) -> Code:
        return Code(made(self, f"nn.{type(self).__name__}"))


class _InPlace(_Activation, frozen=True):
    """An activation that may overwrite its input, and has no other field."""

    inplace: Flag = False

    def aliases(self, training: bool = True) -> bool:
        return self.inplace


class ReLU(_InPlace, frozen=True):
    """max(0, x): one comparison; fields as in torch.nn.ReLU."""

    short = "relu"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=1)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("output", y.elements),)


class ReLU6(_InPlace, frozen=True):
    """min(max(0, x), 6): two comparisons; fields as in torch.nn.ReLU6."""

    short = "relu6"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=2)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return _input_or_copy(x, self.inplace)


class LeakyReLU(_Activation, frozen=True):
    """x, or negative_slope * x below 0: a comparison and a product; fields as in torch.nn.LeakyReLU."""

    short = "leaky_relu"
    negative_slope: Real = 0.01
    inplace: Flag = False

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=2)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return _input_or_output(x, self.inplace)

    def aliases(self, training: bool = True) -> bool:
        return self.inplace


class PReLU(Op, frozen=True):
    """x, or a learned slope times x below 0: a comparison and a product; fields as in torch.nn.PReLU."""

    short = "prelu"
    num_parameters: Count = 1
    init: Real = 0.25

    def output(self, x: Shape) -> Shape:
        if self.num_parameters not in (1, x.c):
            raise ShapeError(
                "E106",
                f"PReLU has {self.num_parameters} slopes, but its input has {x.c} channels",
                help=f"num_parameters: 1 (one slope for all) or {x.c} (one for each channel)",
            )
        return x

    def params(self, x: Shape) -> int:
        return slopes(c=self.num_parameters)

    def buffers(self, x: Shape) -> int:
        return 0

    def state(self, x: Shape) -> tuple[Stored, ...]:
        return (Stored("weight", (self.num_parameters,)),)

    def macs(self, x: Shape, y: Shape) -> int:
        return 0

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=2)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements),)

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return (Kernel(("input", "weight"), "output", y.elements, (NEW, STRETCHED_TURNED), ("input",), "prelu", together=True),)

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return None

    def neurons(self, x: Shape, y: Shape) -> int:
        return 0  # an activation belongs to the units of the layer before it

    def connections(self, x: Shape, y: Shape) -> int:
        return 0

    def code(self, x: Shape) -> Code:
        return Code(made(self, "nn.PReLU"))


class ELU(_Activation, frozen=True):
    """x, or alpha * (exp(x) - 1) below 0: a comparison, an exponential, a difference, a product; fields as in torch.nn.ELU."""

    short = "elu"
    alpha: Real = 1.0
    inplace: Flag = False

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=4)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return _input_or_output(x, self.inplace)

    def aliases(self, training: bool = True) -> bool:
        return self.inplace


class GELU(_Activation, frozen=True):
    """Gaussian error linear unit (Hendrycks and Gimpel 2016); fields as in torch.nn.GELU.

    x * (1 + erf(x / sqrt 2)) / 2 is 5 operations; with approximate: tanh, x * (1 + tanh(a * (x + b * x^3))) / 2 is 8.
    """

    short = "gelu"
    approximate: Approximation = "none"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=5 if self.approximate == "none" else 8)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements),)


class SiLU(_InPlace, frozen=True):
    """x * sigmoid(x): a sigmoid and a product; fields as in torch.nn.SiLU."""

    short = "silu"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=2)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return _input_or_copy(x, self.inplace)


class Hardsigmoid(_InPlace, frozen=True):
    """min(max(0, x + 3), 6) / 6: a sum, two comparisons, a division; fields as in torch.nn.Hardsigmoid."""

    short = "hardsigmoid"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=4)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return _input_or_copy(x, self.inplace)


class Hardswish(_InPlace, frozen=True):
    """x * hardsigmoid(x): five operations; fields as in torch.nn.Hardswish."""

    short = "hardswish"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=5)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return _input_or_copy(x, self.inplace)


class Sigmoid(_Activation, frozen=True):
    """1 / (1 + exp(-x)), counted as one function; as torch.nn.Sigmoid."""

    short = "sigmoid"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=1)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("output", y.elements),)


class Tanh(_Activation, frozen=True):
    """The hyperbolic tangent, counted as one function; as torch.nn.Tanh."""

    short = "tanh"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=1)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("output", y.elements),)


class ScaledTanh(_Activation, frozen=True):
    """1.7159 * tanh(2/3 * x) (LeCun et al. 1998, appendix A): two products and a tanh; not a class of torch.nn."""

    short = "scaled_tanh"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=3)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("tanh", y.elements),)  # before it is scaled: a tensor that nobody else holds

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        first = Kernel(("input",), "scaled", y.elements, (NEW,))
        tanh = Kernel(("scaled",), "tanh", y.elements, (NEW,), ("tanh",))
        return (first, tanh, Kernel(("tanh",), "output", y.elements, (NEW,)))

    def code(self, x: Shape) -> Code:
        return Code("ScaledTanh()")


class _RowActivation(_Activation, frozen=True):
    """Normalises along one dimension: ``dim`` 1 is the channels, and the default, where torch.nn has none but a warning."""

    dim: Index = 1

    def output(self, x: Shape) -> Shape:
        dimension(self, x, "dim", self.dim)
        return x

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("output", y.elements),)

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply(self.short, self, x, y, rules)

    def code(self, x: Shape) -> Code:
        return Code(f"nn.{type(self).__name__}(dim={self.dim})")


class Softmax(_RowActivation, frozen=True):
    """exp(x) over its sum along ``dim``, the largest taken off first so that nothing overflows; fields as in torch.nn.Softmax."""

    short = "softmax"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return softmax_work(y=y, c=y[self.dim])


class LogSoftmax(_RowActivation, frozen=True):
    """The logarithm of Softmax, worked out without it; fields as in torch.nn.LogSoftmax."""

    short = "log_softmax"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return log_softmax_work(y=y, c=y[self.dim])


def _input_or_copy(x: Shape, inplace: bool) -> tuple[Kept, ...]:
    return (Kept("copy of the input" if inplace else "input", x.elements),)


def _input_or_output(x: Shape, inplace: bool) -> tuple[Kept, ...]:
    # Below 0 the function can be inverted, so in place its output does as well.
    return (Kept("output" if inplace else "input", x.elements),)
