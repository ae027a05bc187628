"""Cards that share every layer: what one of them holds, counted by hand and against the whole, and what does not divide."""

import pytest

import archcalc
from archcalc.analysis.memory.batches import Batches
from archcalc.analysis.memory.fit import Card, rooms
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.towers import crossing, divided
from archcalc.analysis.memory.trace import peak
from archcalc.errors import UsageError
from archcalc.spec import parse

GIB = 2**30


def test_the_layers_that_read_both_towers_are_those_of_the_paper() -> None:
    """Krizhevsky et al. 2012, section 3.5: the third convolution and the fully connected layers."""
    graph = archcalc.load("alexnet_two_towers")
    assert [node.name for node in crossing(graph, 2)] == ["conv3", "fc6", "fc7", "fc8"]


def test_what_a_card_holds_can_be_counted_by_hand() -> None:
    """Two convolutions of 4 channels on 8x8, the second over all of the first: on one of two cards half of each, and at the second
    half of its input from the other card.
    """
    text = """
    input: [3, 8, 8]
    layers:
      - Conv2d: {name: a, out_channels: 4, kernel_size: 1, bias: false}
      - Conv2d: {name: b, out_channels: 4, kernel_size: 1, bias: false}
    """
    graph = parse(text, "net.yaml").graph()
    run = divided(graph, Batches(graph).run(Plan()), 2)
    held = {(storage.what, storage.node): storage.bytes for storage in run.at(5).storages}
    image = 8 * 8 * 4 * 5
    assert held == {
        ("parameter", "a"): 2 * 3 * 4,
        ("parameter", "b"): 2 * 4 * 4,
        ("input", "input"): 3 * image,
        ("output", "a"): 2 * image,
        ("output", "b"): 2 * image,
        ("received", "b"): 2 * image,
    }
    assert peak(run.at(5)).bytes == sum(held.values())  # all of it lives while b runs
    assert divided(graph, Batches(graph).run(Plan()), 1) == Batches(graph).run(Plan())


@pytest.mark.parametrize("batch", [1, 6])
def test_cards_together_hold_no_less_than_one(batch: int) -> None:
    graph = archcalc.load("alexnet_two_towers")
    batches = Batches(graph)
    run = batches.run_of_one(Plan(train=True)) if batch == 1 else batches.run(Plan(train=True))
    whole, half = (peak(divided(graph, run, towers).at(batch)).bytes for towers in (1, 2))
    assert whole < 2 * half < 1.5 * whole


@pytest.mark.parametrize(("amp", "width"), [(None, 4), ("bf16", 2)])
def test_what_is_received_is_as_wide_as_what_was_made(amp: str | None, width: int) -> None:
    """AlexNet's sizes (Krizhevsky et al. 2012, figure 2): 6x6x256 to the first fully connected layer, 4096 to the others.

    Autocast leaves local response normalisation, and so the pooling between it and conv3, in float32.
    """
    graph = archcalc.load("alexnet_two_towers")
    run = divided(graph, Batches(graph).run(Plan(train=True, amp=amp)), 2)
    received = {
        (storage.node, size) for storage, size in zip(run.trace.storages, run.per_image, strict=True) if storage.what == "received"
    }
    halves = {"conv3": 13 * 13 * 128 * 4, "fc6": 6 * 6 * 128 * width, "fc7": 2048 * width, "fc8": 2048 * width}
    assert received == set(halves.items())


def test_side_heads_receive_nothing_where_they_do_not_run() -> None:
    graph = archcalc.load("googlenet_aux")
    heads = {node.name for node in crossing(graph, 2) if node.name.startswith("aux")}
    for train, receiving in ((False, set()), (True, heads)):
        run = divided(graph, Batches(graph).run(Plan(train=train)), 2)
        assert heads & {storage.node for storage in run.trace.storages if storage.what == "received"} == receiving
    assert heads


def grouped(groups: int, channels: int) -> str:
    return f"""
    input: [{channels}, 8, 8]
    layers:
      - Conv2d: {{name: a, out_channels: {channels}, kernel_size: 1}}
      - Conv2d: {{name: b, out_channels: {channels}, kernel_size: 1, groups: {groups}}}
    """


@pytest.mark.parametrize(
    ("groups", "channels", "towers", "message", "help"),
    [
        (3, 12, 2, "the 3 groups of b do not divide among 2 cards", "--towers 3"),
        (5, 20, 4, "the 5 groups of b do not divide among 4 cards", "--towers 5"),
        (2, 12, 4, "the 2 groups of b do not divide among 4 cards", "--towers 2"),
        (2, 12, 5, "the 12 channels of a do not divide among 5 cards", "--towers 2"),
    ],
)
def test_groups_stay_together(groups: int, channels: int, towers: int, message: str, help: str) -> None:
    graph = parse(grouped(groups, channels), "net.yaml").graph()
    with pytest.raises(UsageError) as caught:
        rooms(graph, [Plan()], Card("", GIB), towers=towers)
    assert (caught.value.code, caught.value.message, caught.value.help) == ("E266", message, help)
    way_out = int(help.removeprefix("--towers "))
    assert [node.name for node in crossing(graph, way_out)] == []
    (room,) = rooms(graph, [Plan()], Card("", GIB), towers=way_out)
    assert room.fits


def test_channels_that_do_not_divide_are_refused() -> None:
    graph = archcalc.load("alexnet")
    with pytest.raises(UsageError, match="do not divide among 7 cards") as caught:
        rooms(graph, [Plan()], Card("", GIB), towers=7)
    assert caught.value.code == "E266"
