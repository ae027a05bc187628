"""The shape of a tensor, batch first: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W)."""

from math import prod
from operator import itemgetter


class Shape(tuple[int, ...]):
    """Sizes of a tensor, batch first, as in PyTorch.

    >>> Shape((1, 96, 55, 55)).elements
    290400
    """

    __slots__ = ()

    n = property(itemgetter(0), doc="Images in the batch.")
    c = property(itemgetter(1), doc="Channels, or features of a flat tensor.")
    axes = property(itemgetter(slice(2, None)), doc="Sizes of the spatial axes: (H, W) for an image, () for a flat tensor.")

    @property
    def elements(self) -> int:
        """Numbers that the tensor holds, over the whole batch."""
        return prod(self)

    def with_axes(self, c: int, axes: tuple[int, ...]) -> "Shape":
        """Return the same batch with ``c`` channels and other spatial sizes."""
        return Shape((self[0], c, *axes))

    def __str__(self) -> str:
        """Without the batch, the way papers print a feature map: 96x55x55."""
        return "x".join(map(str, self[1:]))
