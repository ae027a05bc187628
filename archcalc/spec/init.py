"""``init``: how a step's parameters begin, as written, and as Init once the operator and its input are known."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from archcalc.errors import SpecError, did_you_mean, nearest
from archcalc.ops import Op
from archcalc.ops.base import Fans
from archcalc.ops.initial import DISTRIBUTIONS, FANS, NEEDED, SIGNED, Init, Start
from archcalc.shape import Shape
from archcalc.spec.source import Mapping as TreeMapping
from archcalc.spec.source import Scalar, Tree
from archcalc.spec.synonyms import DISTRIBUTION_WORDS
from archcalc.spec.values import Value, read_value
from archcalc.spec.whitelist import shown

INIT = "init"
INIT_HELP = "init is written at a layer that holds weights, or for all of an operator under defaults:"
EXAMPLE = "init: {weight: {normal: 0.01}, bias: 1}"
MOST = 1e30  # far beyond any weight, and far enough below float32's 3.4e38 that nothing that is drawn becomes infinite

Evaluate = Callable[[Value, Mapping[str, Any]], Any]  # of a value, under some names besides those that are known at its place


class Written(msgspec.Struct, frozen=True):
    """How one parameter begins, its numbers still unevaluated; ``own`` where it is written at the step, not in ``defaults``."""

    tree: Tree
    how: str
    arguments: dict[str, Value]
    own: bool


_PARAMETERS = {"kernel": "weight", "weights": "weight", "gamma": "weight", "biases": "bias", "beta": "bias"}
_ARGUMENTS = {"stddev": "std", "sigma": "std", "var": "variance", "limit": "bound", "scale": "gain"}

Beginnings = dict[str, Written]  # by the parameter


def read_init(op: type[Op], key: Scalar, tree: Tree, own: bool) -> Beginnings:
    """Read an ``init``. Raises SpecError for parameters that the operator does not have and for what is no distribution."""
    if not op.begins:
        help = "write it at a layer that holds weights, or leave it out"
        raise SpecError("E062", f"{op.__name__} has no parameters that init could be about", help=help, place=key.place())
    if not isinstance(tree, TreeMapping):
        message = f"init names the parameters that it is about, which {tree.kind} does not"
        raise SpecError("E063", message, help=f"write `{EXAMPLE}`", place=tree.place())
    for name, _ in tree.entries:
        if name.text not in op.begins:
            meant = did_you_mean(name.text, op.begins, _PARAMETERS)
            raise SpecError("E062", f"{op.__name__} has no parameter {name.text[:60]}", help=meant, place=name.place())
    return {name.text: _distribution(name.text, value, own) for name, value in tree.entries}


def _distribution(parameter: str, tree: Tree, own: bool) -> Written:
    """Read one of the forms: a number, a word, or a word with its argument or arguments."""
    if isinstance(tree, TreeMapping):
        if len(tree.entries) != 1:
            message = f"the init of {parameter} is one distribution, not {', '.join(key.text for key, _ in tree.entries) or 'none'}"
            raise SpecError("E063", message, help=f"write `{EXAMPLE}`", place=tree.place())
        word, inside = tree.entries[0]
        known = _known(word)
        return Written(tree, word.text, _needed(word, known, _arguments(word, known, inside)), own)
    if isinstance(tree, Scalar) and tree.value is None:
        raise SpecError("E063", f"the init of {parameter} is empty", help="leave it out, or write 0 or a word", place=tree.place())
    if isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.text in DISTRIBUTIONS:
        return Written(tree, tree.text, _needed(tree, DISTRIBUTIONS[tree.text], {}), own)
    if isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.text.lower() in DISTRIBUTION_WORDS:
        raise _unknown(tree)
    return Written(tree, "constant", {"value": read_value(tree)}, own)


def _known(word: Scalar) -> dict[str, Any]:
    if word.text not in DISTRIBUTIONS:
        raise _unknown(word)
    return DISTRIBUTIONS[word.text]


def _unknown(word: Scalar) -> SpecError:
    meant = DISTRIBUTION_WORDS.get(word.text.lower()) or nearest(word.text, list(DISTRIBUTIONS))
    help = f"did you mean {meant}?" if meant else f"a number, or one of {', '.join(DISTRIBUTIONS)}"
    return SpecError("E063", f"there is no distribution {word.text[:60]}", help=help, place=word.place())


def _arguments(word: Scalar, known: dict[str, Any], inside: Tree) -> dict[str, Value]:
    """Read what stands behind a distribution's word: nothing, its first argument, or arguments by their names."""
    if isinstance(inside, Scalar) and inside.value is None:
        return {}
    if not isinstance(inside, TreeMapping):
        first = next(iter(known))
        return {first: _read(first, inside)}
    for name, _ in inside.entries:
        if name.text not in known:
            message = f"{word.text} has no argument {name.text[:60]}"
            help = did_you_mean(name.text, list(known), _ARGUMENTS)
            raise SpecError("E063", message, help=help, place=name.place())
    return {name.text: _read(name.text, value) for name, value in inside.entries}


