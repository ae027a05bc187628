"""How each quantity is computed: its formula, one worked layer, and what goes wrong in practice."""

from math import prod

from archcalc.formula.printed import letters
from archcalc.ops.conv import conv_macs, conv_params
from archcalc.ops.lenet import connected_params, subsample_params
from archcalc.ops.linear import linear_params
from archcalc.ops.norm import channel_params
from archcalc.ops.window import ceil_window_count, dilated_kernel, same_window_count, uneven_window_count, window_count
from archcalc.shape import Shape
from tests.learning.markdown import arithmetic, console, drawing, explained, items, loaded, page, prose, report, row, table
from tests.learning.published import FIELDS

TWO_AXES = {"k": (1, 1)}


def page_text() -> str:
    return page(
        "# How each quantity is computed",
        prose("""
            Each section has the formula, one layer worked out, the usual slips with the wrong number that each leads to, and the
            command that shows the same for any layer. Formulas and letters are the program's own, printed from its source; the
            letters are those of Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016). Everything is for
            one image in float32.
        """),
        *output_size(),
        *parameters(),
        *macs(),
        *flops(),
        *stored(),
        *receptive_field(),
        *units(),
    )


def times(shape: tuple[int, ...]) -> str:
    return "*".join(map(str, shape))


def slips(model: str, layer: str, quantity: str, key: str, wrong: dict[str, int]) -> list[tuple[str, str, int, int]]:
    """Rows of a table of slips; each leads to another number than the right one."""
    right = getattr(row(model, layer), key)
    assert right not in wrong.values(), f"{quantity} of {layer}: no slip"
    return [(f"{model} {layer}", said, number, right) for said, number in wrong.items()]


def slip_table(*groups: list[tuple[str, str, int, int]]) -> str:
    return table(("layer", "slip", "gives", "right"), [line for group in groups for line in group])


def output_size() -> list[str]:
    rules = [
        ("a convolution or a pool, rounded down", letters(window_count), "PyTorch, most papers"),
        ("the two ends padded differently", letters(uneven_window_count), "cuda-convnet's way: add at the far end only"),
        ("rounded up, `ceil_mode`", letters(ceil_window_count), "pools of Caffe and cuda-convnet"),
        ("`same` padding", letters(same_window_count), "TensorFlow, Keras"),
        ("dilation: `k` above becomes", letters(dilated_kernel), "all of them"),
    ]
    exact = (224 - 11) / 4 + 1
    early, late = (row("alexnet", layer).output_shape[1:] for layer in ("conv5", "pool5"))
    return [
        "## Output size",
        "How often a window fits along one axis. Height and width are reckoned one by one; channels are the layer's own choice.",
        arithmetic("alexnet", "conv1", "output"),
        prose("""
            In the drawings `o` is a pixel, `#` what a window covers, `.` a pixel that no window sees, `+` padding, `~` what lies
            beyond the edge. A size that does not come out even is no error: something is left over, or hangs over.
        """),
        drawing(("alexnet", "conv1"), ("alexnet_224_floor", "conv1"), ("zfnet", "pool1"), ("resnet20", "layer2.0.conv1")),
        table(("rule", "positions along one axis", "who"), [(rule, f"`{formula}`", who) for rule, formula, who in rules]),
        "Where it goes wrong:",
        items(
            f"A fraction is kept, or rounded to the nearest: `(224 - 11)/4 + 1 = {exact:g}` is not a size. Rounded down it is "
            f"{row('alexnet_224_floor', 'conv1').output_shape[-1]}, rounded up {row('alexnet_224', 'conv1').output_shape[-1]}.",
            "The `+ 1` is left out, or padding is counted once, not for both ends.",
            f"The map is flattened before the last pool: AlexNet's fc6 sees `{times(late)} = {prod(late):,}` numbers, not "
            f"`{times(early)} = {prod(early):,}`.",
        ),
        console("explain alexnet conv1 --quantity output", "explain zfnet pool1 --quantity output"),
    ]


