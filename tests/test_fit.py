"""What fits: batches reckoned from two runs against runs of their own, and the largest one against every other."""

import json
from itertools import product
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archcalc
from archcalc.analysis.memory import fit
from archcalc.analysis.memory.allocator import replay
from archcalc.analysis.memory.batches import Batches, rebatched
from archcalc.analysis.memory.fit import Card, plans, rooms
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.report import twice
from archcalc.analysis.memory.simulate import simulate
from archcalc.analysis.memory.trace import Trace, peak
from archcalc.render.schemas import schema_text
from archcalc.spec import parse
from tests.strategies import specs

ROOT = Path(__file__).parent.parent
MIB, GIB = 2**20, 2**30
NETWORKS = ["lenet5", "alexnet_two_towers", "googlenet_aux", "resnet18", "densenet_40_12"]
PLANS = [
    Plan(),
    Plan(train=True),
    Plan(train=True, optimizer="adam", weight_decay=True, implementation="forloop", rules="cpu"),
    Plan(train=True, amp="bf16", optimizer="adamw"),
    Plan(dtype="float16"),
]


def sizes(trace: Trace) -> list[int]:
    return [storage.bytes for storage in trace.storages]


@pytest.mark.parametrize(("name", "plan"), list(product(NETWORKS, PLANS)), ids=lambda value: str(value)[:60])
def test_a_run_at_any_batch_is_that_of_the_graph_at_this_batch(name: str, plan: Plan) -> None:
    """The graphs are loaded anew from the spec at each batch: nothing here knows of lines through two points."""
    batches = Batches(archcalc.load(name, batch=5))
    run = batches.run(plan)
    for batch in (2, 7, 128):
        own = simulate(archcalc.load(name, batch=batch), plan)
        assert run.sizes(batch) == sizes(own)
        assert run.trace.events == own.events
        assert run.at(batch) == own
    assert batches.run_of_one(plan).at(1) == simulate(archcalc.load(name), plan)


@pytest.mark.parametrize("name", NETWORKS)
def test_optimizers_borrow_from_each_other_what_they_share(name: str) -> None:
    batches = Batches(archcalc.load(name))
    ways = product((None, "fp16"), ("sgd", "momentum", "nesterov", "adam", "adamw"), (False, True), ("foreach", "fused", "forloop"))
    for amp, optimizer, decay, way in ways:
        plan = Plan(train=True, amp=amp, optimizer=optimizer, weight_decay=decay, implementation=way)
        assert batches.run(plan).at(5) == simulate(archcalc.load(name, batch=5), plan)


@given(specs(), st.sampled_from(PLANS), st.integers(2, 9))
@settings(max_examples=60)
def test_random_networks_at_another_batch(text: str, plan: Plan, batch: int) -> None:
    graph = parse(text, "net.yaml").graph()
    assert rebatched(graph, batch) == parse(text, "net.yaml").graph(batch=batch)
    assert Batches(graph).run(plan).at(batch) == simulate(rebatched(graph, batch), plan)


def test_the_tensors_alone_say_how_many_fit() -> None:
    """``Run.largest`` divides; here every batch around its answer is simulated."""
    for plan in PLANS:
        run = Batches(archcalc.load("lenet5_modern")).run(plan)
        for limit in (peak(run.at(2)).bytes - 1, peak(run.at(2)).bytes, 3 * MIB, 64 * MIB + 1):
            batch = run.largest(limit).batch
            assert batch is not None
            assert batch == 0 or peak(run.at(batch)).bytes <= limit
            assert peak(run.at(batch + 1)).bytes > limit


def test_a_limit_that_no_batch_reaches_is_none() -> None:
    run = Batches(archcalc.load("lenet5_modern")).run(Plan())
    still = run._replace(per_image=(0,) * len(run.per_image))
    assert still.largest(10 * MIB).batch is None
    assert still.largest(1).batch == 0


