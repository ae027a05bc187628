"""The PyTorch source of an operator: the text that makes its module, and the expression that calls it."""

from typing import Any

import msgspec

from archcalc.ops.base import Op, brief, defaults

Ends = tuple[tuple[int, int], ...]


class Code(msgspec.Struct, frozen=True):
    """An operator in PyTorch, for inputs of one shape.

    ``module`` is the expression that makes its module, None where a function does the work; ``call`` is the expression of its
    output, with ``{self}`` in the module's place and ``{0}``, ``{1}``, ... in those of the inputs.
    """

    module: str | None
    call: str = "{self}({0})"


def made(op: Op, name: str, *leading: object, **changed: Any) -> str:
    """Return the expression that makes ``name`` with the operator's fields, those left out that have PyTorch's default.

    ``leading`` goes by position: a text names a field, anything else is a value that PyTorch wants to be told (``in_channels``);
    ``changed`` holds fields as they amount to at this input.

    >>> from archcalc.ops import Conv2d
    >>> made(Conv2d(96, 11, stride=4), "nn.Conv2d", 3, "out_channels")
    'nn.Conv2d(3, 96, kernel_size=11, stride=4)'
    """
    usual = defaults(type(op))
    values = {field: changed.get(field, getattr(op, field)) for field in op.__struct_fields__}
    positional = [literal(values.pop(item) if isinstance(item, str) else item) for item in leading]
    keywords = [f"{field}={literal(value)}" for field, value in values.items() if field not in usual or value != usual[field]]
    return f"{name}({', '.join([*positional, *keywords])})"


def literal(value: Any) -> str:
    """Return a value as Python source, as briefly as PyTorch takes it.

    >>> literal((3, 3)), literal((1, 2)), literal("same"), literal(1e-05)
    ('3', '(1, 2)', '"same"', '1e-05')
    """
    value = brief(value)
    if isinstance(value, list):
        value = tuple(value)
    return f'"{value}"' if isinstance(value, str) else repr(value)


def padded(ends: Ends, source: str = "{0}", mode: str = "constant", value: str = "") -> str:
    """Return the expression of a copy with padding before and after each axis; torch counts axes from the last.

    >>> padded(((0, 3), (0, 3)))
    'F.pad({0}, (0, 3, 0, 3))'
    """
    flat = tuple(end for axis in reversed(ends) for end in axis)
    how = "" if mode == "constant" else f', mode="{mode}"'
    return f"F.pad({source}, {flat!r}{how}{value})"
