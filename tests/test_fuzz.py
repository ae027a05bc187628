"""Random text, random edits of real specs, random settings: nothing but archcalc's own errors comes out, and soon."""

# ruff: noqa: E501 (what is spliced in, and the bombs, read by the row)

import os
import random
import re
import string
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archcalc
from archcalc.errors import CODES, ArchcalcError
from archcalc.spec import index, parse, read_spec
from archcalc.spec.source import MOST_BYTES

SPECS = sorted(Path(__file__).parents[1].glob("specs/*.yaml")) + sorted(Path(__file__).parent.glob("data/specs/*.yaml"))
CORPUS = [path.read_text(encoding="utf-8") for path in SPECS]
EDITS = int(os.environ.get("ARCHCALC_FUZZ", 1_000_000))  # how many the slow run makes
BATCH = 5_000  # edits under one seed: a long run goes on from any of them, ARCHCALC_FUZZ_FROM
SLOWEST_SECONDS = 20.0  # of the processor, for the worst spec that 64 KiB can hold: a hang, not a benchmark

# What a careless hand, or a careful attacker, puts in the place of something else.
SPLICES = [
    *"0 1 -1 2 3 7 224 100000 2147483648 9223372036854775808 1e400 .inf .nan 0.5 -0.0 1e9 0x10 010 true false null ~ same i".split(),
    *"[ ] { } ( ) : , - -- ? ! & * # | > % @ ` ' \" \\ + / // == < and or not if else in is lambda".split(),
    *"name repeat from share frozen layers blocks params input defaults variants expect group head numbered main skip".split(),
    *"Conv2d Linear ReLU Add Multiply Concat Flatten Upsample Resize GlobalAvgPool2d BatchNorm2d Softmax in_channels in_height".split(),
    *["[]", "{}", "[0, 1]", "[[1], 2]", "[1, [2, [3]]]", "{a: b}", "\t", "  ", "\n", "\n- ", "\n    ", "9" * 400, "(" * 90, "[" * 60, "가", "\ud7ff"],
    *["if: false", "repeat: 40", "repeat: i", "from: input", "share: conv1", "frozen: true", "len(depths)", "max([1, 2])", "4*width", "w/3", "name{i}"],
]  # fmt: skip
TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9.]+|[^\sA-Za-z0-9_]")


def edited(text: str, random: random.Random) -> str:
    """The text after a few edits of lines or tokens."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        lines = text.split("\n")
        kind = random.randrange(9)
        here, there = random.randrange(len(lines)), random.randrange(len(lines))
        if kind == 0:
            del lines[here]
        elif kind == 1:
            lines.insert(there, lines[here])
        elif kind == 2:
            lines[here], lines[there] = lines[there], lines[here]
        elif kind == 3:
            lines[here] = " " * random.randrange(9) + lines[here].lstrip()
        else:
            spans = [match.span() for match in TOKEN.finditer(lines[here])]
            if spans:
                lines[here] = replaced(lines[here], spans, kind, random)
        text = "\n".join(lines)
    return text


def replaced(line: str, spans: list[tuple[int, int]], kind: int, random: random.Random) -> str:
    """The line with one token deleted, exchanged, doubled or followed by something else."""
    start, end = random.choice(spans)
    if kind == 4:
        return line[:start] + line[end:]
    if kind == 5:
        other = random.choice(spans)
        return line[:start] + line[other[0] : other[1]] + line[end:]
    if kind == 6:
        return line[:end] + random.choice(SPLICES) + line[end:]
    return line[:start] + random.choice(SPLICES) + line[end:]


def survives(text: str | bytes, random: random.Random | None = None) -> str:
    """Load, build and analyse; returns the code of the error, or "". Anything but an ArchcalcError, or a long wait, fails."""
    started = time.process_time()  # not the wall clock: other work on the machine is no fault of the spec
    code = ""
    try:
        spec = parse(text, "net.yaml")
        variant = None  # mostly the file's own, of which few are large
        if random is not None and random.random() < 0.1:
            variant = random.choice(list(spec.variants))
        archcalc.analyse(spec.graph(variant))
    except ArchcalcError as error:
        code = checked(error)
    assert time.process_time() - started < SLOWEST_SECONDS, f"{time.process_time() - started:.1f} s"
    return code


def checked(error: ArchcalcError) -> str:
    """The error's code, once it is sure that the error can be shown: with a place in the file, in a few lines."""
    assert error.code in CODES
    assert "\n" not in error.message.replace(r"\n", "")
    assert len(error.message) < 1_500, error.message
    assert error.place is None or (error.place.line >= 1 and error.place.column >= 1 and error.place.width >= 1)
    if error.code < "E200":
        assert error.place is not None, f"{error} does not say where"
    return error.code


