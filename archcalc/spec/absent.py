"""Layers of torch.nn and of other libraries that archcalc does not have, each with what to write instead where there is something.

They are known by name so that none is taken for another operator that is merely spelt alike.
"""

from archcalc.ops import OPS

# torch.nn's classes by the family that has their nearest kin here, "" where none has; losses and Lazy ones are told by their names.
_TORCH: dict[str, str] = {
    "conv": "ConvTranspose1d ConvTranspose3d Fold Unfold",
    "linear": "Bilinear",
    "pool": """
        AdaptiveAvgPool1d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool3d AvgPool1d AvgPool3d FractionalMaxPool2d
        FractionalMaxPool3d LPPool1d LPPool2d LPPool3d MaxPool1d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d""",
    "norm": "BatchNorm3d CrossMapLRN2d InstanceNorm1d InstanceNorm2d InstanceNorm3d RMSNorm SyncBatchNorm",
    "activation": """
        CELU GLU Hardshrink Hardtanh LogSigmoid Mish RReLU SELU Softmax2d Softmin Softplus Softshrink Softsign Tanhshrink
        Threshold""",
    "rearrange": """
        AlphaDropout CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d Dropout1d Dropout2d
        Dropout3d FeatureAlphaDropout PixelShuffle PixelUnshuffle ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d
        ReplicationPad2d ReplicationPad3d Unflatten ZeroPad1d ZeroPad3d""",
    "resize": "UpsamplingBilinear2d UpsamplingNearest2d",
    "": """
        Container CosineSimilarity DataParallel Embedding EmbeddingBag GRU GRUCell LSTM LSTMCell Module ModuleDict ModuleList
        MultiheadAttention PairwiseDistance ParameterDict ParameterList RNN RNNBase RNNCell RNNCellBase Sequential Transformer
        TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer""",
}
_FAMILIES = {name: family for family, names in _TORCH.items() for name in names.split()}

# The same for torchvision, timm, Keras and Caffe, and for functions; in small letters.
_OTHERS: dict[str, str] = {
    "conv": "conv1dtranspose conv3dtranspose depthwiseconv1d depthwiseconv2d layerscale separableconv1d separableconv2d",
    "pool": """
        averagepooling1d averagepooling3d globalaveragepooling1d globalaveragepooling3d globalmaxpool1d globalmaxpool2d
        globalmaxpool3d globalmaxpooling1d globalmaxpooling2d globalmaxpooling3d globalavgpool1d globalavgpool3d maxpooling1d
        maxpooling3d""",
    "norm": "layernorm2d unitnormalization spectralnormalization",
    "activation": "activation",
    "rearrange": """
        alphadropout chunk cropping1d cropping2d cropping3d gaussiandropout gaussiannoise permute repeatvector reshape slice
        spatialdropout1d spatialdropout2d spatialdropout3d split transpose view zeropadding1d zeropadding3d""",
    "resize": "upsampling1d upsampling3d",
    "merge": "average dot eltwise maximum minimum seblock selayer semodule squeezeexcitation squeezeexcite subtract",
    "": """
        additiveattention attention bidirectional convlstm2d droppath inputlayer lambda locallyconnected1d locallyconnected2d
        masking simplernn stochasticdepth timedistributed""",
}
_OTHER_FAMILIES = {name: family for family, names in _OTHERS.items() for name in names.split()}

