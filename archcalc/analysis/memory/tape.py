"""What autograd writes down in the forward pass, and the tensors that it speaks of."""

from typing import Final, NamedTuple

NOWHERE: Final = -1  # the tape's entry of a tensor that nothing differentiable made
SUMMED: Final = ("stretched", "sum")  # how gradients come about that are larger at first than what they are of


class Gathered(NamedTuple):
    """A gradient, or the sum of several.

    ``storage`` is its own, unless it is a ``view`` of another tensor, which holds that too; a slice is not ``contiguous``.
    """

    storage: int
    view: bool = False
    contiguous: bool = True


class Parameter:
    """A parameter or buffer: where it is stored, whether it is trained.

    ``gradient`` is that which has gathered for it, None before; ``cast`` its copy in 16 bit, while autocast keeps that.
    """

    __slots__ = ("cast", "elements", "gradient", "learned", "node", "storage", "width")

    def __init__(self, node: str, storage: int, elements: int, width: int, learned: bool):
        self.node, self.storage, self.elements, self.width, self.learned = node, storage, elements, width, learned
        self.gradient: Gathered | None = None
        self.cast: Tensor | None = None


class Tensor(NamedTuple):
    """A tensor as a kernel sees it: its storage, elements, bytes of each, and the tape's entry that made it."""

    storage: int
    elements: int
    width: int
    entry: int = NOWHERE
    parameter: Parameter | None = None

    @property
    def place(self) -> int | Parameter:
        """Where its gradient goes: to an entry, or a parameter; NOWHERE if nobody wants it."""
        if self.parameter is None:
            return self.entry
        return self.parameter if self.parameter.learned else NOWHERE


class Target(NamedTuple):
    """Where a gradient goes, an entry of the tape or a parameter, and how it comes about (``Gradient`` in archcalc.ops.kernels).

    ``summed_bytes`` are those of a sum that is only then brought to the type of what was read, 0 where it is of that type.
    """

    place: int | Parameter
    how: str
    work: tuple[int, ...]
    turned: bool
    elements: int
    width: int
    summed_bytes: int = 0


class Entry(NamedTuple):
    """What autograd notes of a kernel: the layer, where its gradients go, the storages that it keeps, and the size of its output.

    ``wants`` says whether its derivative wants anything, parameters too; ``block`` is the checkpointed block that it stands in, by
    number: what it wants is not kept then, but computed again. ``packs`` says that its derivative first copies a gradient that is
    not contiguous.
    """

    node: str
    targets: tuple[Target, ...]
    saved: tuple[int, ...]
    made_bytes: int
    wants: bool
    block: int = NOWHERE
    packs: bool = False
