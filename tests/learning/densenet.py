"""DenseNet's Tables 1 and 2: map sizes, depths, connections, parameters."""

from pathlib import Path

import archcalc
from archcalc.graph import Graph
from archcalc.spec.document import parse
from archcalc.spec.zoo import index
from tests.learning.markdown import (
    DIFFERS,
    Printed,
    console,
    convolutions,
    figures,
    held,
    items,
    linears,
    loaded,
    numbers,
    page,
    prose,
    report,
    row,
    table,
)
from tests.learning.published import DENSENET, DENSENET_201, DENSENET_CIFAR, DENSENET_OUTPUTS

FIRST = "denseblock1"


def page_text() -> str:
    (large,) = held([Printed("201", DENSENET_201, report("densenet201").totals.params)])
    return page(
        "# DenseNet",
        prose("""
            Huang, Liu, van der Maaten and Weinberger 2017, "Densely connected convolutional networks", Tables 1 and 2. A layer's
            input is everything that the layers of its block made before it; it adds k maps, the growth rate.
        """),
        "## Table 1: ImageNet, k = 32",
        networks(),
        prose("""
            A layer of a block is a 1x1 convolution to 4k maps and a 3x3 to k. After a block, a transition halves the maps with a
            1x1 convolution and their sides with a 2x2 mean. The depth in a network's name counts every convolution and the
            classifier:
        """),
        figures("name", depths(), "weight layers"),
        prose(f"""
            The table prints no parameters. The text gives 201 "{DENSENET_201}" of them (section 4.3): {large.exact:,},
            {large.verdict}.
        """),
        table(
            ("network", "parameters", "MACs"),
            [
                (f"DenseNet-{depth}", *(getattr(report(f"densenet{depth}").totals, key) for key in ("params", "macs")))
                for depth, _ in DENSENET
            ],
        ),
        "## What a concatenation does: dense block 1 of DenseNet-121",
        growth(),
        prose(f"""
            Only the 1x1 convolution sees the growing input; the 3x3 always has 4k maps before it:
            {numbers("densenet121", f"{FIRST}.denselayer1.conv2", "params")} =
            {row("densenet121", f"{FIRST}.denselayer1.conv2").params:,} parameters, in every layer.
        """),
        "## L(L + 1)/2 connections",
        connections(),
        "## Table 2: CIFAR-10, parameters",
        figures(
            "network", [Printed(f"{name} (`{model}`)", shown, report(model).totals.params) for name, model, shown in DENSENET_CIFAR]
        ),
        first_convolution(),
        "Usual slips:",
        items(
            "the input of a layer is taken as k maps, not as all that came before",
            "the last layer's k maps are taken as the block's output; the output is everything",
            "transitions are forgotten, or the compression (0.5 in BC) is",
            "BatchNorm is taken behind each convolution: it stands before, on the concatenation, so its parameters grow too",
        ),
        console(
            "summary densenet121 --depth 2",
            "explain densenet121 features.denseblock1.denselayer2.conv1",
            "why densenet_cifar 27.2M",
        ),
    )


def networks() -> str:
    models = {depth: loaded(f"densenet{depth}") for depth, _ in DENSENET}
    stem = "x".join(map(str, row("densenet121", "conv0").output_shape[2:]))
    lines = [("convolution", stem, *["7x7, /2"] * len(DENSENET))]
    for block, printed in enumerate(DENSENET_OUTPUTS, 1):
        for depth, units in DENSENET:
            assert len(layers_of(models[depth], block)) == units[block - 1]
            last = layers_of(models[depth], block)[-1]
            shape = row(f"densenet{depth}", f"denseblock{block}.{last}.conv2").output_shape
            assert f"{shape[2]}x{shape[3]}" == printed
        lines.append((f"dense block {block}", printed, *(f"{units[block - 1]} layers" for _, units in DENSENET)))
        if block < len(DENSENET_OUTPUTS):
            halved = [row(f"densenet{depth}", f"transition{block}.pool").output_shape for depth, _ in DENSENET]
            sides = {f"{shape[2]}x{shape[3]}" for shape in halved}
            assert sides == {DENSENET_OUTPUTS[block]}
            lines.append((f"transition {block}", f"{printed}, {sides.pop()}", *(f"to {shape[1]} maps" for shape in halved)))
    return table(("stage", "output", *(f"DenseNet-{depth}" for depth, _ in DENSENET)), lines)


def depths() -> list[Printed]:
    """The depth in each name beside the layers that the table gives the network."""
    found = []
    for depth, units in DENSENET:
        graph = loaded(f"densenet{depth}")
        count = convolutions(graph) + linears(graph)
        slip = (
            f"`1 + 2*({' + '.join(map(str, units))}) + 3 + 1 = {count}`: either the name is one too small, or a layer is left out."
        )
        found.append(Printed(f"DenseNet-{depth}", str(depth), count, slip if count != depth else ""))
        assert count == 1 + 2 * sum(units) + 3 + 1
    return found


def layers_of(graph: Graph, block: int) -> list[str]:
    """The names of a dense block's layers, in order."""
    names = [node.name.split(".") for node in graph.layers if f"denseblock{block}." in node.name]
    return list(dict.fromkeys(parts[parts.index(f"denseblock{block}") + 1] for parts in names))


def growth() -> str:
    lines = []
    for name in layers_of(loaded("densenet121"), 1):
        first, second = (row("densenet121", f"{FIRST}.{name}.{conv}") for conv in ("conv1", "conv2"))
        into, new = first.input_shapes[0][1], second.output_shape[1]
        lines.append((name, into, new, into + new, numbers("densenet121", f"{FIRST}.{name}.conv1", "params"), first.params))
    return table(("layer", "maps in", "new", "maps out", "1x1 convolution", "parameters"), lines)


def connections() -> str:
    graph = loaded("densenet121")
    depths = [len(layers_of(graph, block)) for block in range(1, 5)]
    within = [depth * (depth + 1) // 2 for depth in depths]
    depth = DENSENET[0][0]
    return prose(f"""
        The abstract gives a network of L layers `L*(L + 1)/2` direct connections. That holds within a dense block, not across
        transitions: DenseNet-121 has {" + ".join(map(str, within))} = {sum(within):,} in its four blocks, where the formula for the
        whole network would give `{depth}*{depth + 1}/2` = {depth * (depth + 1) // 2:,}.
    """)


def first_convolution() -> str:
    name, model, shown = DENSENET_CIFAR[2]
    maps = row(model, "conv0").output_shape[1]
    (doubled,) = [Printed(name, shown, twice_the_growth_rate(model))]
    assert doubled.verdict == DIFFERS
    return prose(f"""
        All six are right. They settle a question that text and code answer differently: the first convolution of a plain DenseNet
        has {maps} maps (the paper), not 2k (the authors' code), which only BC has. With 2k, ({name}) would have {doubled.exact:,}
        parameters, and the printed {shown} would be wrong.
    """)


def twice_the_growth_rate(model: str) -> int:
    """The parameters of a plain CIFAR network that starts with 2k maps."""
    paper = Path(index()[model]).read_text(encoding="utf-8")
    code = paper.replace("2*growth_rate if bottleneck else 16", "2*growth_rate")
    assert code != paper
    return archcalc.analyse(parse(code.encode(), "densenet_cifar.yaml").graph(model)).totals.params
