"""An operator as PyTorch runs it: one kernel or several in turn, what each makes, what it keeps, and how gradients come back.

Names are those of ``Op.kept`` where autograd keeps a tensor (``input``, ``input 1``, ``output``, ``indices``), those of
``Op.state`` for parameters and buffers, and any others for what lives only inside the operator.
"""

import msgspec
from msgspec.structs import replace

from archcalc.ops.base import Kept, Op
from archcalc.shape import Shape


class Gradient(msgspec.Struct, frozen=True):
    """How the gradient of one thing that a kernel reads comes about from the gradient of what it makes.

    ``how`` is one of
    - ``new``: a tensor of its own;
    - ``same``: that very gradient, handed on; ``view``: another shape of it; ``part``: a slice of its channels;
    - ``sum``: that gradient summed up, where the read was stretched; ``stretched``: a tensor as large as the output, then summed;
    - ``none``: nobody wants it, of a constant.
    ``work`` are the elements of each tensor that lives besides, only while this gradient is reckoned. ``turned`` says that what
    comes of it in the end is a view: transposed, or without the axes that it was summed over.
    """

    how: str
    work: tuple[int, ...] = ()
    turned: bool = False


NEW, SAME, VIEW, PART, SUM, STRETCHED, NONE = map(Gradient, ("new", "same", "view", "part", "sum", "stretched", "none"))
TURNED, SUM_TURNED, STRETCHED_TURNED = [Gradient(how, turned=True) for how in ("new", "sum", "stretched")]


class Kernel(msgspec.Struct, frozen=True):
    """One kernel: it reads named tensors and makes one, of so many ``elements``, in a storage of its own.

    With ``alias`` what it makes stays in the storage of the first that it reads: a view, or a kernel that works in place.
    ``beside`` are what it makes besides (indices, statistics): released at once unless kept. ``copies`` are made only where a
    backward pass follows. ``keeps`` names what autograd keeps for this kernel's derivative. ``holds`` names what a variable still
    holds meanwhile, though it is not read. ``gradients`` has one entry for each read. ``name`` is that by which autocast knows it,
    empty where it has no rule. ``together`` says that all gradients are made at once, those that nobody wants too.
    """

    reads: tuple[str, ...]
    makes: str
    elements: int
    gradients: tuple[Gradient, ...]
    keeps: tuple[str, ...] = ()
    name: str = ""
    alias: bool = False
    beside: tuple[Kept, ...] = ()
    copies: tuple[Kept, ...] = ()
    holds: tuple[str, ...] = ()
    together: bool = False


def apply(name: str, op: Op, x: Shape, y: Shape, rules: str, beside: tuple[Kept, ...] = ()) -> tuple[Kernel]:
    """Return an operator that is one kernel: input and parameters in, output out, gradients of their own for each."""
    kept = op.kept(x, y, rules)
    copies = tuple([tensor for tensor in kept if tensor.what == COPY])
    reads = ("input", *[stored.name for stored in op.state(x) if stored.learned])
    keeps = tuple([tensor.what for tensor in kept])
    return (Kernel(reads, "output", y.elements, (NEW,) * len(reads), keeps, name, op.aliases(), beside, copies),)


def padded_first(op: Op, x: Shape, y: Shape, rules: str, last: Kernel, name: str = "") -> tuple[Kernel, ...]:
    """Return the kernels of an operator that may work on a padded copy: where ``kept`` speaks of one, it is made first.

    ``name`` is that by which autocast knows the padding.
    """
    for tensor in op.kept(x, y, rules):
        if tensor.what == PADDED:
            keeps = tuple([PADDED if kept == "input" else kept for kept in last.keeps])
            return (
                Kernel(("input",), PADDED, tensor.elements, (NEW,), name=name),
                replace(last, reads=(PADDED, *last.reads[1:]), keeps=keeps),
            )
    return (last,)


COPY, PADDED = "copy of the input", "padded input"
SAME_PADDING = "same_padding"  # the padding of torch's own convolution with ``same``, before which the CPU's autocast casts
