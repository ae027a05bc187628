"""``archcalc completion SHELL``, and what can stand where: models, variants, params and layers, looked up as the shell asks."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from archcalc.cli.options import Command

SHELLS = ("bash", "zsh", "fish")
_HOW = {
    "bash": 'add to ~/.bashrc: eval "$(archcalc completion bash)"',
    "zsh": 'add to ~/.zshrc: eval "$(archcalc completion zsh)"',
    "fish": "archcalc completion fish > ~/.config/fish/completions/archcalc.fish",
}


@click.command(
    "completion",
    cls=Command,
    help="The completion script of a shell, with the names of models, variants, params and layers.",
    examples=tuple(_HOW.values()),
)
@click.argument("shell", metavar="|".join(SHELLS), type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print click's script for the shell."""
    script = get_completion_class(shell)
    assert script is not None  # SHELLS are click's own
    click.echo(script(command, {}, "archcalc", "_ARCHCALC_COMPLETE").source())