def own_answer(name: str, plan: Plan, limit: int, batch: int) -> bool:
    """Whether a batch goes through, from a graph loaded at this batch."""
    trace = simulate(archcalc.load(name, batch=batch), plan)
    if plan.rules == "cpu":
        return peak(trace).bytes <= limit
    return replay(sizes(trace), twice(trace), limit=limit).failed_at is None


@pytest.mark.parametrize(
    ("name", "plan"), list(product(["alexnet", "resnet18", "densenet121"], PLANS)), ids=lambda value: str(value)[:60]
)
def test_the_largest_batch_fits_and_one_more_does_not(name: str, plan: Plan) -> None:
    (room,) = rooms(archcalc.load(name), [plan], Card("", 3 * GIB, 0))
    assert own_answer(name, plan, room.limit_bytes, room.batch)
    assert not own_answer(name, plan, room.limit_bytes, room.batch + 1)
    assert room.fits
    assert room.missing_bytes > 0
    assert room.peak_bytes == peak(simulate(archcalc.load(name, batch=room.batch), plan)).bytes <= room.limit_bytes


# Where smaller batches than the largest do not fit, and where that makes no difference.
FAR_AND_NEAR = [
    ("vgg11", 10488 * MIB, Plan(train=True, optimizer="sgd")),
    ("vgg11", 8 * GIB, Plan(train=True)),
    ("vgg13", 3 * GIB, Plan(train=True, amp="bf16")),
    ("alexnet", 6 * GIB, Plan(train=True, optimizer="adam")),
    ("alexnet", 3 * GIB, Plan()),
    ("densenet_40_12", 700 * MIB, Plan(dtype="bfloat16")),
    ("googlenet", 2 * GIB, Plan(amp="bf16")),
    ("resnet18", 3 * GIB, Plan(train=True, amp="bf16", optimizer="adamw")),
    ("lenet5_modern", 64 * MIB, Plan(train=True)),
    ("lenet5_modern", 68 * MIB, Plan(train=True)),
    ("lenet5_modern", 71 * MIB, Plan(train=True)),
]


def every_batch_that_fits(name: str, plan: Plan, limit: int) -> tuple[list[int], int]:
    """All batches that go through, each replayed from its first event, and how many images the tensors alone allow."""
    batches = Batches(archcalc.load(name))
    run, lone = batches.run(plan), batches.run_of_one(plan)
    most = run.largest(limit).batch
    assert most is not None
    runs = [(1, lone), *((batch, run) for batch in range(2, most + 3))]
    events = {False: twice(run.trace), True: twice(lone.trace)}
    return [n for n, one in runs if replay(one.sizes(n), events[n == 1], limit=limit).failed_at is None], most


@pytest.mark.parametrize(("name", "size", "plan"), FAR_AND_NEAR, ids=[f"{name} {size // MIB}" for name, size, _ in FAR_AND_NEAR])
def test_no_larger_batch_fits(name: str, size: int, plan: Plan) -> None:
    (room,) = rooms(archcalc.load(name), [plan], Card("", size, 0))
    fitting, most = every_batch_that_fits(name, plan, room.limit_bytes)
    assert most < fit.TRIED
    assert room.batch == max(fitting, default=0)


def test_of_very_many_batches_some_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 8 were many: none of those fits which are as far apart as the tensors' bound is large, nor does one image more."""
    monkeypatch.setattr(fit, "TRIED", 8)
    graph, plan, card = archcalc.load("vgg11"), Plan(train=True, optimizer="sgd"), Card("", 11000 * MIB, 0)
    (room,) = rooms(graph, [plan], card)
    fitting, most = every_batch_that_fits("vgg11", plan, room.limit_bytes)
    assert room.batch in fitting
    assert room.batch + 1 not in fitting
    apart = most // fit.TRIED + 1
    assert apart > 1
    assert all(batch <= room.batch for batch in range(most, 0, -apart) if batch in fitting)
    assert room.batch < max(fitting)  # so this one can only be asked for
    (asked,) = rooms(graph, [plan], card, batch=max(fitting))
    assert (asked.fits, asked.batch) == (True, max(fitting))