def parameters() -> list[str]:
    one = {"bias": 1, "g": 1, "c_in": 1, "c_out": 1, **TWO_AXES}
    kinds = [
        ("Conv2d", letters(conv_params, one)),
        ("Linear", letters(linear_params, one)),
        ("BatchNorm", letters(channel_params, {})),
        ("LeNet-5's trainable subsampling", letters(subsample_params, {})),
        ("LeNet-5's C3, a table of m entries", letters(connected_params, one)),
        ("pools, ReLU, Dropout, response normalisation", "0"),
    ]
    conv1 = {"k": (11, 11), "c_in": 3, "c_out": 96, "g": 1, "bias": 1}
    conv2 = {"k": (5, 5), "c_in": 96, "c_out": 256, "g": 1, "bias": 1}
    norm, stem = row("resnet50", "bn1"), row("resnet50", "conv1")
    early = prod(row("alexnet", "conv5").output_shape[1:])
    resnet = report("resnet50").totals
    return [
        "## Parameters",
        "What is learned. A kernel is shared by all positions, so the size of the map does not matter to a convolution.",
        arithmetic("alexnet_two_towers", "conv2", "params"),
        table(("operator", "parameters"), [(kind, f"`{formula}`") for kind, formula in kinds]),
        "Where it goes wrong:",
        slip_table(
            slips(
                "alexnet",
                "conv1",
                "params",
                "params",
                {
                    "no bias": conv_params(**conv1 | {"bias": 0}),
                    "one bias for the whole layer": conv_params(**conv1 | {"bias": 0}) + 1,
                    "the 3 input channels left out": conv_params(**conv1 | {"c_in": 1}),
                },
            ),
            slips("alexnet_two_towers", "conv2", "params", "params", {"groups left out": conv_params(**conv2)}),
            slips(
                "alexnet",
                "fc6",
                "params",
                "params",
                {
                    "flattened before the pool": linear_params(c_in=early, c_out=4096, bias=1),
                },
            ),
            slips("resnet50", "bn1", "params", "params", {"BatchNorm has 4 numbers per channel": 2 * norm.params}),
            slips("resnet50", "conv1", "params", "params", {"a bias where BatchNorm has it": stem.params + stem.output_shape[1]}),
        ),
        prose(f"""
            BatchNorm learns 2 numbers per channel, a scale and a shift. It stores 2 more, a running mean and variance (and a
            counter): those are buffers. ResNet-50 has {resnet.params:,} parameters and {resnet.buffers:,} numbers in buffers; Keras
            prints the means and variances along with the parameters, as "non-trainable".
        """),
        console("explain alexnet_two_towers conv2 --quantity params", "summary resnet50 --columns params,buffers --depth 1"),
    ]


def macs() -> list[str]:
    first, second = row("alexnet", "conv1"), row("alexnet_two_towers", "conv2")
    at_input = Shape((1, 96, *first.input_shapes[0][2:]))
    fc6, conv5 = row("alexnet", "fc6"), row("alexnet", "conv5")
    return [
        "## MACs",
        prose("""
            Multiply-accumulates of convolutions and matrix products. Each output needs one for each weight that it sees: the
            weights of the layer, times the positions. Biases are not counted, padding is counted as if it were image.
        """),
        arithmetic("alexnet", "conv1", "macs"),
        "Where it goes wrong:",
        slip_table(
            slips(
                "alexnet",
                "conv1",
                "MACs",
                "macs",
                {
                    "FLOPs: multiplications and additions apart": 2 * first.macs,
                    "the input's 227x227 for the output's 55x55": conv_macs(y=at_input, k=(11, 11), c_in=3, g=1),
                    "the positions left out": first.macs // prod(first.output_shape[2:]),
                },
            ),
            slips("alexnet_two_towers", "conv2", "MACs", "macs", {"groups left out": 2 * second.macs}),
        ),
        prose(f"""
            MACs and parameters are two things: conv5 has {conv5.params:,} parameters and {conv5.macs:,} MACs, fc6 {fc6.params:,}
            and {fc6.macs:,}. A linear layer uses each weight once, a convolution once at each position. Some tools count the biases
            too, conv1 then has {first.macs + first.elementwise_flops:,}: say so.
        """),
        console("explain alexnet conv1 --quantity macs", "summary resnet50 --count all"),
    ]


WORKED = (
    ("alexnet", "relu1", "one operation for each element"),
    ("alexnet", "pool1", "the largest of 9 takes 8 comparisons"),
    ("googlenet", "pool5", "48 additions and a division"),
    ("alexnet", "norm1", "5 maps: a square, 4 additions, alpha, k, the power, the division"),
    ("resnet50", "bn1", "in evaluation: minus the mean, over the deviation, scale, shift"),
    ("resnet20", "layer1.0.add1", "one addition"),
)


def flops() -> list[str]:
    found = {(model, layer): explained(model, layer, "flops").derivations[0] for model, layer, _ in WORKED}
    total = report("resnet50").totals
    return [
        "## Element-wise work and FLOPs",
        prose("""
            What is not a multiply-accumulate is element-wise work: biases, activations, pools, normalisations, additions. FLOPs
            (full) takes all of it, with a multiply-accumulate as two operations.
        """),
        arithmetic("alexnet", "conv1", "flops"),
        table(
            ("layer", "work", "in numbers", "why"),
            [
                (f"{model} {layer}", f"`{found[model, layer].letters}`", f"`{found[model, layer].numbers}`", why)
                for model, layer, why in WORKED
            ],
        ),
        prose(f"""
            Where it goes wrong: the bare word FLOPs. The papers of ResNet and GoogLeNet count multiply-adds and call them FLOPs or
            operations; PyTorch's own counter takes two for each; other tools add some of the element-wise work. ResNet-50 has
            {total.macs:,} MACs, `2*{total.macs} = {2 * total.macs:,}` operations in them, and {total.flops:,} FLOPs (full). Always
            say which is meant. [conventions.md](../conventions.md) has the rules of each tool.
        """),
        console("explain alexnet pool1 --quantity flops", "summary resnet50 --count full"),
    ]


