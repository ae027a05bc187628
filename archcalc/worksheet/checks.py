"""One claim held against what is right: a number, a tensor's sizes, or plain arithmetic."""

import re
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

from msgspec.structs import replace

from archcalc.errors import ArchcalcError
from archcalc.ops import Op
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import written
from archcalc.worksheet.compare import bits_of, follows, rounded, says
from archcalc.worksheet.hints import factor_hint, size_hints, window_in
from archcalc.worksheet.operators import arithmetic_of, entering, given
from archcalc.worksheet.page import Claim, Finding, Plain, Term
from archcalc.worksheet.slips import Case, Named, name_slip, swapped_digits

FLOAT_BYTES = 4


class Habits(NamedTuple):
    """How this page counts, where honest people differ."""

    bias: bool = True
    flops_per_mac: int = 2
    binary: bool = False  # MB are powers of 1024
    norm: int = 2  # parameters of a BatchNorm's channel: 4 with its running statistics, as Keras counts


class Answer(NamedTuple):
    """The right number of a quantity: its arithmetic, and what else counts as right under another common reading."""

    right: int
    because: str
    also: tuple[int, ...] = ()
    in_bytes: bool = False

    @property
    def all(self) -> tuple[int, ...]:
        """Every number that is accepted."""
        return (self.right, *self.also)


def answer(quantity: str, op: Op, x: Shape, y: Shape, habits: Habits, unit: str = "") -> Answer | None:
    """Return the right number of a layer, None for a quantity that it has no answer to."""
    x = entering(op, x)
    try:
        traced: int = _ask(quantity, op, given(x), given(y), habits)
    except (ArchcalcError, AttributeError):
        return None
    right = int(traced)
    also: tuple[int, ...] = ()
    if quantity == "weights":
        also = (op.params(x), right, op.params(x) - _biases(op, x))
    elif quantity == "macs":
        also = (op.macs(x, y) + (op.elementwise(x, y) if hasattr(op, "bias") else 0),)
    elif quantity == "flops":
        biases = op.elementwise(x, y) if hasattr(op, "bias") else 0
        also = (right + biases, right - prod(y)) if right else (op.elementwise(x, y),)
    elif quantity == "param_memory":
        right *= FLOAT_BYTES
    elif quantity == "memory":
        also = (FLOAT_BYTES * right,)  # in bytes
        right *= FLOAT_BYTES if unit else 1
        if not x.axes and op.params(x):
            also += (FLOAT_BYTES * op.params(x),)  # of a fully connected layer people note what its parameters take
    because = (
        arithmetic_of(traced) if right or quantity not in ("params", "macs") else f"{type(op).__name__} has no {_words(quantity)}"
    )
    if quantity == "flops" and right and habits.flops_per_mac == 2:
        because = f"2*{arithmetic_of(op.macs(given(x), given(y))).rpartition(' = ')[0]} = {written(right)}"
    if quantity == "memory":
        because = f"{'*'.join(map(str, y[2:] + y[1:2]))}{f'*{FLOAT_BYTES} bytes' if unit else ''} = {written(right)}"
    if quantity == "param_memory":
        because = f"{arithmetic_of(traced)} parameters, {FLOAT_BYTES} bytes each: {written(right)} bytes"
    return Answer(right, because, also, bool(unit))


def _words(quantity: str) -> str:
    return {"params": "parameters", "macs": "MACs"}.get(quantity, quantity)


def _ask(quantity: str, op: Op, x: Shape, y: Shape, habits: Habits) -> int:
    if quantity in ("params", "weights", "param_memory"):
        if type(op).__name__.startswith("BatchNorm") and habits.norm == 4:
            return 2 * op.params(x)
        if (quantity == "weights" or not habits.bias) and getattr(op, "bias", False) is True:
            without: Op = replace(op, bias=False)
            return without.params(x)
        return op.params(x)
    if quantity == "biases":
        return _biases(op, x)
    if quantity == "macs":
        return op.macs(x, y)
    if quantity == "flops":
        return habits.flops_per_mac * op.macs(x, y)
    if quantity == "memory":
        return prod(y)
    if quantity == "neurons":
        return op.neurons(x, y) or prod(y[1:])
    if quantity == "connections":
        return op.connections(x, y)
    raise AttributeError(quantity)