_AXIS_OF_ONE = "read the input as [channels, 1, length], with Conv2d and pools of `kernel_size: [1, k]`"
_SAME_SHAPES = "has the same shapes, and no parameters either"
_STEPS = "write its steps one after the other, as a block or as a group"
_GLOBAL = "write `AdaptiveMaxPool2d: {output_size: 1}`"
_DEPTHWISE = "write `Conv2d: {out_channels: in_channels, kernel_size: 3, groups: in_channels}`"
_AXES = "Flatten makes a flat tensor; the language changes axes in no other way"
_MODES = (("reflection", "reflect"), ("replication", "replicate"), ("circular", "circular"))
_PARTS = "no operator takes a part of a tensor; a convolution with groups works on each part by itself"
_SKIPPED = "leave it out: it has no parameters, and does nothing once the network is trained"
_GATE = (
    "write `Multiply: {map: [], gate: [GlobalAvgPool2d, Conv2d: {out_channels: in_channels // 4, kernel_size: 1}, ReLU,"
    " Conv2d: {out_channels: 4*in_channels, kernel_size: 1}, Sigmoid]}`"
)
_WAYS_OUT: dict[str, str] = {
    **{f"{mode}pad{n}d": f"a Conv{n}d takes `padding_mode: {word}` itself" for mode, word in _MODES for n in (1, 2, 3)},
    **dict.fromkeys(("constantpad1d", "zeropad1d", "zeropadding1d"), "a Conv1d takes `padding: [start, end]` itself, of zeros"),
    **dict.fromkeys(
        ("constantpad3d", "zeropad3d", "zeropadding3d"),
        "a Conv3d takes `padding: [front, back, top, bottom, left, right]` itself, of zeros",
    ),
    **dict.fromkeys(("seblock", "selayer", "semodule", "squeezeexcitation", "squeezeexcite"), _GATE),
    **dict.fromkeys(("chunk", "slice", "split"), _PARTS),
    **dict.fromkeys(("droppath", "stochasticdepth"), _SKIPPED),
    **dict.fromkeys(("avgpool1d", "maxpool1d", "averagepooling1d", "maxpooling1d", "lppool1d"), _AXIS_OF_ONE),
    **dict.fromkeys(("globalmaxpool2d", "globalmaxpooling2d"), _GLOBAL),
    **dict.fromkeys(("instancenorm1d", "instancenorm2d"), "write `GroupNorm: {num_groups: in_channels, affine: false}`"),
    **dict.fromkeys(("dropout1d", "dropout2d", "dropout3d", "alphadropout", "featurealphadropout"), f"Dropout {_SAME_SHAPES}"),
    **dict.fromkeys(("spatialdropout1d", "spatialdropout2d", "spatialdropout3d", "gaussiandropout"), f"Dropout {_SAME_SHAPES}"),
    **dict.fromkeys(("sequential", "module", "modulelist", "moduledict", "container"), _STEPS),
    **dict.fromkeys(("reshape", "view", "permute", "transpose", "unflatten"), _AXES),
    "layernorm2d": "`GroupNorm: {num_groups: 1}` has the same parameters and shape, but one mean for all pixels, not one for each",
    "layerscale": "write `Conv2d: {out_channels: in_channels, kernel_size: 1, groups: in_channels, bias: false}`",
    "syncbatchnorm": "BatchNorm2d has the same numbers",
    "crossmaplrn2d": "write `LocalResponseNorm: {size: 5}`",
    "softmax2d": "write `Softmax: {dim: 1}`",
    "upsamplingnearest2d": "write `Upsample: {scale_factor: 2}`",
    "upsamplingbilinear2d": "write `Upsample: {scale_factor: 2, mode: bilinear, align_corners: true}`",
    "constantpad2d": f"ZeroPad2d {_SAME_SHAPES}",
    "depthwiseconv2d": _DEPTHWISE,
    "separableconv2d": f"{_DEPTHWISE}, then `Conv2d: {{out_channels: 64, kernel_size: 1}}`",
    "activation": "write the activation itself as a step: `- ReLU`",
    "inputlayer": "the input's sizes stand at the top of the file: `input: [3, 224, 224]`",
    "dataparallel": "leave it out: the spec is the network inside it",
}


def absent(name: str) -> tuple[str, str] | None:
    """Return the sentence about a layer that archcalc does not have and the way out; None for a name that is no such layer's."""
    if "Loss" in name:
        return f"{name[:60]} is not a part of the network", "leave it out: a spec describes the architecture"
    lazy = name.removeprefix("Lazy")
    if lazy != name and (lazy in OPS or lazy in _FAMILIES):
        return f"archcalc does not have torch.nn.{name}", f"write {lazy}: what comes in is always inferred"
    family = _FAMILIES.get(name)
    message = f"archcalc does not have torch.nn.{name}"
    if family is None:
        family = _OTHER_FAMILIES.get(name.lower()) if name[:1].isupper() else None
        message = f"archcalc does not have {name}"
    if family is None:
        return None
    kin = [kin for kin, op in OPS.items() if op.__module__.rpartition(".")[2] == family]
    otherwise = f"it has {', '.join(kin)}" if kin else "docs/spec-language.md lists the operators that it has"
    return message, _WAYS_OUT.get(name.lower(), otherwise)
