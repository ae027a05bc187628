"""What a network's kernels move: the bytes that eager mode reads and writes, layer by layer, forward and backward.

A kernel's inputs are read once and what it makes is written once, all of it from and to memory: that is what running operator by
operator means. Where a kernel goes over its input twice, and where PyTorch runs a second kernel that makes nothing new, it is said
here. Views move nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Final, NamedTuple

from archcalc.analysis.roofline.precision import RULES, Precision
from archcalc.formula import formula
from archcalc.graph import Graph, Node
from archcalc.ops import Op
from archcalc.ops.kernels import PADDED, Kernel
from archcalc.shape import Shape

PRODUCTS: Final = ("convolution", "linear")
# These need a mean before they can begin: where it is not known, they go over their input twice, and so do their derivatives.
STATISTICAL: Final = ("batch_norm", "group_norm")
RUNNING: Final = ("running_mean", "running_var")  # what is read instead where the statistics are known
# What a derivative keeps of its input for the sizes alone, and does not read.
FOR_ITS_SIZES: Final = ("max_pool2d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d", "adaptive_max_pool2d")
VIEWS: Final = ("view", "same", "part", "none")  # gradients that no kernel reckons
STEP_PASSES: Final = 5  # SGD with momentum reads parameter, gradient and momentum, and writes parameter and momentum


@formula
def moved_bytes(e: int, w: int) -> int:
    """Every element of a tensor that is read, or written, in bytes."""
    return e * w


class Product(NamedTuple):
    """A kernel's multiply-accumulates: channels are those of one group, ``k`` the window, ``slides`` whether pixel by pixel."""

    macs: int
    c_in: int
    c_out: int
    k: tuple[int, ...] = ()
    slides: bool = False

    @property
    def windows(self) -> bool:
        """Whether each output sees more than one pixel."""
        return any(size > 1 for size in self.k)


class Work(NamedTuple):
    """One kernel that runs: the bytes that it reads and writes, and its product, where it has one.

    ``turned`` are the bytes of activations among them: what has to be copied where it does not lie as matrix units need it.
    """

    what: str
    moved: int
    product: Product | None = None
    turned: int = 0


class Tensors:
    """The tensors that the kernels of one layer read and make: elements, bytes of one element, and which are parameters."""

    def __init__(self, op: Op, shapes: tuple[Shape, ...], widths: tuple[int, ...], x: Shape, precision: Precision):
        self.elements: dict[str, int] = {"input": shapes[0].elements}
        self.widths: dict[str, int] = {"input": widths[0]}
        for number, (shape, width) in enumerate(zip(shapes, widths, strict=True)):
            self.elements[f"input {number}"] = shape.elements
            self.widths[f"input {number}"] = width
        self.sizes = {stored.name: stored.sizes for stored in op.state(x)}
        self.learned = frozenset(stored.name for stored in op.state(x) if stored.learned)
        for name, sizes in self.sizes.items():
            self.elements[name], self.widths[name] = prod(sizes), precision.item_bytes

    def make(self, name: str, elements: int, width: int) -> None:
        """Add what a kernel makes."""
        self.elements[name], self.widths[name] = elements, width

    def bytes(self, name: str, width: int | None = None) -> int:
        """Return the bytes of a tensor, as it is or in another width."""
        return moved_bytes(e=self.elements[name], w=self.widths[name] if width is None else width)