def test_nothing_fits_where_the_parameters_do_not() -> None:
    (room,) = rooms(archcalc.load("alexnet"), [Plan()], Card("", 600 * MIB, 512 * MIB))
    assert (room.batch, room.fits) == (0, False)
    assert room.missing_bytes == room.next_bytes - room.limit_bytes > 0


def test_a_batch_that_is_asked_for() -> None:
    graph, card = archcalc.load("alexnet"), Card("", 3 * GIB, 0)
    plan = Plan(train=True)
    (largest,) = rooms(graph, [plan], card)
    for batch in (1, largest.batch, largest.batch + 1, 4 * largest.batch):
        (asked,) = rooms(graph, [plan], card, batch=batch)
        assert asked.batch == largest.batch
        assert asked.fits is (batch <= largest.batch)
        assert (asked.missing_bytes > 0) is not asked.fits
        assert asked.peak_bytes == peak(simulate(archcalc.load("alexnet", batch=batch), plan)).bytes


def test_more_bytes_never_make_it_less() -> None:
    graph = archcalc.load("resnet18")
    batches = [rooms(graph, [Plan(train=True)], Card("", size * GIB, 0))[0].batch for size in (1, 2, 3, 6, 12)]
    assert batches == sorted(batches)
    assert batches[0] > 0


def test_every_way_of_running_is_asked_about() -> None:
    every = plans(Plan(), modes=(False, True))
    assert len(every) == len(set(every)) == 3 + 2 * 5
    assert {plan.optimizer for plan in every if plan.train} == {"sgd", "momentum", "nesterov", "adam", "adamw"}
    only = plans(Plan(amp="fp16"), modes=(True,), optimizers=("adam",), every_type=False)
    assert only == (Plan(train=True, amp="fp16", optimizer="adam"),)


# The command


def asked(run, *arguments: str) -> dict:
    outcome = run("fit", *arguments, "--format", "json")
    assert outcome.err == ""
    told = json.loads(outcome.out)
    jsonschema.validate(told, json.loads(schema_text("fit")))
    return told


def test_alexnet_needs_its_two_cards(run, golden) -> None:
    """Krizhevsky et al. 2012, section 3.5: "A single GTX 580 GPU has only 3GB of memory, which limits the maximum size"."""
    story = ("--gpu", "GTX 580", "--train", "--batch", "128", "--optimizer", "momentum", "--dtype", "float32")
    alone = run("fit", "alexnet", *story, "--width", "100")
    shared = run("fit", "alexnet_two_towers", *story, "--towers", "2", "--width", "100")
    assert (alone.code, shared.code) == (1, 0)
    golden(alone.out, "fit-alexnet.txt")
    golden(shared.out, "fit-alexnet-towers.txt")
    (one,), (two,) = (asked(run, model, *story, *more)["rows"] for model, more in
                      [("alexnet", ()), ("alexnet_two_towers", ("--towers", "2"))])  # fmt: skip
    assert (one["fits"], one["batch"] < 128, one["missing_bytes"] > 0) == (False, True, True)
    assert (two["fits"], two["missing_bytes"]) == (True, 0)


def test_the_screen(run, golden) -> None:
    golden(run("fit", "resnet50", "--gpu", "rtx3090", "--width", "100").out, "fit-resnet50.txt")


def test_the_limit_is_what_the_terms_leave(run) -> None:
    document = asked(run, "resnet50", "--memory", "8GiB", "--context", "300MiB", "--train")
    left = sum(term["low_bytes"] if term["high_bytes"] is None else term["high_bytes"] for term in document["terms"])
    assert {row["limit_bytes"] for row in document["rows"]} == {8 * GIB - left}
    context = next(term for term in document["terms"] if term["name"] == "CUDA context")
    assert (context["low_bytes"], context["high_bytes"], context["measured"]) == (300 * MIB, 300 * MIB, True)


