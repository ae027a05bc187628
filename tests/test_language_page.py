"""docs/spec-language.md against the language: its table of operators is complete, and its steps run."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from archcalc import analyse
from archcalc.ops import OPS, Op
from archcalc.ops.base import kinds, shown
from archcalc.spec import parse

PAGE = Path(__file__).resolve().parents[1] / "docs" / "spec-language.md"


def arguments(op: type[Op]) -> str:
    """An operator's arguments in order, each with its default where it has one."""
    if op.merges:
        return "branches, or `from: [...]`"
    defaults = dict(zip(reversed(op.__struct_fields__), reversed(op.__struct_defaults__), strict=False))
    return ", ".join(f"{name} = {default(defaults[name])}" if name in defaults else name for name in kinds(op)) or "none"


def default(value: object) -> str:
    """A default as a spec would write it: (1, 1) is 1."""
    return shown(value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value)


def operator_table() -> str:
    """Every operator with its arguments, those in a row that take the same ones."""
    rows = groupby(OPS.items(), key=lambda item: arguments(item[1]))
    lines = [f"| {', '.join(f'`{name}`' for name, _ in group)} | {taken} |" for taken, group in rows]
    return "\n".join(["| operators | arguments |", "|---|---|", *lines]) + "\n"


def test_the_table_of_operators_is_complete() -> None:
    assert operator_table() in PAGE.read_text(encoding="utf-8"), "write it anew from: python -m tests.test_language_page"


def examples(heading: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```yaml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("stride", "width", "params"), [(1, 64, 0), (1, 128, 64 * 128 + 2 * 128), (2, 64, 64 * 64 + 2 * 64)])
def test_a_shortcut_with_one_condition(stride: int, width: int, params: int) -> None:
    blocks, step = examples("A shortcut where it is needed")
    text = f"input: [64, 8, 8]\nparams: {{w: {width}, s: {stride}}}\n{blocks}layers:\n{step}"
    report = analyse(parse(text, "net.yaml").graph())
    assert sum(layer.params for layer in report.layers if layer.name.startswith("downsample")) == params
    assert tuple(report.layers[-1].output_shape) == (1, width, 8 // stride, 8 // stride)


if __name__ == "__main__":
    print(operator_table(), end="")
