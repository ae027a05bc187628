"""The arithmetic of sliding windows, shared by convolution and pooling."""

from collections.abc import Iterable
from math import prod

from archcalc.errors import ShapeError
from archcalc.formula import ceil_div, formula
from archcalc.ops.base import Window
from archcalc.shape import Shape


@formula
def dilated_kernel(k: int, d: int) -> int:
    """Pixels that a kernel spans when its elements stand ``d`` apart (Dumoulin and Visin 2016, section 5.1)."""
    return d * (k - 1) + 1


@formula
def window_count(i: int, k: int, s: int, p: int) -> int:
    """Positions that a window takes along one axis (Dumoulin and Visin 2016, relationship 6)."""
    return (i + 2 * p - k) // s + 1


@formula
def uneven_window_count(i: int, k: int, s: int, p_start: int, p_end: int) -> int:
    """Positions of a window along an axis whose two ends are padded differently."""
    return (i + p_start + p_end - k) // s + 1


@formula
def ceil_window_count(i: int, k: int, s: int, p_start: int, p_end: int) -> int:
    """Positions with ceil_mode: a window may hang over the far end, not start in its padding (PyTorch's rule, and Caffe's)."""
    return min(ceil_div(i + p_start + p_end - k, s) + 1, ceil_div(i + p_start, s))


@formula
def same_window_count(i: int, s: int) -> int:
    """Positions with ``same`` padding, TensorFlow's and Keras's rule."""
    return ceil_div(i, s)


@formula
def same_padding(i: int, k: int, s: int, o: int) -> int:
    """Pixels that ``same`` adds along one axis, both ends together; the odd one stands at the far end."""
    return max((o - 1) * s + k - i, 0)


@formula
def same_before(p_both: int) -> int:
    """Half of what ``same`` adds stands before the first pixel."""
    return p_both // 2


@formula
def same_after(p_both: int) -> int:
    """The other half, and the odd one, stand after the last pixel."""
    return p_both - p_both // 2


@formula
def padded_size(i: int, p_start: int, p_end: int) -> int:
    """Size of an axis with what is added to its ends."""
    return i + p_start + p_end


@formula
def more_before(p_start: int, p_end: int) -> int:
    """What the near end is padded by more than the far one."""
    return max(p_start - p_end, 0)


@formula
def more_after(p_start: int, p_end: int) -> int:
    """What the far end is padded by more than the near one."""
    return max(p_end - p_start, 0)


@formula
def copied_elements(x: Shape) -> int:
    """Every number of the copy, the padding around it counted."""
    return prod(x)


Sizes = tuple[int, ...]
UNDILATED: Sizes = (1, 1)
UNPADDED: Sizes = (0, 0)


def sides(padding: Sizes | str, axes: Sizes, kernel: Sizes, stride: Sizes) -> tuple[tuple[int, int], ...]:
    """Return the padding before and after each axis; ``kernel`` is the dilated one."""
    if padding == "same":
        totals = [same_padding(i, k, s, same_window_count(i, s)) for i, k, s in zip(axes, kernel, stride, strict=True)]
        return tuple((same_before(total), same_after(total)) for total in totals)
    assert not isinstance(padding, str)
    if len(padding) == len(axes):
        return tuple((p, p) for p in padding)
    return tuple(zip(padding[::2], padding[1::2], strict=True))


def dilated(kernel_size: Sizes, dilation: Sizes) -> Sizes:
    """Return the span of the kernel along each axis."""
    return tuple(k if d == 1 else dilated_kernel(k, d) for k, d in zip(kernel_size, dilation, strict=True))


def slide(axes: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes | str, ceil_mode: bool = False) -> Sizes:
    """Return the positions of the (dilated) window along each axis. Raises ShapeError where it does not fit."""
    if padding == "same":
        return tuple(same_window_count(i, s) for i, s in zip(axes, stride, strict=True))
    counts = []
    for i, k, s, (start, end) in zip(axes, kernel, stride, sides(padding, axes, kernel, stride), strict=True):
        if ceil_mode:
            count = ceil_window_count(i, k, s, start, end)
        elif start == end:
            count = window_count(i, k, s, start)
        else:
            count = uneven_window_count(i, k, s, start, end)
        if count < 1:
            padded = f" padded to {i + start + end}" if start + end else ""
            raise ShapeError(
                "E102",
                f"a kernel that spans {k} does not fit an input of {i}{padded}: "
                f"{'ceil' if ceil_mode else 'floor'}(({i} + {start} + {end} - {k})/{s}) + 1 = {count} is below 1",
                help="a larger input, more padding, or a smaller kernel; what came before may have shrunk the map too far",
            )
        counts.append(count)
    return tuple(counts)


def padded_copy(x: Shape, kernel: Sizes, stride: Sizes, padding: Sizes | str) -> int:
    """Return the elements of the copy that is made where the two ends of an axis are padded differently, 0 where they are not.

    PyTorch's kernels pad both ends alike. What one end has more is laid around a copy first, and the rest is left to the kernel:
    torch.nn.Conv2d does so with ``same``.
    """
    if padding != "same" and len(padding) == len(kernel):
        return 0
    ends = sides(padding, x.axes, kernel, stride)
    if all(start == end for start, end in ends):
        return 0
    return padded_elements(x, [(more_before(start, end), more_after(start, end)) for start, end in ends])


def padded_elements(x: Shape, ends: Iterable[tuple[int, int]]) -> int:
    """Return the elements of a copy with padding before and after each axis."""
    axes = tuple(padded_size(i, start, end) for i, (start, end) in zip(x.axes, ends, strict=True))
    return copied_elements(x=x.with_axes(x.c, axes))


def windows(axes: Sizes, kernel_size: Sizes, stride: Sizes, padding: Sizes | str, dilation: Sizes) -> tuple[Window, ...]:
    """Return the windows that the receptive field is reckoned from."""
    before = sides(padding, axes, dilated(kernel_size, dilation), stride)
    return tuple(Window(k, s, p, d) for k, s, (p, _), d in zip(kernel_size, stride, before, dilation, strict=True))