def test_the_cpu_has_no_blocks_and_no_terms(run) -> None:
    document = asked(run, "lenet5", "--memory", "1GiB", "--rules", "cpu")
    assert document["terms"] == []
    assert {row["limit_bytes"] for row in document["rows"]} == {GIB}
    assert {row["allocated_peak_bytes"] for row in document["rows"]} == {None}
    assert "blocks" in run("fit", "lenet5", "--memory", "1GiB").out
    assert "blocks" not in run("fit", "lenet5", "--memory", "1GiB", "--rules", "cpu").out


def test_a_table_over_settings_and_inputs(run) -> None:
    ranges = ("--over", "classes=10..12", "--over", "input=3x128x128,3x227x227")
    rows = asked(run, "alexnet", "--memory", "2GiB", *ranges, "--train", "--optimizer", "sgd", "--dtype", "float32")["rows"]
    values = [
        ("10", "3x128x128"),
        ("10", "3x227x227"),
        ("11", "3x128x128"),
        ("11", "3x227x227"),
        ("12", "3x128x128"),
        ("12", "3x227x227"),
    ]
    assert [(row["over"]["classes"], row["over"]["input"]) for row in rows] == values
    for row, (classes, input) in zip(rows, values, strict=True):
        alone = ("--set", f"classes={classes}", "--input", input, "--train", "--optimizer", "sgd", "--dtype", "float32")
        assert asked(run, "alexnet", "--memory", "2GiB", *alone)["rows"] == [row | {"over": {}}]


