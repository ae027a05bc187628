"""The optimizer: what it remembers of each parameter, and what its step allocates for a moment (torch/optim/{sgd,adam}.py)."""

from collections.abc import Sequence

from archcalc.analysis.memory.ledger import Ledger
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.tape import Parameter
from archcalc.analysis.memory.trace import STEP

MOMENTS = {"sgd": 0, "momentum": 1, "nesterov": 1, "adam": 2, "adamw": 2}  # tensors as large as the parameter that are remembered
ADAMS = ("adam", "adamw")
COUNTER_BYTES = 4  # Adam's count of steps, a float32, for each parameter


def allocate_state(ledger: Ledger, plan: Plan, parameters: Sequence[Parameter]) -> None:
    """Allocate what the optimizer remembers from step to step.

    Adam counts steps in a tensor that stays on the CPU, unless the implementation is fused.
    """
    counted = plan.optimizer in ADAMS and (plan.rules == "cpu" or plan.implementation == "fused")
    for parameter in parameters:
        for _ in range(MOMENTS[plan.optimizer]):
            ledger.new("optimizer state", parameter.node, parameter.elements * parameter.width)
        if counted:
            ledger.new("optimizer state", parameter.node, COUNTER_BYTES)


def step(ledger: Ledger, plan: Plan, parameters: Sequence[Parameter]) -> None:
    """Write down the step over all parameters that have a gradient."""
    if plan.implementation == "fused":
        ledger.at(STEP, "")  # one kernel that does everything in place
    elif plan.implementation == "foreach":
        ledger.at(STEP, "")
        _foreach(ledger, plan, parameters)
    else:
        _forloop(ledger, plan, parameters)


def _copies(ledger: Ledger, parameters: Sequence[Parameter]) -> list[int]:
    return [ledger.new("scratch", parameter.node, parameter.elements * parameter.width) for parameter in parameters]


def _release(ledger: Ledger, storages: list[int]) -> None:
    for storage in storages:
        ledger.drop(storage)


def _foreach(ledger: Ledger, plan: Plan, parameters: Sequence[Parameter]) -> None:
    """All parameters at once: gradients with the decay added are a list of their own; so are Adam's denominators."""
    if plan.optimizer in ADAMS and plan.rules == "cpu":
        ledger.drop(ledger.new("scratch", "", COUNTER_BYTES))  # a one, which is added to all counts of steps
    if plan.weight_decay and plan.optimizer != "adamw":  # AdamW shrinks the parameters themselves
        _release(ledger, _copies(ledger, parameters))
    if plan.optimizer in ADAMS:
        _release(ledger, _copies(ledger, parameters))


def _forloop(ledger: Ledger, plan: Plan, parameters: Sequence[Parameter]) -> None:
    """One parameter after the other; Python's variables hold what was made for one until they are given another value."""
    denominator: list[int] = []
    for parameter in parameters:
        ledger.at(STEP, parameter.node)
        decayed = _copies(ledger, [parameter]) if plan.weight_decay and plan.optimizer != "adamw" else []
        if plan.optimizer == "nesterov":
            ahead = _copies(ledger, [parameter])  # the gradient, a step of momentum further
            _release(ledger, decayed)
            decayed = ahead
        if plan.optimizer in ADAMS:
            root = _copies(ledger, [parameter])
            quotient = _copies(ledger, [parameter])
            _release(ledger, root)
            _release(ledger, denominator)
            denominator = quotient
        _release(ledger, decayed)
    _release(ledger, denominator)
