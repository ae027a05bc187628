"""Layers that torch.nn lacks. A generated file carries the source of those it uses.

No statement here is longer than 88 columns, so that ruff and black leave a generated file as it is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pair = int | tuple[int, int]
Ends = tuple[tuple[int, int], tuple[int, int]]


class TrainableSubsample2d(nn.Module):
    """Sums of fields, times a coefficient, plus a bias, one of each for a map.

    Layer S2 of LeCun et al. 1998, II.B.
    """

    def __init__(self, channels: int, kernel_size: Pair, stride: Pair | None = None):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H_out, W_out) for (N, C, H, W)."""
        sums = F.avg_pool2d(x, self.kernel_size, self.stride, divisor_override=1)
        return sums * self.weight + self.bias


class ConnectedConv2d(nn.Module):
    """A convolution whose output maps each see the input maps listed for them.

    Layer C3 of LeCun et al. 1998, Table I.
    """

    def __init__(
        self,
        table: tuple[tuple[int, ...], ...],
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
    ):
        super().__init__()
        self.table = table
        self.maps = nn.ModuleList()
        for row in table:
            conv = nn.Conv2d(len(row), 1, kernel_size, stride, padding, bias=False)
            self.maps.append(conv)
        self.bias = nn.Parameter(torch.zeros(len(table), 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, len(table), H_out, W_out) for (N, C, H, W)."""
        maps = []
        for number, row in enumerate(self.table):
            seen = torch.cat([x[:, i : i + 1] for i in row], dim=1)
            maps.append(self.maps[number](seen))
        return torch.cat(maps, dim=1) + self.bias


class ScaledTanh(nn.Module):
    """1.7159 * tanh(2/3 * x) (LeCun et al. 1998, appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of x."""
        return 1.7159 * torch.tanh(2 / 3 * x)


class RBF(nn.Module):
    """Squared distances to fixed centers of -1 and +1, drawn once for all.

    Output layer of LeCun et al. 1998, II.B.
    """

    centers: Tensor

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.register_buffer("centers", torch.empty(out_features, in_features))
        draw = torch.Generator().manual_seed(1998)
        size = (out_features, in_features)
        signs = torch.randint(2, size, generator=draw, device="cpu")
        self.centers.copy_(2 * signs - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_features) for (N, in_features); the nearest is the answer."""
        return (x[:, None] - self.centers).square().sum(dim=2)


class PaddedAvgPool2d(nn.Module):
    """The mean of each window, over what of it counts, with unevenly padded ends.

    ``around`` is laid around the map, (before, after) for height and width; of that,
    ``counted`` counts as zeros.
    """

    def __init__(self, kernel_size: Pair, stride: Pair, around: Ends, counted: Ends):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        (top, bottom), (left, right) = around
        (high, low), (near, far) = counted
        self.sides = (left, right, top, bottom)
        self.inner = (near, far, high, low)
        self.outer = (left - near, right - far, top - high, bottom - low)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H_out, W_out) for (N, C, H, W)."""
        ones = F.pad(torch.ones_like(x[:1, :1]), self.inner, value=1.0)
        return self.sums(F.pad(x, self.sides)) / self.sums(F.pad(ones, self.outer))

    def sums(self, x: Tensor) -> Tensor:
        """Return the sum of each window."""
        return F.avg_pool2d(x, self.kernel_size, self.stride, divisor_override=1)


def tie(module: nn.Module, holder: nn.Module) -> None:
    """Let a module use the parameters of another one."""
    for path, parameter in holder.named_parameters():
        owner, _, name = path.rpartition(".")
        setattr(module.get_submodule(owner), name, parameter)