def stored() -> list[str]:
    conv1, pool1 = row("alexnet", "conv1"), row("alexnet", "pool1")
    weights = 4 * report("vgg16").totals.params
    net = report("resnet50").totals
    made = conv1.output_bytes
    return [
        "## Activation and saved bytes",
        "A layer's activation is the tensor that it makes. In training, autograd keeps some of them until the backward pass.",
        arithmetic("alexnet", "conv1", "activation"),
        arithmetic("alexnet", "pool1", "saved"),
        prose(f"Of the tensors here, {' and '.join(explained('alexnet', 'pool1', 'saved').notes)}."),
        prose("""
            A convolution keeps its input, ReLU its output, max pooling its input and where the largest stood (8 bytes each). A
            tensor that an earlier layer keeps already is not counted again: ReLU's output is the next convolution's input.
        """),
        "Where it goes wrong:",
        items(
            f"MB or MiB. conv1's {made:,} bytes are {made / 1e6:.2f} MB (millions) and {made / 2**20:.2f} MiB (1,048,576 each); "
            f"the weights of VGG-16 are {weights / 1e6:.1f} MB and {weights / 2**20:.1f} MiB. Both get called MB.",
            "The batch is forgotten: activations grow with it, parameters do not.",
            "The 4 bytes are forgotten, or kept for a half-precision network.",
            f'"Memory" alone. ResNet-50 makes {net.output_bytes:,} bytes of activations per image, keeps {net.saved_bytes:,} of '
            f"the tensors in it for training, and has {4 * net.params:,} bytes of parameters besides.",
            f"What is made is taken for what is kept: pool1 makes {pool1.output_bytes:,} bytes and keeps {pool1.saved_bytes:,}.",
        ),
        console("explain alexnet pool1 --quantity saved", "summary resnet50 --columns output_bytes,saved_bytes --dtype float16"),
    ]


def receptive_field() -> list[str]:
    windows = [node for node in loaded("alexnet").layers if hasattr(node.op, "kernel_size")]
    lines = []
    for node in windows:
        one = row("alexnet", node.name)
        stride = getattr(node.op, "stride", None) or node.op.kernel_size
        lines.append((node.name, node.op.kernel_size[0], stride[0], one.receptive_field[0], one.jump[0], one.padding[0]))
    seen = row("alexnet", "pool2").receptive_field[0]
    before = windows[: [node.name for node in windows].index("pool2") + 1]
    plain = 1 + sum(node.op.kernel_size[0] - 1 for node in before)
    reckoned = [row(model, layer) for model, layer, *_ in FIELDS]
    return [
        "## Receptive field, jump and padding",
        prose("""
            How many pixels of the network's input one output sees along an axis. The jump is how far apart neighbouring outputs
            look, all strides multiplied; the overhang (the padding of the whole network) is how far the first field reaches over
            the edge. The rules are those of Araujo, Norris and Sim (2019, doi 10.23915/distill.00021).
        """),
        arithmetic("alexnet", "pool2", "receptive-field"),
        table(("AlexNet", "kernel", "stride", "receptive field", "jump", "overhang"), lines),
        "Against published numbers (google-research/receptive_field), field, stride and padding:",
        table(
            ("network", "printed", "here"),
            [
                (
                    f"{name} ({model} {layer})",
                    shown,
                    "/".join(str(value[0]) for value in (one.receptive_field, one.jump, one.padding)),
                )
                for (model, layer, name, shown), one in zip(FIELDS, reckoned, strict=True)
            ],
        ),
        "Where it goes wrong:",
        items(
            f"The jump is left out and the kernels are only added up: pool2 would see {plain} pixels, it sees {seen}.",
            "The layer's own stride is taken into its own field. It moves the next layer's kernel, not this one's.",
            "A field is taken to lie inside the image: it may be larger than the image, and near the edge part of it is padding.",
        ),
        console("explain alexnet pool2 --quantity receptive-field", "summary vgg16 --columns receptive_field,jump,padding"),
    ]


def units() -> list[str]:
    c1, s2, conv1 = row("lenet5", "C1"), row("lenet5", "S2"), row("alexnet", "conv1")
    pooled = prod(row("alexnet", "pool1").output_shape)
    return [
        "## Neurons and connections",
        prose("""
            The words of the early papers. A neuron is one output of an operator that holds weights (not of ReLU or a plain pool). A
            connection is one weighted input of one neuron, and its bias is one more: weights are shared, connections are not.
        """),
        arithmetic("lenet5", "C1", "neurons"),
        arithmetic("lenet5", "C1", "connections"),
        "Where it goes wrong:",
        items(
            f"Connections are taken for parameters: C1 has {c1.connections:,} connections and {c1.params:,} parameters.",
            f"Connections are taken for MACs: C1 has {c1.macs:,} MACs, and a bias at each of its {c1.neurons:,} neurons.",
            f"Subsampling is taken for a plain pool: LeNet-5's S2 learns {s2.params} numbers, with {s2.connections:,} connections.",
            f"Neurons are counted behind the pool: AlexNet's conv1 has {conv1.neurons:,}, its pooled map holds {pooled:,} numbers.",
        ),
        console("explain lenet5 C1 --quantity connections", "summary lenet5 --columns params,connections,neurons"),
    ]
