"""VGG's Tables 1 and 2, and the multiply-adds that others quote."""

from archcalc.graph import Graph
from tests.learning.markdown import Printed, console, convolutions, figures, items, linears, loaded, page, prose, report, table
from tests.learning.published import RESNET_VGG, VGG, VGG_MORE


def page_text() -> str:
    full = report("vgg_d")
    linear = sum(layer.params for layer in full.layers if layer.op == "Linear")
    work = sum(layer.macs for layer in full.layers if layer.op == "Linear")
    first = next(layer for layer in full.layers if layer.op == "Linear")
    return page(
        "# VGG",
        prose("""
            Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", Tables 1 and 2. Every
            convolution is 3x3 with padding 1 (in column C some are 1x1) and stride 1, every pool 2x2 with stride 2.
        """),
        "## Table 1",
        prose("The convolutions of the five stages, kernel and maps; a pool ends each stage, three full layers end the network."),
        columns(),
        "## Table 2: parameters in millions",
        figures(
            "column",
            [Printed(name, shown, report(model).totals.params, read=f"{shown}M") for name, (model, _, _, shown) in VGG.items()],
        ),
        prose(f"""
            All six are right. Depth is cheap and the head is dear: of D's {full.totals.params:,} parameters {linear:,} belong to
            the three full layers, {first.params:,} to the first of them alone. With the MACs it is the other way round: {work:,} of
            {full.totals.macs:,} are theirs.
        """),
        "## Three 3x3 for one 7x7",
        prose(f"""
            Section 2.3: three 3x3 convolutions see as much as one of 7x7 (`1 + 3*(3 - 1) = {1 + 3 * 2}` pixels) and with C maps
            throughout have `3*(3*3*C*C) = {3 * 9}*C*C` weights instead of `7*7*C*C = {7 * 7}*C*C`. The larger is
            {100 * (49 - 27) / 27:.0f}% more, as printed ({VGG_MORE}).
        """),
        "## The multiply-adds that others quote",
        prose(
            'The VGG paper prints none. The ResNet paper, sections 3.3 and 4.1, gives "VGG-16/19 nets (15.3/19.6 billion FLOPs)":'
        ),
        quoted(),
        "Usual slips:",
        items(
            "the first full layer is taken to see `512*14*14` numbers, as if there were no last pool: it sees `512*7*7`",
            "biases are left out, which in D is a difference of "
            f"{sum(layer.output_shape[1] for layer in full.layers if layer.params):,}",
            "MB of weights: 4 bytes for each parameter, and MB is not MiB",
        ),
        console("summary vgg_d", "explain vgg_d classifier.0 --quantity params", "why vgg 15.3e9"),
    )


def columns() -> str:
    stages = {name: stages_of(loaded(model)) for name, (model, *_) in VGG.items()}
    assert stages == {name: shown.split("; ") for name, (_, shown, _, _) in VGG.items()}
    depths = {name: convolutions(loaded(model)) + linears(loaded(model)) for name, (model, *_) in VGG.items()}
    assert depths == {name: depth for name, (_, _, depth, _) in VGG.items()}
    outputs = [layer.output_shape for layer in report("vgg_d").layers if layer.op == "MaxPool2d"]
    lines = [
        (f"{number + 1}", *(stages[name][number].replace(" ", ", ") for name in VGG), "x".join(map(str, outputs[number][1:])))
        for number in range(5)
    ]
    return table(("stage", *VGG, "after the pool"), [*lines, ("weight layers", *map(str, depths.values()), "")])


def stages_of(graph: Graph) -> list[str]:
    """The convolutions between the pools in the paper's words, ``conv`` left out: kernel and maps."""
    stages: list[list[str]] = [[]]
    for node in graph.layers:
        kind = type(node.op).__name__
        if kind == "Conv2d":
            stages[-1].append(f"{node.op.kernel_size[0]}-{node.op.out_channels}")
        elif kind == "LocalResponseNorm":
            stages[-1].append("LRN")
        elif kind == "MaxPool2d":
            stages.append([])
    return [" ".join(stage) for stage in stages[:-1]]


def quoted() -> str:
    found = []
    for model, name, shown in zip(("vgg_d", "vgg_e"), ("VGG-16", "VGG-19"), RESNET_VGG, strict=True):
        whole = report(model)
        alone = sum(layer.macs for layer in whole.layers if layer.op == "Conv2d")
        for said, number in (("convolutions alone", alone), ("all layers", whole.totals.macs)):
            found.append((name, said, shown, number, Printed(name, shown, number).verdict))
    by = {(name, said): verdict for name, said, _, _, verdict in found}
    assert [said for (_, said), verdict in by.items() if "differs" not in verdict] == ["convolutions alone", "all layers"]
    return page(
        table(("network", "what is counted", "printed", "MACs", "the print is"), found),
        prose("Each is right by itself, but not by the same rule: 15.3 leaves the full layers out, 19.6 has them in."),
    ).strip()
