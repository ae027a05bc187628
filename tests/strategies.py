"""Random networks as spec texts: every kind of operator, merges, blocks, repeats, groups and heads, of which most fit together.

A network is drawn together with the shape that it has so far, so that a step is only drawn where it can stand.
"""

from typing import Any

from hypothesis import strategies as st

Draw = Any
Shape = tuple[int, ...]  # channels, and height and width until they are flattened

ACTIVATIONS = [
    "ReLU",
    "ReLU6",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "GELU",
    "SiLU",
    "Hardswish",
    "Hardsigmoid",
    "Sigmoid",
    "Tanh",
    "ScaledTanh",
]
WRAPS = ["plain", "plain", "group", "block", "numbered", "repeat", "merge", "head", "frozen", "twins", "unread"]
IN_PLACE = ["ReLU", "ReLU6", "LeakyReLU", "ELU", "SiLU", "Hardswish", "Hardsigmoid"]


def flow(value: Any) -> str:
    """A value as YAML writes it in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value)


def divisors(number: int) -> st.SearchStrategy[int]:
    return st.sampled_from([divisor for divisor in range(1, number + 1) if number % divisor == 0])


@st.composite
def convolutions(draw: Draw, x: Shape) -> tuple[dict[str, Any], Shape]:
    """A convolution with every argument that it has, and its output; ``same`` only where the step after it can be drawn."""
    groups = draw(divisors(x[0]))
    kernel, stride, dilation = (draw(st.tuples(st.integers(1, most), st.integers(1, most))) for most in (4, 3, 2))
    padding: Any = draw(
        st.one_of(st.just("same"), st.integers(0, 3), st.lists(st.integers(0, 3), min_size=2, max_size=2), four_sides)
    )
    arguments = {
        "out_channels": groups * draw(st.integers(1, 3)),
        "kernel_size": list(kernel),
        "stride": list(stride),
        "padding": padding,
        "dilation": list(dilation),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    sizes = []
    for i, k, s, d, ends in zip(x[1:], kernel, stride, dilation, both_ends(padding), strict=True):
        span = d * (k - 1) + 1
        if padding == "same":
            sizes.append(-(-i // s))
        elif i + ends < span:
            return draw(convolutions(x))
        else:
            sizes.append((i + ends - span) // s + 1)
    return {"Conv2d": arguments}, (arguments["out_channels"], *sizes)


four_sides = st.lists(st.integers(0, 3), min_size=4, max_size=4)


def both_ends(padding: Any) -> tuple[int, int]:
    """What a padding adds to the height and to the width."""
    if padding == "same":
        return 0, 0
    if isinstance(padding, int):
        return 2 * padding, 2 * padding
    return (2 * padding[0], 2 * padding[1]) if len(padding) == 2 else (padding[0] + padding[1], padding[2] + padding[3])


@st.composite
def transposed(draw: Draw, x: Shape) -> tuple[dict[str, Any], Shape]:
    groups = draw(divisors(x[0]))
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, (kernel - 1) // 2))
    extra = draw(st.integers(0, stride - 1))
    out = groups * draw(st.integers(1, 3))
    arguments = {
        "out_channels": out,
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "output_padding": extra,
        "groups": groups,
    }
    sizes = [(i - 1) * stride + kernel - 2 * padding + extra for i in x[1:]]
    if max(sizes) > 40:
        return draw(convolutions(x))
    return {"ConvTranspose2d": arguments}, (out, *sizes)


@st.composite
def pools(draw: Draw, x: Shape) -> tuple[dict[str, Any], Shape]:
    op = draw(st.sampled_from(["MaxPool2d", "AvgPool2d"]))
    kernel = draw(st.integers(1, min(3, *x[1:])))
    stride = draw(st.integers(1, 3))
    padding = draw(st.integers(0, kernel // 2))
    ceil = draw(st.booleans())
    arguments = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil}
    sizes = []
    for i in x[1:]:
        size = (i + 2 * padding - kernel + (stride - 1 if ceil else 0)) // stride + 1
        sizes.append(size - 1 if ceil and (size - 1) * stride >= i + padding else size)
    return {op: arguments}, (x[0], *sizes)


@st.composite
def normalisations(draw: Draw, x: Shape) -> dict[str, Any] | str:
    return draw(
        st.one_of(
            st.builds(
                lambda affine, track: {"BatchNorm2d": {"affine": affine, "track_running_stats": track}},
                st.booleans(),
                st.booleans(),
            ),
            st.builds(
                lambda groups, affine: {"GroupNorm": {"num_groups": groups, "affine": affine}}, divisors(x[0]), st.booleans()
            ),
            st.just("LayerNorm"),
            st.builds(lambda size: {"LocalResponseNorm": {"size": size}}, st.integers(1, 5)),
        )
    )


@st.composite
def branches(draw: Draw, x: Shape, depth: int) -> tuple[dict[str, Any], Shape]:
    """A merge whose branches fit: each ends with a convolution that brings it to one shape, or leaves the input as it is."""
    op = draw(st.sampled_from(["Add", "Multiply", "Concat"]))
    count = draw(st.integers(2, 3)) if op != "Multiply" else 2
    merge: dict[str, Any] = {}
    channels = []
    for number in range(count):
        steps, shape = [], x
        if draw(st.booleans()):
            steps, shape = draw(kept_sizes(x, depth - 1))
        if op != "Concat" and shape[0] != x[0]:
            steps, shape = [*steps, {"Conv2d": {"out_channels": x[0], "kernel_size": 1}}], x
        if op == "Multiply" and number == 1 and draw(st.booleans()):
            steps = [*steps, "GlobalAvgPool2d", {"Conv2d": {"out_channels": x[0], "kernel_size": 1}}, "Sigmoid"]
        merge[f"b{number}"] = steps
        channels.append(shape[0])
    return {op: merge}, ((sum(channels) if op == "Concat" else x[0]), *x[1:])


@st.composite
def kept_sizes(draw: Draw, x: Shape, depth: int) -> tuple[list[Any], Shape]:
    """Steps that leave height and width as they are."""
    steps: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["conv", "norm", "activation", "dropout", "merge" if depth > 0 else "conv"]))
        if kind == "conv":
            out = draw(st.integers(1, 6))
            kernel = draw(st.sampled_from([1, 3]))
            steps.append(
                {"Conv2d": {"out_channels": out, "kernel_size": kernel, "padding": kernel // 2, "bias": draw(st.booleans())}}
            )
            x = (out, *x[1:])
        elif kind == "norm":
            steps.append(draw(normalisations(x)))
        elif kind == "activation":
            steps.append(draw(st.sampled_from(ACTIVATIONS)))
        elif kind == "dropout":
            steps.append({"Dropout": {"p": draw(st.sampled_from([0, 0.3, 0.5]))}})
        else:
            merge, x = draw(branches(x, depth))
            steps.append(merge)
    return steps, x


@st.composite
def stages(draw: Draw, x: Shape, depth: int) -> tuple[list[Any], Shape]:
    """A few steps from ``x``, of any kind."""
    kind = draw(
        st.sampled_from(["conv", "transposed", "pool", "plain", "merge", "resample", "shuffle", "pad", "in place", "adaptive"])
    )
    if kind == "conv":
        step, x = draw(convolutions(x))
    elif kind == "transposed":
        step, x = draw(transposed(x))
    elif kind == "pool":
        step, x = draw(pools(x))
    elif kind == "merge":
        step, x = draw(branches(x, depth))
    elif kind == "resample":
        size = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
        mode = draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))
        step, x = {draw(st.sampled_from(["Upsample", "Resize"])): {"size": list(size), "mode": mode}}, (x[0], *size)
    elif kind == "shuffle":
        step = {"ChannelShuffle": {"groups": draw(divisors(x[0]))}}
    elif kind == "pad":
        sides = draw(four_sides)
        step = {"ZeroPad2d": {"padding": sides}}
        x = (x[0], x[1] + sides[0] + sides[1], x[2] + sides[2] + sides[3])
    elif kind == "in place":
        # After a normalisation, or PyTorch itself would refuse to overwrite what a backward pass needs.
        return ["BatchNorm2d", {draw(st.sampled_from(IN_PLACE)): {"inplace": True}}], x
    elif kind == "adaptive":
        size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
        step, x = {draw(st.sampled_from(["AdaptiveAvgPool2d", "AdaptiveMaxPool2d"])): {"output_size": list(size)}}, (x[0], *size)
    else:
        return draw(kept_sizes(x, depth))
    return [step], x


@st.composite
def specs(draw: Draw) -> str:
    """A whole spec, as text."""
    channels, height, width = draw(st.integers(1, 6)), draw(st.integers(4, 14)), draw(st.integers(4, 14))
    x: Shape = (channels, height, width)
    layers: list[Any] = []
    blocks: dict[str, list[Any]] = {}
    for number in range(draw(st.integers(1, 5))):
        steps, after = draw(stages(x, 2))
        wrap = draw(st.sampled_from(WRAPS))
        if wrap == "repeat" and after == x:
            layers.append({"group": {"repeat": draw(st.integers(1, 3)), "layers": steps}})
        elif wrap == "merge" and after == x:
            layers.append({"Add": {"repeat": draw(st.integers(1, 3)), "main": steps, "skip": []}})
        elif wrap == "twins" and after == x:
            blocks[f"twin{number}"] = steps
            layers += [{f"twin{number}": {"name": f"first{number}"}}, {f"twin{number}": {"share": f"first{number}"}}]
        elif wrap == "frozen":
            layers.append({"group": {"name": f"frozen{number}", "frozen": True, "layers": steps}})
        elif wrap == "block":
            blocks[f"stage{number}"] = steps
            layers.append(f"stage{number}")
        elif wrap in ("group", "numbered"):
            layers.append({"group": {"name": f"g{number}", "numbered": wrap == "numbered", "layers": steps}})
        elif wrap == "head":
            layers.append({"head": {"name": f"head{number}", "layers": steps}})
            continue
        elif wrap == "unread":
            more, _ = draw(stages(after, 1))
            layers.append({draw(st.sampled_from(ACTIVATIONS)): {"name": f"read{number}"}})
            layers.append({"group": {"name": f"unread{number}", "frozen": draw(st.booleans()), "layers": steps}})
            layers.append({"group": {"name": f"end{number}", "layers": more}})
            if draw(st.booleans()):
                layers.append({"group": {"name": f"other{number}", "from": f"unread{number}", "layers": more}})
            layers.append({draw(st.sampled_from(ACTIVATIONS)): {"from": f"read{number}"}})
            continue
        else:
            layers += steps
        x = after
    if draw(st.booleans()):
        layers += ["Flatten", {"Linear": {"out_features": draw(st.integers(1, 5)), "bias": draw(st.booleans())}}]
        layers.append(draw(st.sampled_from(["Softmax", "LogSoftmax", "ReLU", "BatchNorm1d"])))
    lines = ["name: drawn", f"input: {flow([channels, height, width])}"]
    if blocks:
        lines += ["blocks:", *(f"  {name}: {flow(steps)}" for name, steps in blocks.items())]
    return "\n".join([*lines, "layers:", *(f"  - {flow(step)}" for step in layers)]) + "\n"