def _biases(op: Op, x: Shape) -> int:
    return sum(prod(stored.sizes) for stored in op.state(x) if stored.name == "bias")


def matches(term: Term, answer: Answer, habits: Habits) -> bool:
    """Whether the term says the right number, or another that is accepted."""
    if term.unit or answer.in_bytes:
        scale = Fraction(8, bits_of(term, habits.binary))
        return any(says(term, right * scale) for right in answer.all)
    return any(says(term, right) for right in answer.all)


def verdict(claim: Claim, status: str, **more: Any) -> Finding:
    """Return a finding about the claim."""
    return Finding(claim.line, claim.text, status, claim.quantity, **more)


def judge_number(claim: Claim, truth: Answer, own: tuple[tuple[Answer, int], ...], case: Case | None, habits: Habits) -> Finding:
    """Judge a chain that ends in a number; ``own`` holds the answers on the writer's own values, with the lines these come from."""
    terms = claim.terms
    final = terms[-1]
    consistent = next((index for index in range(1, len(terms)) if not follows(terms[index - 1], terms[index])), None)
    right = matches(final, truth, habits)
    if right and consistent is None:
        return verdict(claim, "right", expected=truth.right, found=plain(final))
    for other, line in own:
        if consistent is None and not right and matches(final, other, habits):
            return verdict(claim, "right", expected=truth.right, found=plain(final), because=other.because, carried_from=line)
    if consistent is not None and (right or not any(matches(term, truth, habits) for term in terms[:consistent])):
        carried = next((line for other, line in own if matches(final, other, habits)), None)
        if right or carried:
            because = _inequality(terms[consistent - 1], terms[consistent])
            return verdict(
                claim, "wrong", expected=truth.right, found=plain(final), because=because, hints=_product_hints(claim, truth)
            )
    return _wrong_number(claim, truth, case, habits, consistent)


def _wrong_number(claim: Claim, truth: Answer, case: Case | None, habits: Habits, broken: int | None) -> Finding:
    final = claim.terms[-1]
    slip = _slip(claim, truth, case, habits)
    if slip is None and broken is not None and any(matches(term, truth, habits) for term in claim.terms[:broken]):
        slip = Named("product", f"the arithmetic shown is right, but it gives {written(truth.right)}")
    return verdict(
        claim,
        "wrong",
        expected=truth.right,
        found=plain(final),
        because=truth.because,
        hints=_product_hints(claim, truth),
        slip=slip.key if slip else None,
        remark=slip.remark if slip else "",
    )


def _slip(claim: Claim, truth: Answer, case: Case | None, habits: Habits) -> Named | None:
    final = claim.terms[-1]
    if final.value is None:
        return None
    if final.unit or truth.in_bytes:
        return _unit_slip(final, truth)
    if final.value.denominator != 1 or (final.figure is not None and final.figure.power > 0):
        return _rounded_slip(claim, final, case)
    value = int(final.value)
    if case is not None:
        return name_slip(claim.quantity, case._replace(right=truth.right), value)
    return swapped_digits(truth.right, value)


def _rounded_slip(claim: Claim, final: Term, case: Case | None) -> Named | None:
    """Return the slip that a rounded figure shows, where its arithmetic gives it to the last digit, or a factor of 2."""
    exact = next(
        (term.value for term in claim.terms if term.value is not None and term.figure is None and term.value.denominator == 1), None
    )
    if case is None:
        return None
    if exact is not None:
        return name_slip(claim.quantity, case, int(exact))
    factor = {"macs": Fraction(2), "flops": Fraction(1, 2)}.get(claim.quantity)
    if factor is not None and says(final, case.right * factor):
        return name_slip(claim.quantity, case, int(case.right * factor))
    return None