def run_edits(first: int, count: int) -> dict[str, int]:
    """Make so many edits, numbered from ``first``, and count what came of them; an edit depends on its number alone."""
    found: dict[str, int] = {}
    for number in range(first, first + count):
        chance = random.Random(number)
        text = edited(chance.choice(CORPUS), chance)
        try:
            code = survives(text, chance)
        except Exception as error:
            raise AssertionError(f"edit {number} raised {type(error).__name__}: {error}\n{text}") from error
        found[code] = found.get(code, 0) + 1
    return found


def test_edits_of_real_specs() -> None:
    found = run_edits(0, 2_500)
    assert len(found) > 20, "the edits no longer reach the checks"
    assert found[""] > 100, "the edits no longer leave a spec whole"


@pytest.mark.slow
def test_a_million_edits_of_real_specs() -> None:
    first = int(os.environ.get("ARCHCALC_FUZZ_FROM", 0))
    started = time.perf_counter()
    for batch in range(first, first + EDITS, BATCH):
        run_edits(batch, BATCH)
        done = batch + BATCH - first
        print(f"{done:,} edits from {first:,}, {done / (time.perf_counter() - started):,.0f} a second", flush=True)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_random_bytes_and_text(text: str | bytes) -> None:
    survives(text)


@given(st.text(string.ascii_letters[:8] + "0123 \n-:,[]{}'\"&*!|>%@`#\t가", max_size=200))
def test_random_yaml(text: str) -> None:
    survives("input: [3, 8, 8]\nlayers:\n" + text)


@given(st.text("abi0123456789 .+-*/%()[],<>=!&|^~@:\\'\"_if else and or not in len max floor", max_size=60))
def test_random_expressions(text: str) -> None:
    survives(
        f"input: [3, 8, 8]\nparams: {{a: 2, b: [1, 2]}}\nlayers:\n  - Conv2d: {{out_channels: '{text.replace(chr(39), '')}', kernel_size: 1}}\n"
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**5000), 10**5000) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2) | st.tuples(inner),
    max_leaves=8,
)
# Variants whose params are flags, numbers and lists, and that are quick to build.
VARIANTS = ["resnet18", "densenet121", "googlenet", "vgg11", "alexnet", "lenet5_modern", "resnet20"]


@given(st.sampled_from(VARIANTS), st.data())
def test_random_settings(variant: str, data: st.DataObject) -> None:
    spec, chosen = read_spec(variant)
    names = st.sampled_from([*spec.params, "no_such_param"])
    given_values = data.draw(st.dictionaries(names, st.integers(-2, 40) | values, max_size=3))
    sizes = data.draw(st.none() | st.lists(st.integers(-1, 300) | values, max_size=5) | values)
    batch = data.draw(st.just(1) | st.integers(-1, 5) | values)
    try:
        graph = spec.graph(chosen, given_values, None if sizes is None else {"input": sizes}, batch)
        archcalc.analyse(graph)
    except ArchcalcError as error:
        checked(error)


@pytest.mark.parametrize(
    "setting",
    ["x", "1e999", "9" * 5000, "[" * 40, "[1,", "-", "", "null", "1:30", "{a: 1}", "[[[]]]", "depths", "&a 1", "1/0", "7/2"],
)
def test_settings_of_the_command_line(run, setting: str) -> None:
    outcome = run("summary", "resnet18", "--set", f"depths={setting}", "--format", "json")
    assert outcome.code == 2
    assert outcome.err.startswith("error[E")


