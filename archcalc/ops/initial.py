"""How parameters begin: the distributions of ``torch.nn.init`` with their arguments, and what these amount to in numbers."""

from math import sqrt
from typing import Any, Final, NamedTuple

import msgspec

from archcalc.ops.base import Fans

NEEDED: Final = object()  # the default of an argument that has none
FANS: Final = ("fan_in", "fan_out")

# Each distribution with its arguments and their defaults; the first may be written without its name. A standard deviation may be
# given by its square instead, as some papers do. What is normal is cut where PyTorch's trunc_normal_ cuts it unless it is told.
DISTRIBUTIONS: dict[str, dict[str, Any]] = {
    "constant": {"value": NEEDED},
    "normal": {"std": NEEDED, "mean": 0, "variance": None},
    "trunc_normal": {"std": NEEDED, "mean": 0, "bound": 2, "variance": None},
    "uniform": {"bound": NEEDED},
    "kaiming_normal": {"mode": "fan_in", "gain": sqrt(2)},
    "kaiming_uniform": {"mode": "fan_in", "gain": sqrt(2)},
    "xavier_normal": {"gain": 1},
    "xavier_uniform": {"gain": 1},
}
SIGNED: Final = ("value", "mean")  # the arguments that may be below 0

Number = int | float
Numbers = Number | tuple[Number, ...]  # one for the whole tensor, or one for each entry along its first axis


class Start(msgspec.Struct, frozen=True):
    """How one parameter begins: a distribution and the arguments that were written, in the order of DISTRIBUTIONS."""

    how: str
    arguments: tuple[tuple[str, Numbers | str], ...] = ()

    def __getitem__(self, name: str) -> Any:
        """Return an argument, or its default."""
        return dict(self.arguments).get(name, DISTRIBUTIONS[self.how][name])


class Init(msgspec.Struct, frozen=True):
    """How an operator's parameters begin; None leaves it to PyTorch."""

    weight: Start | None = None
    bias: Start | None = None


class Draw(NamedTuple):
    """A distribution in numbers: ``normal``, ``spread`` its standard deviation, or ``uniform``, from ``centre`` -+ ``spread``.

    ``spread`` 0 is a constant. Tuples hold a number for each entry along the tensor's first axis. What is drawn stays within
    -+``cut``, where there is one.
    """

    shape: str
    centre: Numbers
    spread: Numbers
    cut: Numbers | None = None


def draw(start: Start, fans: tuple[Fans, ...]) -> Draw:
    """Return a distribution in numbers, for a tensor of these fans (Glorot and Bengio 2010; He et al. 2015, equations 10 and 14).

    ``fans`` has one pair for the whole tensor, or one for each entry along its first axis.

    >>> draw(Start("xavier_normal"), (Fans(5, 3),))
    Draw(shape='normal', centre=0, spread=0.5, cut=None)
    """
    if start.how == "constant":
        return Draw("uniform", start["value"], 0)
    if start.how == "uniform":
        return Draw("uniform", 0, start["bound"])
    if start.how in ("normal", "trunc_normal"):
        spread = start["std"] if start["variance"] is None else _each(sqrt, start["variance"])
        return Draw("normal", start["mean"], spread, start["bound"] if start.how == "trunc_normal" else None)
    family, shape = start.how.split("_")
    # In torch.nn.init's order of operations, so that its numbers come out to the last bit.
    if family == "kaiming":
        deviations = [start["gain"] / sqrt(getattr(fan, start["mode"])) for fan in fans]
    else:
        deviations = [start["gain"] * sqrt(2 / (fan.fan_in + fan.fan_out)) for fan in fans]
    # The variance of a uniform distribution is a third of its bound's square.
    spreads = [sqrt(3) * deviation for deviation in deviations] if shape == "uniform" else deviations
    return Draw(shape, 0, spreads[0] if len(spreads) == 1 else tuple(spreads))


def _each(function: Any, value: Numbers) -> Numbers:
    """Return a function of a number, or of each of them."""
    return tuple(map(function, value)) if isinstance(value, tuple) else function(value)