def _read(argument: str, tree: Tree) -> Value:
    return read_value(tree, FANS if argument == "mode" else ())


def _needed(word: Scalar, known: dict[str, Any], arguments: dict[str, Value]) -> dict[str, Value]:
    """Return the arguments. Raises SpecError if one is missing, or a spread is given twice."""
    spreads = [name for name in ("std", "variance") if name in arguments]
    if len(spreads) == 2:
        message = f"{word.text} takes a std or a variance, not both"
        raise SpecError("E063", message, help="leave one of the two", place=word.place())
    missing = [name for name, default in known.items() if default is NEEDED and name not in arguments and not spreads]
    if missing:
        raise SpecError("E063", f"{word.text} needs a {missing[0]}", help=f"write `{{{word.text}: 0.01}}`", place=word.place())
    return {name: arguments[name] for name in known if name in arguments}


def beginning(op: Op, x: Shape, written: Beginnings, evaluate: Evaluate) -> Init | None:
    """Return how an operator's parameters begin on an input of shape ``x``, None where nothing is said of those that it has.

    ``evaluate`` gives a written value under some more names: ``fan_in`` and ``fan_out``. Raises SpecError for numbers that no
    distribution can have, and for a parameter that the step itself names but does not have.
    """
    fans = op.fans(x)
    learned = [(stored.name.rpartition(".")[2], stored.sizes) for stored in op.state(x) if stored.learned]
    found = {}
    for part, start in written.items():
        sizes = [sizes for name, sizes in learned if name == part]
        if sizes:
            # Along the first axis: of the one tensor, or of as many as there are outputs.
            entries = len(sizes) if len(sizes) > 1 else sizes[0][0]
            found[part] = _start(start, part, fans, entries, evaluate, type(op).__name__)
        elif start.own:
            message = f"{type(op).__name__} has no {part} here"
            raise SpecError("E062", message, help=f"leave {part} out of its init", place=start.tree.place())
    return Init(**found) if found else None


def _start(start: Written, part: str, fans: tuple[Fans, ...], entries: int, evaluate: Evaluate, op: str) -> Start:
    """Return how one parameter begins; where fans differ from output to output, with a number for each."""
    if start.how.startswith(("kaiming", "xavier")) and (part == "bias" or not fans):
        message = f"{start.how} goes by the size of a matrix, which the {part} of {op} is not"
        raise SpecError("E064", message, help="write a number, or normal or uniform", place=start.tree.place())
    arguments = []
    for name, value in start.arguments.items():
        result = value.constant if name == "mode" else _numbers(start, value, fans, evaluate)
        wrong = _problem(name, result, entries)
        if wrong is not None:
            raise SpecError("E064", f"{name} of {start.how} must be {wrong}", place=value.tree.place())
        arguments.append((name, tuple(result) if isinstance(result, list) else result))
    return Start(start.how, tuple(arguments))


def _numbers(start: Written, value: Value, fans: tuple[Fans, ...], evaluate: Evaluate) -> Any:
    """Return a value: under each of the fans if it names them."""
    if value.names.isdisjoint(FANS):
        return _evaluated(start, value, evaluate)
    if not fans:
        message = "fan_in and fan_out are known where there is a matrix of weights, which a scale is not"
        raise SpecError("E064", message, help="write a number", place=value.tree.place())
    # As floats: a fraction of them need not be a whole number.
    results = {fan: evaluate(value, dict(zip(FANS, map(float, fan), strict=True))) for fan in dict.fromkeys(fans)}
    return results[fans[0]] if len(fans) == 1 else [results[fan] for fan in fans]


def _evaluated(start: Written, value: Value, evaluate: Evaluate) -> Any:
    """Return a value; a name that is not known may be a distribution's, misspelt."""
    try:
        return evaluate(value, {})
    except SpecError as error:
        word = nearest(value.tree.text, list(DISTRIBUTIONS)) if isinstance(value.tree, Scalar) and start.how == "constant" else None
        if error.code == "E021" and word is not None:
            error.help = f"did you mean {word}?"
        raise


def _problem(name: str, result: Any, entries: int) -> str | None:
    """Return what an argument should be instead, None if it is right."""
    if name == "mode":
        return None if result in FANS else " or ".join(FANS)
    for number in result if isinstance(result, list) else [result]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            return f"a number, not {shown(number)}"
        if number < 0 and name not in SIGNED:
            return f"a number of at least 0, not {shown(number)}"
        if not abs(number) <= MOST:  # nan is in no order
            return f"a number within {MOST:g}, not {shown(number)}"
    if isinstance(result, list) and len(result) != entries:
        return f"one number, or one for each of the {entries:,} entries along the first axis, not {len(result):,} numbers"
    return None
