"""GoogLeNet's Table 1: parameters and operations as printed, beside those of its rows."""

from typing import NamedTuple

from archcalc.analysis.fold import scope
from archcalc.units import parse_figure
from tests.learning.markdown import DIFFERS, Printed, console, held, items, linears, loaded, page, prose, report, table
from tests.learning.published import GOOGLENET, GOOGLENET_FEWER, GOOGLENET_OPERATIONS

BINARY = 1024
COLUMNS = ("1x1", "3x3 reduce", "3x3", "5x5 reduce", "5x5", "pool proj")


class Block(NamedTuple):
    """A row of Table 1 and what it computes: weights without biases, weights with them, multiply-adds."""

    name: str
    positions: int
    params: Printed
    with_biases: int
    ops: Printed

    @property
    def implied(self) -> int:
        """The multiply-adds that there would be if the printed parameters were right."""
        figure = parse_figure(self.params.printed)
        return figure.digits * BINARY * self.positions

    @property
    def fits_print(self) -> bool:
        """Whether the printed operations are those of the printed parameters."""
        return parse_figure(self.ops.printed).matches(self.implied)


def page_text() -> str:
    blocks = [block(*one) for one in GOOGLENET]
    wrong = [one for one in blocks if one.params.verdict == DIFFERS and one.name != "conv1"]
    stale = [one.name for one in wrong if one.ops.verdict != DIFFERS and not one.fits_print]
    open_to = [one.name for one in wrong if one.ops.verdict != DIFFERS and one.fits_print]
    by_biases = [one for one in wrong if parse_figure(one.params.printed).matches(one.with_biases * 1000 // BINARY)]
    return page(
        "# GoogLeNet",
        prose("""
            Szegedy, Liu, Jia and others 2015, "Going deeper with convolutions", Table 1. The table prints parameters in units of
            1024 and without biases (conv2 and linear are exact only so), operations in millions of multiply-adds. The widths in its
            rows are consistent, and everything here is computed from them.
        """),
        "## The rows",
        rows(),
        prose("conv1 is 7x7 with 64 maps and stride 2; conv2 a 1x1 with 64 maps and a 3x3 with 192."),
        "## Parameters",
        table(
            ("row", "printed", "K (1024) weights", "the print is", "weights", "with biases"),
            [
                (
                    one.name,
                    one.params.printed,
                    f"{one.params.exact / BINARY:.1f}",
                    one.params.verdict,
                    one.params.exact,
                    one.with_biases,
                )
                for one in blocks
            ],
        ),
        "## Operations",
        table(
            ("row", "printed", "multiply-adds", "the print is", "if the printed parameters were right"),
            [(one.name, one.ops.printed, one.ops.exact, one.ops.verdict, f"{one.implied / 1e6:.1f}M") for one in blocks],
        ),
        "## What the slips belong to",
        items(
            separable(blocks[0]),
            another_input(next(one for one in wrong if one.ops.verdict == DIFFERS)),
            f"**{', '.join(stale)}.** The operations are those of the row, not those of the printed parameters (last column): the "
            "parameters must come from another version of the row.",
            f"**{', '.join(open_to)}.** The operations fit the row and the printed parameters alike: they decide nothing.",
            *(
                f"**{one.name}** alone would be right with its biases counted: {one.with_biases / BINARY:.1f}K. No other row is "
                "printed with them."
                for one in by_biases
            ),
        ),
        "## The whole network",
        *whole(),
        console("summary googlenet --depth 1", "explain googlenet conv1", "why googlenet 13M"),
    )


def block(name: str, output: str, widths: tuple[int, ...] | None, params: str, ops: str) -> Block:
    scopes = {"conv2": ("conv2_reduce", "conv2")}.get(name, (name if widths is None else f"inception{name}",))
    layers = [layer for layer in report("googlenet").layers if scope(layer.name, 1) in scopes]
    weighted = [layer for layer in layers if layer.params]
    biases = sum(layer.output_shape[1] for layer in weighted)
    total = sum(layer.params for layer in weighted)
    height, width = weighted[-1].output_shape[2:] if len(weighted[-1].output_shape) == 4 else (1, 1)
    printed = Printed(f"{name}, parameters", params, total - biases, kilo=BINARY)
    done = Printed(f"{name}, operations", ops, sum(layer.macs for layer in weighted))
    shape = layers[-1].output_shape
    assert output == f"{shape[2]}x{shape[3]}x{shape[1]}" if name not in ("conv1", "conv2", "linear") else output, name
    explained = [one._replace(slip="told below") if one.verdict == DIFFERS else one for one in (printed, done)]
    held(explained)
    return Block(name, height * width, printed, total, done)


def rows() -> str:
    lines = []
    for name, output, widths, *_ in GOOGLENET:
        if widths is not None:
            assert widths == written(f"inception{name}"), name
            lines.append((name, *widths, output))
    return table(("row", *COLUMNS, "output"), lines)


def written(inception: str) -> tuple[int, ...]:
    """The widths of an inception block as the spec has them, in the order of the table's columns."""
    names = ("conv1x1", "reduce3x3", "conv3x3", "reduce5x5", "conv5x5", "project")
    return tuple(loaded("googlenet").find(f"{inception}.{name}").op.out_channels for name in names)


def separable(first: Block) -> str:
    """What the first row's printed pair belongs to."""
    weights = 7 * 7 * 3 * 8 + 24 * 64
    work = weights * first.positions
    assert parse_figure(first.params.printed).matches(weights)
    assert parse_figure(first.ops.printed).matches(work)
    return (
        f"**conv1.** A 7x7 convolution of 3 channels into 64 has `7*7*3*64 = {first.params.exact:,}` weights. The printed pair is "
        f"exactly that of a separable one, eight 7x7 kernels for each channel and then 1x1: `7*7*3*8 + 24*64 = {weights:,}` "
        f"weights, and at 112x112 positions {work:,} multiply-adds."
    )


def another_input(one: Block) -> str:
    """What the row's printed pair belongs to: the same widths on another number of input maps."""
    layers = [
        layer for layer in report("googlenet").layers if scope(layer.name, 1) == f"inception{one.name}" and layer.op == "Conv2d"
    ]
    maps = layers[0].input_shapes[0][1]
    seeing = sum(layer.output_shape[1] for layer in layers if layer.input_shapes[0][1] == maps)
    more = parse_figure(one.params.printed).digits * BINARY - one.params.exact
    needed = maps + more // seeing
    assert more % seeing == 0
    assert one.fits_print
    return (
        f"**{one.name}.** Parameters and operations fit each other, and the parameters are exactly those of this row on "
        f"{needed} maps: `{one.params.exact} + {needed - maps}*{seeing} = {one.params.exact + more}`, which is "
        f"{one.params.printed}. The row before makes {maps}: "
        f"the print belongs to a version of the network in which it made {needed - maps} more."
    )


def whole() -> list[str]:
    totals, heads, tower = (report(model).totals for model in ("googlenet", "googlenet_aux", "alexnet_two_towers"))
    graph = loaded("googlenet")
    (done,) = held([Printed("operations", GOOGLENET_OPERATIONS, totals.macs)])
    blocks = len({scope(node.name, 1) for node in graph.layers if node.name.startswith("inception")})
    # Along the deepest way through a block there are two convolutions.
    depth = 3 + 2 * blocks + linears(graph)
    ratio = tower.params / totals.params
    assert round(ratio) != GOOGLENET_FEWER
    return [
        items(
            f"Parameters: {totals.params:,}, with biases; with the two auxiliary classifiers of training, {heads.params:,}.",
            f"Operations: {done.exact:,} multiply-adds; the text's 1.5 billion is {done.verdict}.",
            f"Depth: 3 convolutions, 2 in a row in each of {blocks} blocks and the last layer are the {depth} layers of the text.",
            f'Section 1, "{GOOGLENET_FEWER}x fewer parameters" than AlexNet, **differs**: {tower.params:,} is {ratio:.1f} times as '
            f"many; {GOOGLENET_FEWER} times would need a network of {tower.params // GOOGLENET_FEWER:,}.",
            f"torchvision's network is another: 3x3 kernels in the 5x5 branch, BatchNorm, "
            f"{report('googlenet_torchvision').totals.params:,} parameters (`googlenet_torchvision`).",
        )
    ]
