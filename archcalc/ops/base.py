"""What an operator is: a frozen class with PyTorch's argument names that knows its own arithmetic.

``x`` is the input's shape and ``y`` the output's; for a merge ``x`` is the tuple of its inputs' shapes. Every operator answers
every question, and a zero is written out where it is true.
"""

from collections.abc import Mapping
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec.structs import force_setattr

from archcalc.errors import ArgumentError, ShapeError
from archcalc.ops.fields import Kind
from archcalc.shape import Shape

if TYPE_CHECKING:
    from archcalc.ops.code import Code
    from archcalc.ops.kernels import Kernel


class Kept(msgspec.Struct, frozen=True):
    """A tensor that autograd keeps for the backward pass.

    ``what`` is ``input``, ``output`` (those are storages that other operators may keep too) or a name of its own;
    ``elements`` is what it holds, and ``item_bytes`` the size of one element, None for that of the activations; what ``widens`` is
    as wide as they are where that is more. ``wanted_by`` are the inputs, by position, whose derivative is reckoned from it, with
    OWN for the operator's parameters; None where any derivative is.
    """

    what: str
    elements: int
    item_bytes: int | None = None
    wanted_by: tuple[int, ...] | None = None
    widens: bool = False

    def width(self, activation: int) -> int:
        """Bytes of one element, where one of the activations takes ``activation``."""
        if self.item_bytes is None:
            return activation
        return max(self.item_bytes, activation) if self.widens else self.item_bytes


class Stored(msgspec.Struct, frozen=True):
    """A tensor that the operator's module stores, by its name in PyTorch: a parameter (``learned``), or a buffer."""

    name: str
    sizes: tuple[int, ...]
    learned: bool = True


class Fans(NamedTuple):
    """Weighted inputs of an output, and weighted outputs of an input, by PyTorch's count: groups do not narrow ``fan_out``."""

    fan_in: int
    fan_out: int


OWN: Final = -1  # in ``Kept.wanted_by``: the operator's own parameters


class Window(NamedTuple):
    """How far an output looks, along one axis: positions ``k`` spaced ``d`` apart, moved by ``s``, begun ``p`` before the edge."""

    k: int
    s: int = 1
    p: int = 0
    d: int = 1

    def inputs(self, o: int) -> range:
        """Return the inputs that output ``o`` sees."""
        first = o * self.s - self.p
        return range(first, first + self.d * (self.k - 1) + 1, self.d)


class Phases(msgspec.Struct, frozen=True):
    """How far outputs look, along one axis, that stand between inputs: ``s / u`` of them apart, so that not all look alike.

    Of the first ``u`` outputs, output o sees the inputs ``first[o]`` to ``last[o]``, ``d`` apart, and none where the first is
    behind the last; output o + u sees the same, moved by ``s``. ``k`` is what the widest spans. Where there are more than
    MOST_PHASES, ``first`` and ``last`` are left out.
    """

    k: int
    s: int
    u: int
    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    d: int = 1

    def inputs(self, o: int) -> range:
        """Return the inputs that output ``o`` sees."""
        turns, o = divmod(o, self.u)
        return range(self.first[o] + turns * self.s, self.last[o] + turns * self.s + 1, self.d)


MOST_PHASES: Final = 512
WHOLE: Final = "whole"  # the window of an operator each of whose outputs sees the whole map
View = tuple[Window | Phases, ...] | Literal["whole"] | None


class Op(msgspec.Struct, frozen=True, cache_hash=True):
    """An operator. A subclass is either abstract (a family) or final (named in ``archcalc.ops.OPS``)."""

    short: ClassVar[str]  # the name a nameless step gets, before its count
    merges: ClassVar[bool] = False  # takes several inputs, as named branches
    begins: ClassVar[tuple[str, ...]] = ()  # the parameters whose beginning a spec may describe
    # Fields that shape no parameter.
    geometry: ClassVar[frozenset[str]] = frozenset(
        {"stride", "padding", "dilation", "output_padding", "padding_mode", "eps", "momentum", "inplace"}
    )

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            value = getattr(self, name)
            try:
                read = kind.read(value)
            except ValueError as error:
                message = f"{name} of {type(self).__name__} must be {error}, not {shown(value)}"
                raise ArgumentError("E120", message, argument=name) from None
            if read is not value:
                force_setattr(self, name, read)

    def output(self, x: Shape) -> Shape:
        """Shape of the output. Raises ShapeError if the input does not fit."""
        raise NotImplementedError

    def params(self, x: Shape) -> int:
        """Learnable parameters (elements)."""
        raise NotImplementedError

    def buffers(self, x: Shape) -> int:
        """Elements that are stored with the model but not learned (BatchNorm's running statistics and its counter)."""
        raise NotImplementedError

    def macs(self, x: Shape, y: Shape) -> int:
        """Multiply-accumulates of a convolution or matrix product, over the batch, biases not counted."""
        raise NotImplementedError

    def elementwise(self, x: Shape, y: Shape) -> int:
        """Floating-point operations besides the MACs, over the batch, in evaluation mode: biases, functions, 1 each."""
        raise NotImplementedError

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        """Tensors that autograd keeps in training, parameters and buffers left out. ``rules`` is ``cuda`` or ``cpu``."""
        raise NotImplementedError

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> "tuple[Kernel, ...]":
        """PyTorch's own kernels that it runs, in order, each with what it makes and keeps; none where the output is the input."""
        raise NotImplementedError

    def aliases(self, training: bool = True) -> bool:
        """Whether the output is the (first) input's own storage: a view, or an operator that works in place."""
        raise NotImplementedError

    def window(self, x: Shape) -> View:
        """The window along each spatial axis; None where an output sees only its own position, WHOLE where it sees everything.

        Normalisation counts as position by position, though its statistics come from further away: so do Araujo et al. 2019.
        """
        raise NotImplementedError

    def neurons(self, x: Shape, y: Shape) -> int:
        """Units in the papers' sense, for one image: outputs of operators that hold weights."""
        raise NotImplementedError

    def connections(self, x: Shape, y: Shape) -> int:
        """Connections in the sense of LeCun et al. 1998, II.B, for one image: every weighted input of every unit, and its bias."""
        raise NotImplementedError

    def state(self, x: Shape) -> tuple[Stored, ...]:
        """Parameters and buffers in the order of PyTorch's ``state_dict``."""
        raise NotImplementedError

    def fans(self, x: Shape) -> tuple[Fans, ...]:
        """What initial weights are scaled by: one pair, or one for each output where they differ; none without a matrix."""
        weight = next((stored.sizes for stored in self.state(x) if stored.name == "weight"), ())
        if len(weight) < 2:
            return ()
        taps = prod(weight[2:])
        return (Fans(weight[1] * taps, weight[0] * taps),)

    def code(self, x: Shape) -> "Code":
        """The operator in PyTorch: the source of its module and of the call."""
        raise NotImplementedError

    def shares_with(self, other: "Op") -> bool:
        """Whether the parameters of ``other`` fit this operator (given equal input channels)."""
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in self.__struct_fields__ if name not in self.geometry
        )


