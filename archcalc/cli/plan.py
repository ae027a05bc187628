"""The options that say how a network is run, shared by the commands that reckon its bytes."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from archcalc.cli.options import completed_by, idle
from archcalc.errors import UsageError

if TYPE_CHECKING:
    from archcalc.analysis.memory.plan import Plan

# Held equal by a test to the tables of archcalc.analysis.memory.plan and of archcalc.analysis.cost.
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw")
AMPS = ("bf16", "fp16")
RULES = ("cuda", "cpu")
IMPLEMENTATIONS = ("foreach", "fused", "forloop")
USUAL = {"cuda": "foreach", "cpu": "forloop"}  # what PyTorch's optimizers choose by themselves


class Running(NamedTuple):
    """How a network is to be run, as the command line says it; None where it says nothing."""

    train: bool
    optimizer: str | None
    weight_decay: bool
    implementation: str | None
    amp: str | None
    checkpoint: tuple[str, ...]
    rules: str

    def plan(self, dtype: str, *, training: bool) -> "Plan":
        """Return the plan. Raises UsageError for what excludes each other, and for what only ``training`` could heed."""
        from archcalc.analysis.memory.plan import Plan

        if not training:
            named = {"--optimizer": self.optimizer, "--weight-decay": self.weight_decay, "--checkpoint": self.checkpoint}
            told = [option for option, value in (*named.items(), (f"--{self.implementation}", self.implementation)) if value]
            if told:
                idle(_written(told[0]), "inference has no backward pass and no optimizer", "add --train")
        return Plan(
            train=self.train,
            dtype=dtype,
            amp=self.amp,
            optimizer=self.optimizer or "momentum",
            weight_decay=self.weight_decay,
            implementation=self.implementation or USUAL[self.rules],
            checkpoint=self.checkpoint,
            rules=self.rules,
        )


def _written(option: str) -> str:
    return "--for-loop" if option == "--forloop" else option


def _one_way(context: click.Context, parameter: click.Parameter, given: bool) -> bool:
    """Return a flag that names a way of stepping. Raises UsageError if another one was named before."""
    if given:
        before = context.meta.setdefault("archcalc.implementation", [])
        before.append(_written(f"--{parameter.name}"))
        if len(before) > 1:
            raise UsageError("E267", f"{' and '.join(before)} exclude each other", help="an optimizer steps in one of these ways")
    return given


_TRAIN = click.option("--train", is_flag=True, help="A training step: forward, backward and the optimizer's step.")
_HOW = (
    click.option("--weight-decay", is_flag=True, help="With a weight decay other than 0."),
    click.option("--foreach", is_flag=True, callback=_one_way, help="Steps over all parameters at once: usual with --rules cuda."),
    click.option("--fused", is_flag=True, callback=_one_way, help="Steps in one kernel."),
    click.option("--for-loop", "forloop", is_flag=True, callback=_one_way, help="Steps one by one: usual with --rules cpu."),
    click.option("--amp", type=click.Choice(AMPS), help="Under torch.autocast in this type; parameters stay float32."),
    click.option(
        "--checkpoint",
        metavar="BLOCK",
        multiple=True,
        shell_complete=completed_by("complete_layers"),
        help="Keep only what enters BLOCK, a scope such as layer1, and run it again in the backward pass; repeatable.",
    ),
    click.option("--rules", type=click.Choice(RULES), default="cuda", help="What PyTorch keeps and allocates on this device."),
)


def plan_options(*, optimizers: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command how the network is run, as one ``running``; help says which ``optimizers`` are meant where none is named."""
    optimizer = click.option(
        "--optimizer", type=click.Choice(OPTIMIZERS), show_default=optimizers, help="Of torch.optim; momentum is SGD's."
    )

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(
            train: bool, optimizer: str | None, weight_decay: bool, foreach: bool, fused: bool, forloop: bool, amp: str | None,
            checkpoint: tuple[str, ...], rules: str, **others: Any,
        ) -> None:  # fmt: skip
            way = "foreach" if foreach else "fused" if fused else "forloop" if forloop else None
            function(running=Running(train, optimizer, weight_decay, way, amp, checkpoint, rules), **others)

        decorated: Callable[..., None] = command
        for option in reversed((_TRAIN, optimizer, *_HOW)):
            decorated = option(decorated)
        return decorated

    return decorate