GIVEN = ("--memory", "1GiB")
REFUSED = [
    (("alexnet",), "error[E268]: fit needs the bytes of a device", "--memory 24GiB"),
    (("alexnet", "--gpu", "T4", "--memory", "1GiB"), "error[E268]: --gpu and --memory exclude each other", "24GiB"),
    (("alexnet", "--memory", "24G"), "error[E230]: 24G is not a number of bytes", "24GiB"),
    (("alexnet", "--gpu", "RTX 3091"), "error[E285]: there is no device RTX 3091", "RTX 3090"),
    (("alexnet", "--memory", "1GiB", "--over", "classes"), "error[E269]: --over needs name=value,value", "input=3x128x128"),
    (("alexnet", "--memory", "1GiB", "--over", "classes=1,,2"), "error[E269]: --over needs name=value", "depth=1..4"),
    (("alexnet", "--memory", "1GiB", "--over", "classes=4..1"), "error[E269]: --over needs name=value", "depth=1..4"),
    (("alexnet", "--memory", "1GiB", "--over", "classes=1..900"), "error[E269]: --over makes 900 combinations", "fewer values"),
    (("alexnet", *GIVEN, "--over", "classes=9,1..99999999", "--over", "towers=1,2"), "--over makes 200,000,000", "fewer values"),
    (("alexnet", "--memory", "1GiB", "--over", "input=3xfoox227"), "error[E269]: --over needs name=value", "input=3x128x128"),
    (("alexnet", *GIVEN, "--over", "classes=1,2", "--over", "classes=3"), "error[E269]: --over names classes twice", "one --over"),
    (("alexnet", *GIVEN, "--over", "classes=1,2", "--set", "classes=3"), "error[E232]: --set classes has no effect", "leave out"),
    (("alexnet", *GIVEN, "--over", "input=3x99x99", "--input", "3x98x98"), "error[E232]: --input input has no effect", "leave out"),
    (("alexnet", *GIVEN, "--rules", "cpu", "--context", "1MiB"), "error[E232]: --context has no effect here", "leave out"),
    (("alexnet", "--gpu", "T4", "--rules", "cpu"), "error[E268]: --rules cpu, and --gpu names a device of CUDA's", "24GiB"),
    (("alexnet", *GIVEN, "--dtype", "int8", "--weight-decay"), "error[E232]: --weight-decay has no effect here", "--train"),
    (("alexnet", "--memory", "99999999TiB"), "error[E230]: 99999999TiB is more than any device has", "24GiB"),
    (("alexnet", "--memory", "1GiB", "--over", "clases=1,2"), "error[E203]: alexnet has no param clases", "classes"),
    (("alexnet", "--memory", "1GiB", "--towers", "3"), "error[E266]: the", "--towers"),
    (("alexnet", "--memory", "1GiB", "--fused", "--foreach"), "error[E267]: --fused and --foreach exclude each other", "one of"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message", "help"), REFUSED, ids=[" ".join(case[0])[:50] for case in REFUSED])
def test_what_cannot_be_asked(run, arguments: tuple[str, ...], message: str, help: str) -> None:
    outcome = run("fit", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert help in outcome.err


def test_how_it_was_asked_is_told(run) -> None:
    question = ("resnet18", "--memory", "2GiB", "--train", "--weight-decay", "--fused", "--checkpoint", "layer1.*")
    assert "rules of CUDA; training: fused, with weight decay, checkpoint layer1.*" in run("fit", *question).out
    document = asked(run, *question)
    told = [document[key] for key in ("rules", "implementation", "weight_decay", "checkpoint")]
    assert told == ["cuda", "fused", True, ["layer1.*"]]


def test_rows_can_be_told_apart_on_the_narrowest_screen(run) -> None:
    lines = run("fit", "lenet5", "--memory", "1GiB", "--width", "40").out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum("float32, amp bf16" in line for line in lines) == 6


def test_the_page_tells_the_story_in_these_numbers(run) -> None:
    """docs/memory.md on AlexNet's card: tensors, batches with and without a context, and the share of one of two cards."""
    page = (ROOT / "docs" / "memory.md").read_text(encoding="utf-8")
    story = ("--gpu", "GTX 580", "--train", "--batch", "128", "--optimizer", "momentum")
    (one,), (bare,), (two,) = (
        asked(run, *question, *story)["rows"]
        for question in (("alexnet",), ("alexnet", "--context", "0"), ("alexnet_two_towers", "--towers", "2"))
    )
    tensors, missing, share = (round(size / MIB) for size in (one["peak_bytes"], one["missing_bytes"], two["peak_bytes"]))
    for said in (
        f"take {tensors:,} MiB of the card's 3,072",
        f"no {missing} MiB in one piece",
        f"{one['batch']} images are the most; with none it would be {bare['batch']}",
        f"two cards each takes {share:,} MiB",
    ):
        assert said in " ".join(page.split())


def test_the_page_names_batches_that_fit_and_smaller_ones_that_do_not(run) -> None:
    page = " ".join((ROOT / "docs" / "memory.md").read_text(encoding="utf-8").split())
    story = ("vgg11", "--memory", "11000MiB", "--train", "--optimizer", "sgd", "--dtype", "float32")
    fits = {batch: asked(run, *story, "--batch", str(batch))["rows"][0]["fits"] for batch in (167, 168, 188, 189)}
    assert list(fits.values()) == [True, False, True, False]
    assert "runs with 167 images and with 188, but not with 168 and not with 189" in page
    assert f"From {fit.TRIED:,} images on" in page


def test_int8_is_asked_about_without_training(run) -> None:
    (row,) = asked(run, "resnet18", "--memory", "1GiB", "--dtype", "int8")["rows"]
    assert (row["mode"], row["dtype"]) == ("infer", "int8")
    assert "int8 has no gradients" in run("fit", "resnet18", "--memory", "1GiB", "--dtype", "int8", "--train").err


def test_computing_blocks_again_makes_room(run) -> None:
    question = ("resnet18", "--memory", "2GiB", "--train", "--optimizer", "sgd", "--dtype", "float32")
    (plain,), (again,) = (asked(run, *question, *more)["rows"] for more in ((), ("--checkpoint", "layer1.*")))
    assert plain["batch"] < again["batch"]


@pytest.mark.parametrize("form", ["md", "csv", "tsv", "latex", "jsonl", "html", "svg"])
def test_every_form_has_the_rows(run, form: str) -> None:
    outcome = run("fit", "lenet5", "--memory", "1GiB", "--format", form)
    assert outcome.code == 0
    assert "adamw" in outcome.out
