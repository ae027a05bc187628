"""ResNet's Tables 1 and 6, the pre-activation networks, and what the stride's place does to the multiply-adds."""

from archcalc.graph import Graph
from tests.learning.markdown import (
    DIFFERS,
    Printed,
    console,
    convolutions,
    figures,
    items,
    linears,
    loaded,
    page,
    prose,
    report,
    row,
    table,
)
from tests.learning.published import RESNET, RESNET_CIFAR, RESNET_OUTPUTS, RESNET_PREACT

STAGES = ("layer1", "layer2", "layer3", "layer4")


def page_text() -> str:
    paper, common = report("resnet50_v1").totals, report("resnet50").totals
    return page(
        "# ResNet",
        prose("""
            He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition", Tables 1 and 6, and the pre-activation
            networks of the same authors' "Identity mappings in deep residual networks".
        """),
        "## Table 1: the networks",
        networks(),
        prose("""
            18 and 34 have units of two 3x3 convolutions, the others bottlenecks of 1x1, 3x3 and 1x1, the last with four times the
            maps. Depth counts conv1, the units' convolutions and fc; a projection on a shortcut is not counted.
        """),
        "## Table 1: multiply-adds",
        prose("The table's last line says FLOPs and counts multiply-adds (\"multiply-adds\" is the text's own gloss)."),
        figures(
            "layers",
            [Printed(f"{depth} (`{model}`)", shown, report(model).totals.macs) for depth, _, shown, model in RESNET],
            "multiply-adds",
        ),
        prose("""
            All are right for the network that the paper trained: 18 and 34 with shortcuts A, which have no weights, the others with
            projections where the shape changes (B). 3.8 is cut off; rounded it would be 3.9.
        """),
        "## Why other sources have 4.1",
        prose(f"""
            The paper halves the map in the first 1x1 convolution of a stage, today's code (v1.5) in the 3x3 behind it. The
            parameters are the same, {common.params:,}. But three 1x1 convolutions now run on four times the positions, and
            ResNet-50 has {common.macs:,} MACs instead of {paper.macs:,}:
        """),
        strides(),
        "## Shortcuts A, B and C: 34 layers",
        table(
            ("shortcuts", "parameters", "multiply-adds"),
            [
                (name, report(model).totals.params, report(model).totals.macs)
                for name, model in (
                    ("A: zeros for new maps", "resnet34_a"),
                    ("B: a projection where the shape changes", "resnet34_b"),
                    ("C: a projection everywhere", "resnet34_c"),
                )
            ],
        ),
        projected(),
        "## Table 6: CIFAR-10, parameters",
        figures("layers", [Printed(str(depth), shown, report(f"resnet{depth}").totals.params) for depth, shown in RESNET_CIFAR]),
        prose(f"""
            All six are right, with shortcuts A and {depths()} weight layers, BatchNorm's parameters counted (ResNet-20 has
            {norms("resnet20"):,} of them).
        """),
        "## The pre-activation networks, parameters",
        figures("layers", preact()),
        "Usual slips:",
        items(
            "a bias is counted for convolutions that have BatchNorm behind them instead",
            "BatchNorm is counted with 4 numbers per channel; 2 of them are running statistics, which are not learned",
            "the projections are left out, or given to every unit",
            "multiply-adds are compared with FLOPs that count two operations each",
        ),
        console("why resnet50 3.8e9", "compare resnet50 resnet50_v1 --depth 1", "summary resnet20"),
    )


def networks() -> str:
    lines = []
    for stage, (name, printed) in enumerate(
        zip(("conv1", *(f"conv{number}_x" for number in (2, 3, 4, 5))), RESNET_OUTPUTS, strict=True)
    ):
        cells = []
        for depth, units, _, model in RESNET:
            graph = loaded(model)
            if stage:
                assert units_of(graph, STAGES[stage - 1]) == units[stage - 1]
            assert convolutions(graph) + linears(graph) == depth
            cells.append(f"{units[stage - 1]} units" if stage else "7x7, 64")
        assert f"{size(RESNET[0][3], stage)}x{size(RESNET[0][3], stage)}" == printed
        lines.append((name, printed, *cells))
    return table(("stage", "output", *(f"{depth} layers" for depth, *_ in RESNET)), lines)


def units_of(graph: Graph, stage: str) -> int:
    return len({node.name.split(".")[1] for node in graph.layers if node.name.startswith(stage + ".")})


def size(model: str, stage: int) -> int:
    prefix = "conv1" if stage == 0 else STAGES[stage - 1] + "."
    return [layer.output_shape[-1] for layer in report(model).layers if layer.name.startswith(prefix)][-1]


def strides() -> str:
    lines = []
    for one in report("resnet50_v1").layers:
        now = row("resnet50", one.name)
        if now.macs != one.macs:
            where = (f"{shape[2]}x{shape[3]}" for shape in (one.output_shape, now.output_shape))
            lines.append((one.name, *where, one.macs, now.macs, now.macs - one.macs))
    difference = sum(line[-1] for line in lines)
    assert difference == report("resnet50").totals.macs - report("resnet50_v1").totals.macs
    return table(("layer", "v1 on", "v1.5 on", "v1 MACs", "v1.5 MACs", "more"), [*lines, ("in all", "", "", "", "", difference)])


def projected() -> str:
    plain, everywhere = (report(model) for model in ("resnet50_v1", "resnet50_v1_c"))
    unit, projecting = (
        sum(layer.params for layer in one.layers if layer.name.startswith("layer1.1.")) for one in (plain, everywhere)
    )
    return prose(f"""
        Section 3.3 says of bottlenecks that projections everywhere would double "time complexity and model size". For one unit that
        is nearly so: layer1.1 would grow from {unit:,} parameters to {projecting:,}. For ResNet-50 as a whole it is
        {everywhere.totals.params / plain.totals.params:.1f} times the parameters ({everywhere.totals.params:,}) and
        {everywhere.totals.macs / plain.totals.macs:.1f} times the multiply-adds ({everywhere.totals.macs:,}).
    """)


def depths() -> str:
    for depth, _ in RESNET_CIFAR:
        graph = loaded(f"resnet{depth}")
        assert convolutions(graph) + linears(graph) == depth == 6 * units_of(graph, "layer1") + 2
    return "`6*n + 2`"


def norms(model: str) -> int:
    return sum(layer.params for layer in report(model).layers if layer.op == "BatchNorm2d")


def preact() -> list[Printed]:
    found = []
    for depth, shown in RESNET_PREACT:
        model = f"preact_resnet{depth}"
        total, norm = report(model).totals.params, norms(model)
        without = Printed(str(depth), shown, total - norm)
        slip = f"Without the {norm:,} parameters of BatchNorm it would be {total - norm:,}: {without.verdict}."
        one = Printed(str(depth), shown, total)
        found.append(one._replace(slip=slip) if one.verdict == DIFFERS else one)
    return found