class Weightless(Op, frozen=True):
    """An operator that holds nothing: no parameters, no buffers, no units of its own."""

    def params(self, x: Shape) -> int:
        return 0

    def buffers(self, x: Shape) -> int:
        return 0

    def state(self, x: Shape) -> tuple[Stored, ...]:
        return ()

    def macs(self, x: Shape, y: Shape) -> int:
        return 0

    def neurons(self, x: Shape, y: Shape) -> int:
        return 0

    def connections(self, x: Shape, y: Shape) -> int:
        return 0


class Input(Weightless, frozen=True):
    """The network's input: a tensor of the given sizes, batch first. Not an operator of the spec's language."""

    short = "input"
    sizes: tuple[int, ...]

    def output(self, x: Shape) -> Shape:
        return Shape(self.sizes)

    def aliases(self, training: bool = True) -> bool:
        return False

    def elementwise(self, x: Shape, y: Shape) -> int:
        return 0

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return ()

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> "tuple[Kernel, ...]":
        return ()

    def window(self, x: Shape) -> None:
        return None


@cache
def kinds(op: type[Op]) -> Mapping[str, Kind]:
    """Return the kind of each argument of an operator, in the order of its fields."""
    annotations: dict[str, Any] = {}
    for cls in reversed(op.__mro__):
        annotations |= getattr(cls, "__annotations__", {})
    return {name: annotations[name].__metadata__[0] for name in op.__struct_fields__ if hasattr(annotations[name], "__metadata__")}


@cache
def required(op: type[Op]) -> tuple[str, ...]:
    """Return the arguments of an operator that have no default."""
    without_default = len(op.__struct_fields__) - len(op.__struct_defaults__)
    return op.__struct_fields__[:without_default]


@cache
def defaults(op: type[Op]) -> Mapping[str, Any]:
    """Return the other arguments with their defaults, as the operator holds them: ``stride`` (1, 1)."""
    return dict(zip(op.__struct_fields__[len(required(op)) :], op.__struct_defaults__, strict=True))


def brief(value: Any) -> Any:
    """Return an argument's value as briefly as a spec would write it: (3, 3) is 3, and so is (3,); (1, 2) is [1, 2]."""
    if not isinstance(value, tuple) or isinstance(value[0], tuple):
        return value  # a table has its rows, however alike
    return value[0] if len(set(value)) == 1 else list(value)


def shown(value: Any) -> str:
    """Return a value as a spec would write it, short enough for a message."""
    words = {True: "true", False: "false", None: "null"}
    if isinstance(value, (tuple, list)):
        text = f"[{', '.join(map(shown, value))}]"
    else:
        text = words[value] if isinstance(value, bool) or value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


FORMS = {
    2: "a flat tensor (features)",
    3: "a sequence (channels, length)",
    4: "a feature map (channels, height, width)",
    5: "a volume (channels, depth, height, width)",
}


def need_rank(op: Op, x: Shape, *ranks: int) -> None:
    """Raise ShapeError unless the input has one of these numbers of dimensions, the batch counted."""
    if len(x) not in ranks:
        wanted = " or ".join(FORMS[rank] for rank in ranks)
        way_out = "put a Flatten before it" if ranks == (2,) else None
        raise ShapeError("E101", f"{type(op).__name__} needs {wanted}, but its input is {x}", help=way_out)


def dimension(op: Op, x: Shape, argument: str, value: int) -> int:
    """Return which dimension ``value`` means, counted from the front. Raises ShapeError if the input has no such dimension."""
    if not -len(x) <= value < len(x):
        raise ShapeError(
            "E107",
            f"{argument} {value} of {type(op).__name__} is no dimension of an input of {x}: with the batch it has {len(x)}",
            help=f"{argument} from {-len(x)} to {len(x) - 1}; 0 is the batch, 1 the channels",
        )
    return value % len(x)


def affine(weight: tuple[int, ...], outputs: int, bias: bool) -> tuple[Stored, ...]:
    """Return a weight of these sizes, and with ``bias`` one number for each output."""
    return (Stored("weight", weight), Stored("bias", (outputs,))) if bias else (Stored("weight", weight),)


def undivided(channels: int, what: str, groups: int) -> str:
    """Return the sentence about channels that do not divide into groups."""
    return f"{channels} {what} do not divide into {groups} groups: {channels} = {groups}*{channels // groups} + {channels % groups}"
