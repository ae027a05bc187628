"""AlexNet's kernels, neurons and totals against the paper's."""

from math import prod

from tests.learning.markdown import (
    Printed,
    console,
    drawing,
    figures,
    held,
    items,
    loaded,
    numbers,
    page,
    prose,
    report,
    row,
    table,
)
from tests.learning.published import ALEXNET, ALEXNET_INPUT, ALEXNET_TOTALS

PAPER = "alexnet_two_towers"


def page_text() -> str:
    totals, tower = report(PAPER).totals, report("alexnet").totals
    listed = sum(int(neurons.replace(",", "")) for _, _, neurons in ALEXNET)
    conv1 = row(PAPER, "conv1").output_shape
    return page(
        "# AlexNet",
        prose("""
            Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional neural networks", sections 3.3
            to 3.5 and Fig. 2. The paper splits the network over two GPUs; conv2, conv4 and conv5 see only the maps on their own,
            which today is written `groups: 2` (`alexnet_two_towers`). With one tower (`alexnet`) they see all maps.
        """),
        "## Layer by layer",
        layers(),
        prose("The depth of each printed kernel is half of the maps before it wherever a layer is split in two."),
        "## 224 or 227",
        prose("""
            The paper prints an input of 224x224. An 11x11 window with stride 4 does not come out even on it; a map of 55x55, which
            conv2's neurons need, takes 227, or a size that is rounded up. The authors' own code (cuda-convnet) rounds up: the last
            window reaches three pixels past the image (`alexnet_224`).
        """),
        drawing(("alexnet", "conv1"), ("alexnet_224_floor", "conv1"), ("alexnet_224", "conv1")),
        prose(f"""
            Rounded down, the maps are 54, 26, 12 and in the end 5 wide instead of 6, fc6 has fewer weights, and the whole network
            has {report("alexnet_224_floor").totals.params:,} parameters instead of {tower.params:,}: a different network.
        """)
        if widths("alexnet_224_floor") == [54, 26, 12, 5]
        else "",
        "## Neurons: Fig. 2",
        figures("layer", neurons()),
        "## The totals of the abstract",
        figures(
            "in all",
            [
                Printed("parameters", ALEXNET_TOTALS[0], totals.params, read="60M"),
                Printed("neurons", ALEXNET_TOTALS[1], totals.neurons, read="65e4"),
            ],
        ),
        prose(f"""
            The 60 million are those of two towers, cut off; one tower has {tower.params:,}. The 650,000 neurons are the right sum,
            cut off to two digits. The figure's own list, with its wrong first number, adds up to {listed:,}, which would be 620,000
            so cut.
        """),
        "## Traps",
        items(
            "Response normalisation: the paper multiplies alpha = 1e-4 with the sum of squares over 5 maps; PyTorch and Caffe "
            f"divide alpha by 5 first. In their words the paper's value is {loaded('alexnet').find('norm1').op.alpha:g}.",
            f"`torchvision.models.alexnet` is another network (Krizhevsky 2014): {report('alexnet_torchvision').totals.params:,} "
            "parameters, 64 maps in conv1, no normalisation.",
            f"conv1's map is {'x'.join(map(str, conv1[1:]))} and is pooled before conv2: neurons are counted before the pool.",
        ),
        console("explain alexnet_two_towers conv2", "why alexnet 60965224", "compare alexnet alexnet_two_towers"),
    )


def widths(model: str) -> list[int]:
    return [row(model, layer).output_shape[-1] for layer in ("conv1", "pool1", "pool2", "pool5")]


def layers() -> str:
    lines = []
    for layer, kernels, _ in ALEXNET:
        op, x = loaded(PAPER).find(layer).op, row(PAPER, layer).input_shapes[0]
        if hasattr(op, "kernel_size"):
            size = "x".join(map(str, (*op.kernel_size, x[1] // op.groups)))
            assert kernels.startswith(f"{op.out_channels} of {size}"), layer
        else:
            assert kernels == str(op.out_features), layer
        one = row(PAPER, layer)
        output = "x".join(map(str, one.output_shape[1:]))
        lines.append((layer, kernels, output, numbers(PAPER, layer, "params"), one.params, row("alexnet", layer).params))
    totals = ("in all", "", "", "", report(PAPER).totals.params, report("alexnet").totals.params)
    return table(("layer", "kernels (3.5)", "output", "parameters, two towers", "exact", "one tower"), [*lines, totals])


def neurons() -> list[Printed]:
    at_55 = row(PAPER, "conv1").output_shape
    printed = int(ALEXNET[0][2].replace(",", ""))
    rows, maps = at_55[2], at_55[1]
    columns = printed // (rows * maps)
    assert rows * columns * maps == printed
    slip = (
        f"That is `{rows}*{columns}*{maps}`: as if the {rows}x{rows} map were {columns} wide, the number of maps on one GPU. "
        f"The right number is `{rows}*{rows}*{maps} = {prod(at_55[1:]):,}`."
    )
    image = row("alexnet_224", "conv1").input_shapes[0]
    found = [Printed("input, 224x224x3", ALEXNET_INPUT, prod(image))]
    found += [Printed(layer, shown, row(PAPER, layer).neurons, slip if layer == "conv1" else "") for layer, _, shown in ALEXNET]
    return list(held(found))
