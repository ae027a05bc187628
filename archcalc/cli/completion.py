"""``archcalc completion SHELL``, and what can stand where: models, params, layers, devices, looked up as the shell asks."""

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import BashComplete, CompletionItem, get_completion_class

from archcalc.cli.options import Command, say
from archcalc.errors import ArchcalcError

if TYPE_CHECKING:
    from archcalc.spec import Spec

SHELLS = ("bash", "zsh", "fish")
_BREAKS = "=:"  # of bash's COMP_WORDBREAKS, those that stand within words here


class Bash(BashComplete):
    """click's bash, and what it leaves out: words are parted at = and :, and what is offered is put on the line as it is."""

    before = ""  # what bash has parted from the word that it completes

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor and the one at it, put together again."""
        args, incomplete = super().get_completion_args()
        together = re.sub(rf"\n([{_BREAKS}]+)(?:\n|$)", r"\1", "\n".join((*args, incomplete)))
        *whole, word = together.split("\n")
        before = word.removesuffix(incomplete if incomplete.strip(_BREAKS) else "")
        self.before = re.sub("^-[^=]*=", "", before)  # click itself takes the option off
        return whole, word

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return the line for the script: as it has to be typed, unless within quotes, and once more for its `read`."""
        value = item.value.removeprefix(self.before)
        if item.type == "plain" and not _in_quotes():
            value = re.sub(r"([^\w.,:;=+@%/~^-])", r"\\\\\1", value)
        return f"{item.type},{value}"


def _in_quotes() -> bool:
    """Whether the command line ends within quotes."""
    import shlex

    try:
        shlex.split(os.environ["COMP_WORDS"])
    except ValueError:
        return True
    return False


@click.command(
    "completion",
    cls=Command,
    help="The completion script of a shell, with the names of models, variants, params and layers.",
    examples=(
        'eval "$(archcalc completion bash)"    # in ~/.bashrc; zsh: in ~/.zshrc',
        "archcalc completion fish > ~/.config/fish/completions/archcalc.fish",
    ),
)
@click.argument("shell", metavar="|".join(SHELLS), type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print click's script for the shell."""
    from archcalc.cli import COMPLETE_VARIABLE, group

    script = get_completion_class(shell)
    assert script is not None  # SHELLS are click's own
    say(script(group, {}, "archcalc", COMPLETE_VARIABLE).source())


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the bundled models and the spec files that begin so; where there are none, the shell looks for files itself."""
    from archcalc.spec.zoo import index

    names = [name for name in index() if name.startswith(incomplete)]
    found = [*names, *_spec_files(incomplete)]
    return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="file")]


def _spec_files(incomplete: str) -> list[str]:
    """Return the YAML files whose path begins so, as it is typed."""
    from pathlib import Path

    folder, slash, start = incomplete.rpartition("/")
    try:
        files = sorted(
            path.name for path in Path(folder + slash or ".").expanduser().iterdir() if path.suffix.lower() in (".yaml", ".yml")
        )
    except (OSError, RuntimeError):  # no such folder, none that may be read, or no home
        return []
    return [f"{folder}{slash}{name}" for name in files if name.startswith(start)]


def complete_variants(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the variants of the model that is already on the command line."""
    spec = _spec(context)[0]
    variants = spec.variants.values() if spec else ()
    return [CompletionItem(variant.name, help=variant.title) for variant in variants if variant.name.startswith(incomplete)]


def complete_settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the params of the model as `name=`, and for a flag both of its values."""
    spec, variant = _spec(context)
    if spec is None:
        return []
    found = []
    for name, value in spec.settings(variant).items():
        values = ("true", "false") if isinstance(value, bool) and incomplete.startswith(f"{name}=") else ("",)
        found += [CompletionItem(f"{name}={text}", help=f"now {value}") for text in values]
    return [item for item in found if item.value.startswith(incomplete)]


def complete_columns(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the columns of a table, behind those that are already on the list."""
    from archcalc.render.summary import COLUMNS

    plus = "+" if incomplete.startswith("+") else ""
    return listed(("all", *COLUMNS), incomplete.removeprefix("+"), plus)


def listed(names: Iterable[str], incomplete: str, before: str = "") -> list[CompletionItem]:
    """Return the names that a list apart by commas may go on with: those that are not on it yet."""
    chosen, comma, start = incomplete.rpartition(",")
    fresh = (name for name in names if name.startswith(start) and name not in chosen.split(","))
    return [CompletionItem(before + chosen + comma + name) for name in fresh]


def complete_devices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the devices of the table, with hyphens for spaces: names are read however they are spelt."""
    from archcalc.analysis.devices import DEVICES

    names = [device.name.replace(" ", "-") for device in DEVICES]
    start = incomplete.replace(" ", "-").lower()
    return [CompletionItem(name) for name in names if name.lower().startswith(start)]


def complete_layers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the layers of the model: whole paths."""
    spec, variant = _spec(context)
    if spec is None:
        return []
    try:
        layers = list(spec.graph(variant).layers)
    except ArchcalcError:
        return []
    return [
        CompletionItem(node.name, help=f"{type(node.op).__name__} {node.output}")
        for node in layers
        if node.name.startswith(incomplete)
    ]


def _spec(context: click.Context) -> "tuple[Spec | None, str | None]":
    """Return the spec of the (first) model on the command line and the variant that is meant; None where there is no such model."""
    from archcalc.spec import read_spec

    # click leaves what it has not placed in `args`: the model too, while the option before the cursor still waits for its value.
    models = context.params.get("models") or (context.params.get("model"), context.params.get("page"), *context.args)
    model = next((word for word in models if word), "")
    try:
        spec, chosen = read_spec(model, context.params.get("variant"))
        return spec, spec.variant(chosen).name
    except ArchcalcError:
        return None, None  # a command line that is being typed is often wrong