def _unit_slip(final: Term, truth: Answer) -> Named | None:
    for right in truth.all:
        bits = Fraction(8 * right)
        if says(final, bits / bits_of(final, binary=True)):
            return Named("mb_or_mib", f"{final.unit[0]}iB are powers of 1024, {final.unit} of 1000")
        for decimal, binary in (("kib", "kb"), ("mib", "mb"), ("gib", "gb")):
            if final.unit.lower() == decimal and says(final, bits / bits_of(_with_unit(final, binary))):
                return Named("mb_or_mib", f"{final.unit} are powers of 1024; this is counted in powers of 1000")
        for factor, said in ((8, "bits are counted, not bytes"), (Fraction(1, 8), "bytes are counted, not bits")):
            if says(final, bits * factor / bits_of(final)):
                return Named("bits_or_bytes", f"a byte has 8 bits: {said}")
        if says(final, bits / FLOAT_BYTES / bits_of(final)):
            return Named("item_bytes", f"each float32 number takes {FLOAT_BYTES} bytes")
    return None


def _with_unit(term: Term, unit: str) -> Term:
    return replace(term, unit=unit)


def _product_hints(claim: Claim, truth: Answer) -> tuple[str, ...]:
    hint = factor_hint(claim.terms, truth.right) if claim.terms[0].figure is None and len(claim.terms) > 1 else None
    return (hint,) if hint else ()


def judge_arithmetic(claim: Claim) -> Finding:
    """Judge a chain by itself: each equals sign."""
    sizes = window_in(claim.terms[0]) is not None
    for before, after in zip(claim.terms, claim.terms[1:], strict=False):
        if not follows(before, after, sizes):
            return wrong_equality(claim, before, after)
    final = claim.terms[-1]
    return verdict(claim, "right", expected=plain(claim.terms[0]), found=plain(final))


def wrong_equality(claim: Claim, before: Term, after: Term) -> Finding:
    """Return the finding that the right side is not what the left side gives."""
    assert before.value is not None
    slip: Named | None = None
    if before.unit and after.unit:
        count = before.value * bits_of(before) / 8
        slip = _unit_slip(after, Answer(int(count), "")) if count.denominator == 1 else None
    elif before.value.denominator == 1 and after.value is not None and after.value.denominator == 1:
        slip = swapped_digits(int(before.value), int(after.value)) or Named(
            "product", "the arithmetic shown does not give this number"
        )
    return verdict(
        claim,
        "wrong",
        expected=plain(before),
        found=plain(after),
        because=_inequality(before, after),
        hints=_window_hints(before, after),
        slip=slip.key if slip else None,
        remark=slip.remark if slip else "",
    )


def _window_hints(before: Term, after: Term) -> tuple[str, ...]:
    window = window_in(before)
    if window is None or after.value is None or after.value.denominator != 1:
        return ()
    hints = size_hints(window, int(after.value))
    return (f"{written(after.value)} needs {', or '.join(hints)}",) if hints else ()


def _inequality(before: Term, after: Term) -> str:
    assert before.value is not None
    as_it_stands = after.value is None or after.figure is not None or len(after.shape or ()) > 1
    shown = after.text if as_it_stands or after.value is None else written(after.value)
    left = spaced(before.text)
    value = written(before.value)
    return f"{value}, not {shown}" if re.sub("[ ,]", "", left) == value.replace(",", "") else f"{left} = {value}, not {shown}"


def spaced(text: str) -> str:
    """Return arithmetic with spaces as formulas have them: ``(224 - 11)/4 + 1``."""
    text = re.sub(r"(?<=[0-9)\]])\s*([-+])\s*(?=[0-9(\[])", r" \1 ", text)
    return re.sub(r"(?<=[0-9)\]])\s*[xX*]\s*(?=[0-9(\[])", "*", text)


def plain(term: Term) -> Plain:
    """Return the number or sizes of a term as data."""
    if term.shape is not None and len(term.shape) > 1:
        return term.shape
    if term.value is None:
        return None
    if term.value.denominator == 1 and not term.unit:
        return int(term.value)
    return term.text if term.unit or term.figure is not None else written(term.value)


def size_follows(before: Term, after: Term, ceil: bool) -> bool:
    """Whether a size follows from its arithmetic, the division rounded the way the layer rounds."""
    if follows(before, after):
        return True
    rounded_size = rounded(before, "ceil" if ceil else "floor")
    return rounded_size is not None and rounded_size == after.value