class Layer:
    """The kernels of one layer at work; ``widths`` are the bytes of an element of each input."""

    def __init__(self, graph: Graph, node: Node, widths: tuple[int, ...], precision: Precision, training: bool):
        shapes = tuple(graph.nodes[i].output for i in node.inputs)
        self.op, self.x, self.y, self.precision = node.op, graph.x(node), node.output, precision
        self.tensors = Tensors(node.op, shapes, widths, self.x, precision)
        self.trained = frozenset[str]() if node.frozen else self.tensors.learned
        self.kernels = node.op.kernels(self.x, self.y, training, RULES)
        self.training = training
        self.compute: list[int] = []  # for each kernel, the bytes of an element that it works in
        self.reads: list[tuple[str, ...]] = []  # and what it reads, each tensor once
        for kernel in self.kernels:
            reads = tuple(dict.fromkeys(kernel.reads))
            activations = [self.tensors.widths[name] for name in reads if name not in self.tensors.sizes]
            width = precision.makes(kernel.name, max(activations))
            self.tensors.make(kernel.makes, kernel.elements, width)
            for kept in kernel.beside:
                self.tensors.make(kept.what, kept.elements, kept.width(width))
            self.compute.append(width)
            self.reads.append(reads)

    @property
    def width(self) -> int:
        """Bytes of one element of the output."""
        return self.tensors.widths["output"] if self.kernels else self.tensors.widths["input"]

    def forward(self, first: bool = True) -> Iterator[Work]:
        """Yield the kernels of the forward pass; ``first`` says whether no layer before this one uses its parameters."""
        tensors = self.tensors
        # Autocast keeps its casts of parameters that are trained, for all that use them (``cached_cast`` in autocast_mode.cpp).
        ready = frozenset[str]() if first else self.trained
        for kernel, width, reads in zip(self.kernels, self.compute, self.reads, strict=True):
            if is_view(kernel, tensors.elements):
                continue
            yield from self._casts(kernel, [name for name in reads if name not in ready], width)
            for kept in kernel.copies if self.training else ():
                yield Work("copy", 2 * moved_bytes(e=kept.elements, w=kept.width(width)))
            beside = [kept.what for kept in kernel.beside]
            moved = sum([tensors.bytes(name, self._read_as(kernel, name, width)) for name in reads])
            moved += sum(map(tensors.bytes, (kernel.makes, *beside)))
            if kernel.name in STATISTICAL:
                moved += tensors.bytes(reads[0], width) if beside else sum(map(tensors.bytes, RUNNING))
            product = self._product(kernel, reads)
            turned = 0 if product is None else tensors.bytes(reads[0], width) + tensors.bytes(kernel.makes)
            yield Work(kernel.name or kernel.makes, moved, product, turned)
            if kernel.name == "convolution" and "bias" in reads:
                # cuDNN's convolutions take no bias from PyTorch: another kernel adds it to what they made.
                yield Work("bias", 2 * tensors.bytes(kernel.makes))

    def backward(self, wanted: Mapping[str, bool], first: bool = True) -> Iterator[Work]:
        """Yield the kernels of the backward pass; ``wanted`` says of each input whether anybody wants its gradient.

        ``first`` says whether no layer before this one uses its parameters: then their gradients, to which all that use them have
        added, are complete, and are cast back where autocast has cast the parameters.
        """
        tensors, needed = self.tensors, self._needed(wanted)
        for kernel, width, reads in zip(reversed(self.kernels), reversed(self.compute), reversed(self.reads), strict=True):
            product = self._product(kernel, reads)
            gradients = dict(zip(kernel.reads, kernel.gradients, strict=True))
            asked = [name for name in gradients if gradients[name].how not in VIEWS and needed[name]]
            if product is not None:
                yield from self._products(kernel, product, width, asked)
            elif kernel.name in STATISTICAL and asked:
                # Sums over gradient and input, then the input's gradient from both; those of scale and shift are the sums.
                yield Work(f"{kernel.name} backward", tensors.bytes(kernel.makes) + tensors.bytes(reads[0], width))
                yield Work(f"{kernel.name} backward", tensors.bytes(kernel.makes) + 2 * tensors.bytes(reads[0], width))
            else:
                yield from self._derivatives(kernel, width, asked)
                if kernel.name == "layer_norm" and any(name in tensors.learned for name in asked):
                    yield Work("gradients of scale and shift", tensors.bytes(kernel.makes) + tensors.bytes(reads[0], width))
            parameters = [name for name in asked if name in tensors.learned]
            if first:
                yield from self._casts(kernel, parameters, width)
            else:
                for name in parameters:
                    yield summed(tensors.elements[name], self._read_as(kernel, name, width))

    def _needed(self, wanted: Mapping[str, bool]) -> dict[str, bool]:
        """Return of every tensor whether its gradient is on the way to one that is wanted."""
        needed = {
            name: wanted.get(name, name in self.tensors.learned or name not in self.tensors.sizes) for name in self.tensors.elements
        }
        for kernel in self.kernels:
            pairs = zip(kernel.reads, kernel.gradients, strict=True)
            needed[kernel.makes] = any(needed[name] for name, gradient in pairs if gradient.how != "none")
        return needed

    def _derivatives(self, kernel: Kernel, width: int, asked: list[str]) -> Iterator[Work]:
        """Yield a kernel for each gradient: it reads that of what was made, and what was kept for it."""
        tensors = self.tensors
        made = tensors.bytes(kernel.makes)
        gradients = dict(zip(kernel.reads, kernel.gradients, strict=True))
        for name in asked:
            if name in tensors.learned and gradients[name].how == "new":
                continue  # of a normalisation's scale and shift
            unread = kernel.reads if kernel.name in FOR_ITS_SIZES or kernel.makes == PADDED else (name,) if len(asked) > 1 else ()
            kept = [other for other in kernel.keeps if other not in unread]
            work = 2 * moved_bytes(e=sum(gradients[name].work), w=width)  # what lives besides is written and read again
            stretched = 2 * made if gradients[name].how == "stretched" else 0
            read = 0 if gradients[name].how == "sum" else sum([self._kept(other, width) for other in kept])
            yield Work(f"gradient of {name}", made + read + work + stretched + tensors.bytes(name, width))

    def _products(self, kernel: Kernel, product: Product, width: int, asked: list[str]) -> Iterator[Work]:
        """Yield the products that give the gradients of a product's factors, and the sum that gives the bias's."""
        tensors = self.tensors
        made = tensors.bytes(kernel.makes)
        source, weight = kernel.reads[:2]
        moved = tensors.bytes(source, width) + made + tensors.bytes(weight, width)
        turned = tensors.bytes(source, width) + made
        for name in asked:
            if name == source:
                yield Work("gradient of the input", moved, product._replace(c_in=product.c_out, c_out=product.c_in), turned)
            elif name == weight:
                yield Work("gradient of the weight", moved, product, turned)
            else:
                yield Work("gradient of the bias", made + tensors.bytes(name, width))

    def _casts(self, kernel: Kernel, names: Iterable[str], width: int) -> Iterator[Work]:
        """Yield the casts that autocast puts before a kernel that works in another width, and behind its derivative."""
        for name in names:
            if self._read_as(kernel, name, width) != self.tensors.widths[name]:
                yield Work("cast", self.tensors.bytes(name) + self.tensors.bytes(name, width))

    def _read_as(self, kernel: Kernel, name: str, width: int) -> int:
        """Return the bytes of an element as the kernel reads it."""
        return width if self.precision.casts(kernel.name) else self.tensors.widths[name]

    def _kept(self, name: str, width: int) -> int:
        """Return the bytes of a tensor that was kept; a copy of the input is as large as the input."""
        known = name in self.tensors.elements
        return self.tensors.bytes(name if known else "input", None if known else width)

    def _product(self, kernel: Kernel, reads: tuple[str, ...]) -> Product | None:
        """Return the multiply-accumulates of a kernel, None if it has none."""
        if kernel.name not in PRODUCTS:
            return None
        several = sum(1 for other in self.kernels if other.name in PRODUCTS) > 1
        outputs, inputs, *k = self.tensors.sizes[reads[1]]
        if several:  # LeNet-5's table: a convolution for each map
            return Product(kernel.elements * inputs * prod(k), inputs, outputs, tuple(k))
        groups = getattr(self.op, "groups", 1)
        view = self.op.window(self.x)
        slides = isinstance(view, tuple) and all(getattr(window, "u", 1) == 1 == window.s and window.d == 1 for window in view)
        return Product(self.op.macs(self.x, self.y), self.x.c // groups, self.y.c // groups, tuple(k), slides and groups == 1)


def summed(elements: int, width: int) -> Work:
    """Return the kernel that adds a gradient to one that another layer has handed back: it reads both and writes their sum."""
    return Work("sum of gradients", 3 * moved_bytes(e=elements, w=width))


def is_view(kernel: Kernel, elements: Mapping[str, int]) -> bool:
    """Whether what a kernel makes is a part or another shape of what it reads; one that works in place makes as much, anew."""
    return kernel.alias and (kernel.gradients[0].how == "view" or kernel.elements != elements[kernel.reads[0]])
