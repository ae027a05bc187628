"""What a window does at the borders of an axis, drawn in text: which pixels it begins and ends with, and what is left over."""

from archcalc.analysis.explanation import Border
from archcalc.render.figures import count

WIDEST = 70  # characters of a drawing
GAP = " ... "


def picture(axis: str, border: Border) -> list[str]:
    """Return the sentence about an axis, and the drawing where there is room for it: one character for each pixel.

    ``o`` is a pixel, ``+`` padding, ``.`` a pixel that no window sees, ``~`` what lies beyond; ``#`` is an element of the window.
    """
    return [*sentences(axis, border), *drawing(border)]


def sentences(axis: str, border: Border) -> list[str]:
    """Return in words how the windows fit."""
    total = border.before + border.size + border.after
    padded = f" + {border.before} + {border.after} of padding = {count(total)}" if total > border.size else ""
    taken = (border.windows - 1) * border.stride + border.span
    windows = f"{count(border.windows)} window{'s' if border.windows > 1 else ''} of {border.span}"
    reckoned = f"({border.windows} - 1)*{border.stride} + {border.span} = {count(taken)}"
    fits = [f"{windows}, {border.stride} apart, take {reckoned}", _rest(border), *_unseen(border)]
    return [f"{axis}: {count(border.size)} pixels{padded}", *(f"  {line}" for line in fits)]


def _rest(border: Border) -> str:
    """Return what lies behind the last window."""
    left = border.left_over
    if left < 0:
        return f"the last hangs {-left} over the far end (ceil_mode)"
    if left == 0:
        return "nothing is left over"
    pixels = max(0, left - border.after)
    if not pixels:
        return f"{left} left over, all of it padding"
    return f"{left} left over, {pixels} of the image" if left > pixels else f"{left} left over at the far end, seen by no window"


def _unseen(border: Border) -> list[str]:
    missed = border.stride - border.span
    return [f"{missed} pixels between neighbouring windows are seen by none"] if missed > 0 and border.windows > 1 else []


def drawing(border: Border) -> list[str]:
    """Return the axis with its first two windows and its last one; nothing where they are too wide to draw."""
    end = max(border.before + border.size + border.after, (border.windows - 1) * border.stride + border.span)
    head = min(end, border.stride * min(1, border.windows - 1) + border.span + 1)
    tail = max(head, (border.windows - 1) * border.stride - 1)
    if tail - head <= len(GAP):
        tail = head
    if head + len(GAP) * (tail > head) + end - tail > WIDEST:
        return []
    shown = sorted({0, min(1, border.windows - 1), border.windows - 1})
    labels = [f"window {number + 1}" for number in shown]
    width = max(map(len, labels))
    rows = [(f"{'':{width}}", [_pixel(border, position) for position in range(end)])]
    rows += [(f"{label:{width}}", _window(border, number, end)) for label, number in zip(labels, shown, strict=True)]
    gap = "" if tail == head else GAP
    lines = []
    for number, (label, cells) in enumerate(rows):
        between = gap if number == 0 else " " * len(gap)
        lines.append(f"  {label}  {''.join(cells[:head])}{between}{''.join(cells[tail:])}".rstrip())
    return lines


def _pixel(border: Border, position: int) -> str:
    """Return the sign of one place along the axis, counted from where the padding begins."""
    if position >= border.before + border.size + border.after:
        return "~"
    if not border.before <= position < border.before + border.size:
        return "+"
    first = min(position // border.stride, border.windows - 1)
    seen = any(
        0 <= (offset := position - number * border.stride) < border.span and offset % border.dilation == 0
        for number in range(max(0, first - border.span // border.stride - 1), first + 1)
    )
    return "o" if seen else "."


def _window(border: Border, number: int, end: int) -> list[str]:
    """Return the row of one window: its elements, and strokes between them where it is dilated."""
    start = number * border.stride
    offsets = [position - start for position in range(end)]
    return [" " if not 0 <= offset < border.span else "#" if offset % border.dilation == 0 else "-" for offset in offsets]