# Small files that would take long, or much memory or stack, if nothing stood against it.
HEAD = "input: [3, 8, 8]\n"
BOMBS = {
    "steps that do nothing": HEAD + "layers: [group: {repeat: 1000, layers: [group: {repeat: 100000, layers: []}]}]",
    "steps left out": HEAD + "layers: [group: {repeat: 100000, layers: [" + "ReLU: {if: false}, " * 90 + "]}]",
    "many nodes": HEAD + "layers: [group: {repeat: 100000, layers: [ReLU, ReLU]}]",
    "long paths": HEAD + "layers: [" + f"group: {{name: {'x' * 190}, layers: [" * 12 + "ReLU: {repeat: 100000}" + "]}" * 12 + "]",
    "many params": HEAD
    + f"params: {{{', '.join(f'p{i}: 1' for i in range(5000))}}}\nblocks: {{b: []}}\nlayers: [b: {{repeat: 100000}}]",
    "many arguments": HEAD + f"blocks:\n  b({', '.join(f'p{i}=1' for i in range(5000))}): []\nlayers: [b: {{repeat: 100000}}]",
    "blocks in blocks": HEAD + "blocks:\n" + "".join(f"  b{i}: [b{i + 1}]\n" for i in range(3900)) + "  b3900: []\nlayers: [b0]",
    "blocks doubled": HEAD
    + "blocks:\n"
    + "".join(f"  b{i}: [b{i + 1}, b{i + 1}]\n" for i in range(60))
    + "  b60: []\nlayers: [b0]",
    "a long cycle": HEAD + "blocks:\n" + "".join(f"  b{i}: [b{(i + 1) % 3900}]\n" for i in range(3900)) + "layers: [b0]",
    "sizes that grow": HEAD + "layers: [Upsample: {scale_factor: 2000000000, repeat: 100000}]",
    "channels that double": HEAD + "layers: [Concat: {repeat: 100000, a: [], b: []}]",
    "a name with no end": HEAD + f"layers: [ReLU: {{from: {'x' * 60000}}}]",
    "names alike": HEAD + "layers: [ReLU: {name: 'r{i}', repeat: 90000}, ReLU: {from: q5}]",
    "a long list": HEAD + f"params: {{d: [{'1,' * 20000}]}}\nlayers: [ReLU: {{repeat: max(d)}}]",
    "a long expression": HEAD + f"layers: [ReLU: {{repeat: {'1+' * 20000}1}}]",
    "deep parentheses": HEAD + f"layers: [ReLU: {{repeat: {'(' * 200}1{')' * 200}}}]",
    "a huge number": HEAD + f"layers: [ReLU: {{repeat: {'9' * 50000}}}]",
    "many inputs": "input: {" + ", ".join(f"a{i}: [1]" for i in range(5000)) + "}\nlayers: [ReLU: {from: a1}]",
    "a deep list": HEAD + f"params: {{x: {'[' * 31}{']' * 31}}}\nlayers: [ReLU: {{repeat: x}}]",
    "long lists in conditions": HEAD
    + f"params: {{d: [{'1, ' * 4000}]}}\nlayers: [group: {{repeat: 990, layers: [group: {{repeat: 1000, layers: [ReLU: {{if: '{' or '.join(['max(d) > min(d)'] * 6)}'}}]}}]}}]",
    "long lists in names": HEAD
    + f"params: {{d: [{'1, ' * 4000}]}}\nlayers: [group: {{repeat: 1000, layers: [group: {{name: 'a{{max(d)+max(d)+max(d)+i}}', repeat: 1000, layers: []}}]}}]",
    "long lists in from": HEAD
    + f"params: {{d: [{'1, ' * 4000}]}}\nlayers: [ReLU: {{name: a1}}, group: {{repeat: 1000, layers: [group: {{from: 'a{{max(d)+0*max(d)}}', repeat: 1000, layers: []}}]}}]",
    "long lists as arguments": HEAD
    + f"params: {{d: [{'1, ' * 4000}]}}\nblocks:\n  b(x): []\nlayers: [group: {{repeat: 1000, layers: [b: {{x: d, repeat: 1000}}]}}]",
    "long lists with one name": HEAD
    + f"blocks:\n  b(x): []\nlayers: [group: {{repeat: 1000, layers: [b: {{x: [{'1, ' * 20000}i], repeat: 1000}}]}}]",
    "long tables": HEAD
    + f"params: {{t: [{', '.join(['[0, 1, 2]'] * 900)}]}}\nlayers: [ConnectedConv2d: {{table: [[0], [1], [2]], kernel_size: 1}}, ReLU, group: {{repeat: 40000, layers: [ConnectedConv2d: {{table: t, kernel_size: 1, from: input}}]}}]",
    "long written tables": HEAD
    + f"layers: [ConnectedConv2d: {{table: [{', '.join(['[0, 1, 2]'] * 4000)}], kernel_size: 1, from: input, repeat: 1}}, group: {{repeat: 20000, layers: [ConnectedConv2d: {{table: [{', '.join(['[0]'] * 3000)}], kernel_size: 1, from: input}}]}}]",
    "arguments of position": HEAD
    + f"blocks:\n  b({', '.join(f'p{i}=in_channels' for i in range(2000))}): []\nlayers: [group: {{repeat: 1000, layers: [b: {{repeat: 1000}}]}}]",
    "names written out": HEAD
    + f"blocks:\n  b: [Add: {{if: false, x: [{', '.join(f'ReLU: {{name: group{i}}}' for i in range(1, 1800))}], y: []}}, group: {{layers: []}}]\nlayers: [group: {{repeat: 300, layers: [b: {{repeat: 1000}}]}}]",
    "many branches": HEAD + "layers: [Add: {" + ", ".join(f"b{i}: []" for i in range(6000)) + "}]",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_small_files_cannot_take_long(bomb: str) -> None:
    assert len(BOMBS[bomb].encode()) <= MOST_BYTES, "the file itself would be refused"
    survives(BOMBS[bomb])


def test_every_bundled_variant_takes_random_sizes() -> None:
    chance = random.Random(7)
    for variant in sorted(index())[::4]:
        spec, chosen = read_spec(variant)
        for _ in range(2):
            sizes = (
                spec.variant(chosen).inputs["input"].evaluate(spec.settings(chosen))[0],
                chance.randrange(1, 300),
                chance.randrange(1, 300),
            )
            try:
                archcalc.analyse(spec.graph(chosen, None, {"input": sizes}))
            except ArchcalcError as error:
                checked(error)
