"""One row or several for each operator: the operator and the shape of its input, batch first (a list of shapes for a merge)."""

from types import SimpleNamespace
from typing import NamedTuple

from archcalc.ops import OPS, Op
from archcalc.shape import Shape

ops = SimpleNamespace(**OPS)


class Case(NamedTuple):
    """An operator on an input; ``x`` is what the operator's methods take."""

    op: Op
    x: Shape | tuple[Shape, ...]

    @property
    def y(self) -> Shape:
        return self.op.output(self.x)

    @property
    def inputs(self) -> tuple[Shape, ...]:
        return self.x if self.op.merges else (self.x,)

    def __str__(self) -> str:
        return f"{self.op} on {' and '.join(map(str, self.inputs))}"


MAP = (2, 6, 9, 7)
C3 = [[0, 1, 2], [1, 2, 3], [4], [0, 2, 3, 5]]

# fmt: off
ROWS = [
    (ops.Conv1d(4, 3), (2, 6, 9)),
    (ops.Conv1d(4, 3, 2, [2, 1], 2, 2, False), (2, 6, 9)),
    (ops.Conv2d(4, 3), MAP),
    (ops.Conv2d(96, 11, 4), (1, 3, 27, 27)),
    (ops.Conv2d(4, [3, 2], [2, 1], [1, 0], [1, 2]), MAP),
    (ops.Conv2d(12, 3, padding=1, groups=6, bias=False), MAP),
    (ops.Conv2d(4, 3, padding=[0, 3, 1, 1]), MAP),
    (ops.Conv2d(4, 3, padding="same"), MAP),
    (ops.Conv2d(4, [4, 2], padding="same"), MAP),
    (ops.Conv2d(4, [5, 2], 2, padding="same"), MAP),
    (ops.Conv2d(4, 3, padding=1, padding_mode="reflect"), MAP),
    (ops.Conv2d(4, 3, padding=[1, 0], padding_mode="replicate"), MAP),
    (ops.Conv2d(4, 3, padding=2, padding_mode="circular"), MAP),
    (ops.Conv2d(4, [4, 3], padding="same", padding_mode="reflect"), MAP),
    (ops.Conv3d(4, 3, padding=1), (2, 3, 4, 5, 6)),
    (ops.Conv3d(4, [1, 2, 3], groups=2), (2, 2, 3, 4, 5)),
    (ops.ConvTranspose2d(4, 2, 2), MAP),
    (ops.ConvTranspose2d(4, [4, 3], [2, 3], 1, [1, 2], 2, False), MAP),
    (ops.ConvTranspose2d(4, 3, 2, 0, 1, dilation=2), MAP),
    (ops.Linear(5), (2, 6)),
    (ops.Linear(5, False), (3, 6)),
    (ops.MaxPool2d(2), MAP),
    (ops.MaxPool2d(3, 2, 1, ceil_mode=True), MAP),
    (ops.MaxPool2d([3, 2], [2, 1], dilation=2), MAP),
    (ops.MaxPool2d(3, 2, [0, 1, 1, 1]), MAP),
    (ops.MaxPool2d(3, 1, "same"), MAP),
    (ops.MaxPool2d(2, 1, "same"), MAP),
    (ops.MaxPool2d(3, 2, [0, 2, 1, 0], 1, True), MAP),
    (ops.MaxPool2d([3, 2], 2, "same", 2, True), MAP),
    (ops.AvgPool2d(2), MAP),
    (ops.AvgPool2d(3, 2, 1, True), MAP),
    (ops.AvgPool2d(3, 2, 1, True, False), MAP),
    (ops.AvgPool2d([3, 2], divisor_override=5), MAP),
    (ops.AvgPool2d(3, 2, [0, 1, 0, 0]), MAP),
    (ops.AvgPool2d(3, 2, [0, 1, 2, 0], count_include_pad=False), MAP),
    (ops.AvgPool2d(3, 2, [1, 0, 0, 1], True), MAP),
    (ops.AvgPool2d([4, 3], 3, [2, 0, 0, 1], True, False), MAP),
    (ops.AvgPool2d(3, 2, [0, 1, 0, 1], True, True, 5), MAP),
    (ops.AvgPool2d([2, 3], 2, "same", count_include_pad=False), MAP),
    (ops.AdaptiveAvgPool2d(1), MAP),
    (ops.AdaptiveAvgPool2d([1, 7]), MAP),
    (ops.AdaptiveAvgPool2d([3, None]), MAP),
    (ops.AdaptiveAvgPool2d([4, 3]), MAP),
    (ops.AdaptiveAvgPool2d([12, 14]), MAP),
    (ops.AdaptiveMaxPool2d(2), MAP),
    (ops.AdaptiveMaxPool2d([None, 1]), MAP),
    (ops.GlobalAvgPool2d(), MAP),
    (ops.BatchNorm1d(), (4, 6)),
    (ops.BatchNorm1d(affine=False), (4, 6, 3)),
    (ops.BatchNorm2d(), MAP),
    (ops.BatchNorm2d(momentum=None), MAP),
    (ops.BatchNorm2d(affine=False), MAP),
    (ops.BatchNorm2d(track_running_stats=False), MAP),
    (ops.LayerNorm(), (2, 6)),
    (ops.LayerNorm(), MAP),
    (ops.LayerNorm(7, bias=False), MAP),
    (ops.LayerNorm([9, 7], elementwise_affine=False), MAP),
    (ops.GroupNorm(3), MAP),
    (ops.GroupNorm(1, affine=False), (2, 6)),
    (ops.LocalResponseNorm(5), MAP),
    (ops.LocalResponseNorm(4, 5e-4, 0.75, 2), (2, 3, 8)),
    (ops.ReLU(), MAP),
    (ops.ReLU(inplace=True), MAP),
    (ops.ReLU6(), MAP),
    (ops.ReLU6(inplace=True), MAP),
    (ops.LeakyReLU(0.2), MAP),
    (ops.LeakyReLU(inplace=True), MAP),
    (ops.PReLU(), MAP),
    (ops.PReLU(6, 0.1), MAP),
    (ops.ELU(), MAP),
    (ops.ELU(0.5, True), MAP),
    (ops.GELU(), MAP),
    (ops.GELU("tanh"), MAP),
    (ops.SiLU(), MAP),
    (ops.SiLU(True), MAP),
    (ops.Hardswish(), MAP),
    (ops.Hardswish(True), MAP),
    (ops.Hardsigmoid(), MAP),
    (ops.Hardsigmoid(True), MAP),
    (ops.Sigmoid(), MAP),
    (ops.Tanh(), MAP),
    (ops.ScaledTanh(), MAP),
    (ops.Softmax(), (2, 10)),
    (ops.Softmax(-1), MAP),
    (ops.LogSoftmax(), (2, 10)),
    (ops.LogSoftmax(2), MAP),
    (ops.Flatten(), MAP),
    (ops.Flatten(2, 3), MAP),
    (ops.Flatten(), (2, 6)),
    (ops.Identity(), MAP),
    (ops.Dropout(), MAP),
    (ops.Dropout(0.2, True), MAP),
    (ops.Dropout(0), MAP),
    (ops.Dropout(1), MAP),
    (ops.ZeroPad2d(2), MAP),
    (ops.ZeroPad2d([1, 2]), MAP),
    (ops.ZeroPad2d([0, 1, 2, 3]), MAP),
    (ops.ChannelShuffle(3), MAP),
    (ops.ShortcutA(10, 2), MAP),
    (ops.ShortcutA(6), MAP),
    (ops.Upsample(scale_factor=2), MAP),
    (ops.Upsample(scale_factor=[1.5, 3]), MAP),
    (ops.Upsample(scale_factor=0.5), MAP),
    (ops.Upsample(size=[13, 5]), MAP),
    (ops.Upsample(None, 2, "bilinear"), MAP),
    (ops.Upsample(None, 3, "bilinear", True), MAP),
    (ops.Upsample(20, None, "bicubic", False), MAP),
    (ops.Resize(12), MAP),
    (ops.Resize([9, 14], "nearest"), MAP),
    (ops.Add(), [MAP, MAP]),
    (ops.Add(), [(2, 6), (2, 6), (2, 6)]),
    (ops.Multiply(), [MAP, (2, 6, 1, 1)]),
    (ops.Multiply(), [(2, 1, 9, 7), (2, 6, 1, 1)]),
    (ops.Multiply(), [(2, 6), (2, 6)]),
    (ops.Multiply(), [(2, 6, 1, 1), MAP, MAP]),
    (ops.Concat(), [MAP, (2, 4, 9, 7), (2, 1, 9, 7)]),
    (ops.Concat(), [(2, 3), (2, 4)]),
    (ops.TrainableSubsample2d(2), MAP),
    (ops.TrainableSubsample2d([3, 2], 1), MAP),
    (ops.ConnectedConv2d(C3, 3), MAP),
    (ops.ConnectedConv2d(C3, [3, 2], 2, [0, 1, 1, 1]), MAP),
    (ops.RBF(10), (2, 84)),
]
# fmt: on

CASES = [Case(op, tuple(map(Shape, x)) if op.merges else Shape(x)) for op, x in ROWS]
