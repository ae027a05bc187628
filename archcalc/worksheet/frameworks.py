"""The layers of Keras and of PyTorch as operators: their arguments by position and by name."""

from collections.abc import Callable
from typing import Any, NamedTuple

from archcalc.ops import OPS, Op

Arguments = dict[str, Any]


class Layer(NamedTuple):
    """A layer of a listing: its operator, its kind, and the channels or features that it says come in."""

    op: str | None
    built: Op | None
    x: int | None
    name: str
    torch: bool


# PyTorch's arguments in their order; the first of the layers that state their input comes out as ``x``.
_TORCH: dict[str, tuple[str, ...]] = {
    "Conv1d": ("x", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"),
    "Conv2d": ("x", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"),
    "Conv3d": ("x", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"),
    "ConvTranspose2d": ("x", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation"),
    "Linear": ("x", "out_features", "bias"),
    "MaxPool2d": ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"),
    "AvgPool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "AdaptiveAvgPool2d": ("output_size",),
    "AdaptiveMaxPool2d": ("output_size", "return_indices"),
    "BatchNorm1d": ("x", "eps", "momentum", "affine", "track_running_stats"),
    "BatchNorm2d": ("x", "eps", "momentum", "affine", "track_running_stats"),
    "LayerNorm": ("normalized_shape", "eps", "elementwise_affine", "bias"),
    "GroupNorm": ("num_groups", "x", "eps", "affine"),
    "LocalResponseNorm": ("size", "alpha", "beta", "k"),
    "Flatten": ("start_dim", "end_dim"),
    "Dropout": ("p", "inplace"),
    "Identity": (),
    "PReLU": ("num_parameters", "init"),
    "Upsample": ("size", "scale_factor", "mode", "align_corners"),
    "ChannelShuffle": ("groups",),
}
_INPUT_WORDS = ("in_channels", "in_features", "num_features", "num_channels")
_DROPPED = ("return_indices", "device", "dtype", "init")
_UNSHAPED = (
    "ReLU", "ReLU6", "LeakyReLU", "ELU", "GELU", "SiLU", "Hardswish", "Hardsigmoid", "Sigmoid", "Tanh", "Softmax", "LogSoftmax",
)  # fmt: skip
_ALIASES = {"Dropout2d": "Dropout", "Dropout1d": "Dropout", "AlphaDropout": "Dropout", "Swish": "SiLU", "MaxPool1d": ""}


def layer_of(name: str, arguments: list[Any], keywords: Arguments) -> Layer | None:
    """Return the layer that a call makes, None for one that is not known. Raises ArchcalcError for arguments that do not fit."""
    keras = _KERAS.get(name)
    if keras is not None:
        positions, make = keras
        values = dict(zip(positions, arguments, strict=False)) | keywords
        built = make(values)
        return Layer(type(built).__name__, built, None, str(values.get("name", "") or ""), False)
    name = _ALIASES.get(name, name)
    if name in _UNSHAPED:
        return Layer(name, OPS[name](), None, str(keywords.get("name", "") or ""), True)
    if name not in _TORCH:
        return None
    if len(arguments) > len(_TORCH[name]):
        return None
    values = dict(zip(_TORCH[name], arguments, strict=False)) | keywords
    entering = next((values.pop(word) for word in ("x", *_INPUT_WORDS) if word in values), None)
    kept = {key: value for key, value in values.items() if key not in _DROPPED}
    if kept.get("padding") == "valid":
        kept["padding"] = 0
    built = OPS[name](**kept)
    return Layer(name, built, entering if type(entering) is int else None, "", True)


def input_sizes(name: str, arguments: list[Any], keywords: Arguments) -> Any:
    """Return the input's sizes where a Keras layer states them, batch left out; None where it does not."""
    if name in ("Input", "InputLayer"):
        value = keywords.get("shape", keywords.get("input_shape", arguments[0] if arguments else None))
        if value is None and keywords.get("batch_shape") is not None:
            value = keywords["batch_shape"][1:]
        return value if isinstance(value, tuple) else None
    if isinstance(keywords.get("input_shape"), tuple):
        return keywords["input_shape"]
    if isinstance(keywords.get("batch_input_shape"), tuple):
        return keywords["batch_input_shape"][1:]
    if type(keywords.get("input_dim")) is int:
        return (keywords["input_dim"],)
    return None


def _padding(values: Arguments) -> Any:
    padding = values.get("padding", "valid")
    if not isinstance(padding, str) or padding.lower() not in ("same", "valid"):
        raise ValueError(f"padding {padding}")
    return "same" if padding.lower() == "same" else 0


def _conv(op: str) -> Callable[[Arguments], Op]:
    def make(values: Arguments) -> Op:
        return OPS[op](
            out_channels=values["filters"],
            kernel_size=values["kernel_size"],
            stride=values.get("strides", 1),
            padding=_padding(values),
            dilation=values.get("dilation_rate", 1),
            groups=values.get("groups", 1),
            bias=bool(values.get("use_bias", True)),
        )

    return make


def _pool(op: str) -> Callable[[Arguments], Op]:
    def make(values: Arguments) -> Op:
        size = values.get("pool_size", 2)
        return OPS[op](kernel_size=size, stride=values.get("strides") or size, padding=_padding(values))

    return make


def _same(op: str, **fields: Any) -> Callable[[Arguments], Op]:
    return lambda values: OPS[op](**fields)


def _zero_padding(values: Arguments) -> Op:
    padding = values.get("padding", 1)
    if isinstance(padding, tuple) and any(isinstance(side, tuple) for side in padding):
        padding = tuple(number for side in padding for number in side)
    return OPS["ZeroPad2d"](padding=padding)


def _dense(values: Arguments) -> Op:
    return OPS["Linear"](out_features=values["units"], bias=bool(values.get("use_bias", True)))


_CONV = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "activation", "use_bias")
_POOL = ("pool_size", "strides", "padding")
_KERAS: dict[str, tuple[tuple[str, ...], Callable[[Arguments], Op]]] = {
    **dict.fromkeys(("Conv2D", "Convolution2D"), (_CONV, _conv("Conv2d"))),
    **dict.fromkeys(("MaxPooling2D", "MaxPool2D"), (_POOL, _pool("MaxPool2d"))),
    **dict.fromkeys(("AveragePooling2D", "AvgPool2D"), (_POOL, _pool("AvgPool2d"))),
    **dict.fromkeys(
        ("GlobalAveragePooling2D", "GlobalAvgPool2D", "GlobalMaxPooling2D", "GlobalMaxPool2D"), ((), _same("GlobalAvgPool2d"))
    ),
    "Dense": (("units", "activation", "use_bias"), _dense),
    "BatchNormalization": ((), _same("BatchNorm2d")),
    "ZeroPadding2D": (("padding",), _zero_padding),
    "Resizing": (("height", "width"), lambda values: OPS["Resize"](size=(values["height"], values["width"]))),
    **dict.fromkeys(
        ("Activation", "Rescaling", "GaussianNoise", "SpatialDropout2D", "RandomFlip", "RandomRotation"), ((), _same("Identity"))
    ),
}
