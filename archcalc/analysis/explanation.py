"""What an explanation is: a quantity with its arithmetic, the windows that it comes from, and what a total is the sum of."""

import msgspec

from archcalc.analysis.derive import Derivation, Number


class Border(msgspec.Struct, frozen=True):
    """What a window does along one axis: ``span`` pixels, moved by ``stride``, over ``size`` pixels and the padding around them.

    ``left_over`` pixels (padding counted) lie behind the last window; below 0 that window hangs over the far end.
    """

    axis: str
    size: int
    kernel: int
    dilation: int
    stride: int
    before: int
    after: int
    windows: int

    @property
    def span(self) -> int:
        """Pixels from the first to the last element of the window."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def left_over(self) -> int:
        """Pixels behind the last window."""
        return self.before + self.size + self.after - ((self.windows - 1) * self.stride + self.span)


class Term(msgspec.Struct, frozen=True):
    """What one layer adds to a total, and by which arithmetic."""

    layer: str
    result: int
    numbers: str


class Explanation(msgspec.Struct, frozen=True):
    """One quantity of one layer, or with ``layer`` None its total and the ``terms`` of that.

    ``derivations`` are the arithmetic, one for each number of the result; ``trail`` what earlier layers did to get there, nearest
    first, and ``more`` whether it goes on. ``notes`` say what no formula says.
    """

    quantity: str
    layer: str | None
    op: str
    result: Number | tuple[Number, ...] | None
    derivations: tuple[Derivation, ...] = ()
    borders: tuple[Border, ...] = ()
    trail: tuple[Derivation, ...] = ()
    more: bool = False
    notes: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
