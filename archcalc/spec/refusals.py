"""What is said of steps and arguments that cannot be read: what is wrong with them, and what was most likely meant."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from archcalc.errors import SpecError, did_you_mean
from archcalc.ops import OPS, Op
from archcalc.ops.base import kinds, required, shown
from archcalc.spec.source import Mapping as TreeMapping
from archcalc.spec.source import Scalar, Sequence
from archcalc.spec.synonyms import ARGUMENTS, ELSEWHERE, INFERRED, OPERATORS, WORDS
from archcalc.spec.values import Value
from archcalc.spec.whitelist import LARGEST_NUMBER

# nn.Conv2d(3, 64), as in a module's source; compiled when an error needs it.
_CALLED = r"(?s:(?:torch\.)?(?:nn\.)?(\w+) ?(?:\((.*?)\)?)?)"


def unknown_step(key: Scalar, blocks: Mapping[str, tuple[str, ...]]) -> SpecError:
    """Return the error for a step that names no operator and none of the ``blocks``, which come with their arguments."""
    name = key.text
    if not name:
        return empty_step(key)
    called = re.fullmatch(_CALLED, name)
    meant = called[1] if called else name
    way_out: str | None
    if meant != name and meant in OPS:
        way_out = f"write `- {example(OPS[meant])}`"
    elif meant != name and meant in blocks:
        inside = called[2] if called and called[2] and "=" not in called[2] else ", ".join(blocks[meant])
        way_out = f"write `- {meant}: [{inside}]`"
    elif (missing := _absent(meant)) is not None:
        message, way_out = missing
        return SpecError("E034", message, help=way_out, place=key.place())
    else:
        way_out = did_you_mean(meant, [*OPS, *blocks, "group", "head"], OPERATORS)
    what = "operator" if name[:1].isupper() else "block"
    otherwise = "operators are named as in torch.nn, docs/spec-language.md lists them; a block is defined under blocks:"
    return SpecError("E034", f"unknown {what} {name[:60]}", help=way_out or otherwise, place=key.place())


def unknown_defaults(key: Scalar) -> SpecError:
    """Return the error for defaults of something that is no operator."""
    missing = _absent(key.text)
    if missing is not None:
        message, way_out = missing
        return SpecError("E034", message, help=way_out, place=key.place())
    help = did_you_mean(key.text, list(OPS), OPERATORS) or "defaults are per operator, named as in torch.nn"
    return SpecError("E034", f"unknown operator {key.text[:60]}", help=help, place=key.place())


def _absent(name: str) -> tuple[str, str] | None:
    from archcalc.spec.absent import absent  # deferred: only this error pays for the list

    return absent(name)


def not_one_step(tree: TreeMapping, blocks: Collection[str]) -> SpecError:
    """Return the error for a mapping that should be a single operator or block with its arguments inside."""
    if not tree.entries:
        return empty_step(tree)
    words = [key.text for key, _ in tree.entries]
    step = next((word for word in words if word in OPS or word in blocks or word in ("group", "head")), None)
    if step is None:
        way_out = "begin with the operator: `- Conv2d: {out_channels: 64, kernel_size: 3}`"
    else:
        inside = ", ".join(f"{word}: ..." for word in words[:3] if word != step)
        way_out = f"write `- {step}: {{{inside}}}`, or indent them deeper"
    message = f"a step is one operator or block with its arguments inside, not {', '.join(words[:6])}"
    return SpecError("E033", message, help=way_out, place=tree.place())


def empty_step(tree: Scalar | TreeMapping) -> SpecError:
    """Return the error for a dash with nothing behind it."""
    help = "write an operator or a block behind the dash: `- ReLU`"
    return SpecError("E033", "this step is empty", help=help, place=tree.place())


def unknown_argument(op: type[Op], key: Scalar, common: tuple[str, ...]) -> SpecError:
    """Return the error for an argument that the operator does not have, and that is none of the ``common`` ones."""
    name = key.text
    if name in INFERRED:
        return SpecError("E038", f"{name} of {op.__name__} is inferred from the layer before", help="remove it", place=key.place())
    own = list(kinds(op))
    way_out = ELSEWHERE.get(name) or did_you_mean(name, [*own, *common], ARGUMENTS)
    otherwise = f"{op.__name__} takes {', '.join(own) if own else 'no arguments of its own'}"
    return SpecError("E038", f"{op.__name__} has no argument {name[:60]}", help=way_out or otherwise, place=key.place())


def example(op: type[Op], given: Scalar | Sequence | None = None) -> str:
    """Return how the operator is written, with the arguments that it cannot do without, or those ``given`` without their names."""
    if op.merges:
        return f"{op.__name__}: {{main: [...], skip: []}}"
    values = [] if given is None else _values(op, given)
    needed = required(op) or _named(op)[: len(values)]
    inside = ", ".join(f"{name}: {values[place] if place < len(values) else '...'}" for place, name in enumerate(needed))
    return f"{op.__name__}: {{{inside}}}" if inside else op.__name__


def _values(op: type[Op], given: Scalar | Sequence) -> list[str]:
    """Return what was written without names, if it can be the operator's first arguments."""
    items = [given] if isinstance(given, Scalar) else given.items
    names = required(op) or _named(op)[:1]
    if len(items) > len(names):
        return []
    for name, item in zip(names, items, strict=False):
        try:
            if not isinstance(item, Scalar):
                return []
            if not isinstance(item.value, str):
                kinds(op)[name].read(item.value)
        except ValueError:
            return []
    return [item.text for item in items if isinstance(item, Scalar)]


def _named(op: type[Op]) -> tuple[str, ...]:
    """Return the arguments in PyTorch's order; none of a norm, before whose eps PyTorch has the channels."""
    names = tuple(kinds(op))
    return () if names[:1] == ("eps",) else names


def wrong_argument(op: type[Op], name: str, value: Value, expected: str) -> SpecError:
    """Return the error for an argument whose value, known before any number of the graph is, cannot be taken."""
    message = f"{name} of {op.__name__} must be {expected}, not {shown(value.constant)}"
    return SpecError("E120", message, help=whole_help(value, value.constant), place=value.tree.place())


def whole_help(value: Value, found: Any) -> str | None:
    """Return the way out where a fraction, or a word of another library, stands for a whole number."""
    if not isinstance(found, float):
        return WORDS.get(str(found).lower()) if found is None or isinstance(found, str) else None
    if not abs(found) < LARGEST_NUMBER:
        return WORDS["inf"]
    if found.is_integer():
        return f"write {int(found)}"
    return f"floor({value.tree.text}) is a whole number" if isinstance(value.tree, Scalar) else "floor(x) is a whole number"


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "argument"), counted(2, "argument")
    ('1 argument', '2 arguments')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
