"""The command line: which commands there are, and the one place where an error becomes a screen and an exit code."""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from archcalc import __version__
from archcalc.cli.options import CONTEXT, errors_option, help_option, say
from archcalc.errors import ArchcalcError, UsageError, did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Command -> its module and its line in `archcalc --help`, which therefore imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("archcalc.cli.listing", "Bundled models and variants: params, MACs, input."),  # a module "list" would hide the builtin
    "show": ("archcalc.cli.show", "The spec itself, or the flat graph that comes of it."),
    "summary": ("archcalc.cli.summary", "A row per layer: output, params, MACs, activation; totals."),
    "compare": ("archcalc.cli.compare", "Models side by side: which layers differ, and the totals."),
    "schema": ("archcalc.cli.schema", "JSON Schema of specs, and of what the commands print."),
    "explain": ("archcalc.cli.explain", "The arithmetic behind the numbers, followed back to its sources."),
    "why": ("archcalc.cli.why", "Which variant, option or way of counting gives a number."),
    "verify": ("archcalc.cli.verify", "A page of hand calculations, judged claim by claim."),
    "worksheet": ("archcalc.cli.worksheet", "Such a page for any model, worked out or to be filled in."),
    "memory": ("archcalc.cli.memory", "The bytes of a run: params, gradients, what autograd keeps, and the peak."),
    "fit": ("archcalc.cli.fit", "The largest batch that a device has room for, and what one image more would need."),
    "roofline": ("archcalc.cli.roofline", "What each layer is bound by on a device, its least time, and about how long."),
    "calibrate": ("archcalc.cli.calibrate", "Measures this machine's device, for better estimates."),
    "bench": ("archcalc.cli.bench", "How long a step takes: measured, beside what was predicted."),
    "build": ("archcalc.cli.build", "The model in PyTorch: readable source, an exported program, ONNX, weights."),
    "weights": ("archcalc.cli.weights", "Published weights held against a model, and loaded."),
    "check": ("archcalc.cli.check", "The graph's numbers against PyTorch's own, layer by layer."),
    "completion": ("archcalc.cli.completion", "Shell completion with model and layer names."),
}

BROKEN_PIPE, INTERRUPTED, BUG = 141, 130, 70
COMPLETE_VARIABLE = "_ARCHCALC_COMPLETE"


class Commands(click.Group):
    """The group of all commands, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise UsageError("E221", f"there is no command {args[0]}", help=_command_help(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem  # the shell asks for it, commands do not

        commands = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        say(f"archcalc {__version__}")
        context.exit()


@click.group(
    cls=Commands,
    context_settings=CONTEXT,
    add_help_option=False,
    no_args_is_help=False,  # click's way of saying so is another in each of its releases
    help="""The architecture calculator: what a neural network's layers are, cost and remember.

    \b
      archcalc list                          the bundled models
      archcalc summary alexnet               a row per layer, and totals
      archcalc summary net.yaml --depth 1    a network of your own, folded
      archcalc compare resnet50 resnet101    what differs""",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version and exit."
)
@errors_option
@help_option
def group() -> None:
    """Start of every command line; nothing is shared but the options above."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0, or what went wrong (see the exit codes in the README)."""
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    try:
        if COMPLETE_VARIABLE in os.environ:
            return _complete(os.environ)
        with group.make_context("archcalc", list(arguments)) as context:
            if not arguments:
                _tell(context.get_help())
                return UsageError.exit_code
            group.invoke(context)
    except click.exceptions.Exit as exit:
        return exit.exit_code
    except (ArchcalcError, click.ClickException) as error:
        return _report(_as_ours(error), arguments)
    except BrokenPipeError:
        _close_stdout()
        return BROKEN_PIPE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception:
        return _report_bug()
    return 0


def _complete(environ: Mapping[str, str]) -> int:
    """Answer the shell, which gives the command line in variables. Raises UsageError if it does not."""
    from click.shell_completion import add_completion_class, shell_complete

    from archcalc.cli.completion import Bash

    instruction = environ[COMPLETE_VARIABLE]
    position = environ.get("COMP_CWORD", "")  # a number, but of fish's the word itself
    placed = instruction.startswith("fish") or (position.isdecimal() and len(position) < 10)
    if instruction.endswith("_complete") and not ("COMP_WORDS" in environ and placed):
        message = f"{COMPLETE_VARIABLE} is set, but not COMP_WORDS and COMP_CWORD"
        raise UsageError("E220", message, help="archcalc completion prints the script that sets them")
    add_completion_class(Bash)  # in place of click's
    return shell_complete(group, {}, "archcalc", COMPLETE_VARIABLE, instruction)


def _report(error: ArchcalcError, arguments: list[str]) -> int:
    """Show an error the way that was asked for, and return its exit code."""
    from archcalc.render.errors import render_error
    from archcalc.render.terminal import screen

    style = _errors_style(arguments)
    _tell(render_error(error, style, screen(sys.stderr, os.environ)))
    return error.exit_code


def _tell(text: str) -> None:
    """Say something on standard error; where nobody can be told, the exit code has to do."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True, color=True)


def _errors_style(arguments: list[str]) -> str:
    """Return the style of errors that was asked for, even on a command line that cannot be parsed."""
    chosen = os.environ.get("ARCHCALC_ERRORS", "full")
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if argument == "--":
            break
        if argument.startswith("--errors"):
            chosen = argument.partition("=")[2] or following
    return chosen


def _as_ours(error: Exception) -> ArchcalcError:
    """Return an error of click's in our words: a sentence without its capital and full stop, and a way out."""
    if isinstance(error, ArchcalcError):
        return error
    assert isinstance(error, click.ClickException)
    context = getattr(error, "ctx", None)
    way_out: str | None = f"see {context.command_path if context else 'archcalc'} --help"
    message = error.format_message().strip().rstrip(".")
    message = message[:1].lower() + message[1:]
    if isinstance(error, click.MissingParameter) and error.param is not None and error.param.name is not None:
        message = f"{context.command_path if context else 'archcalc'} needs {getattr(error.param, 'metavar', error.param.name)}"
        if isinstance(error.param.type, click.Choice):
            way_out = f"one of {', '.join(map(str, error.param.type.choices))}"
    elif isinstance(error, click.NoSuchOption):
        known = [name for parameter in context.command.get_params(context) for name in parameter.opts] if context else []
        message = f"{context.command_path if context else 'archcalc'} has no option {error.option_name}"
        meant = did_you_mean(error.option_name, [name for name in known if name.startswith("-")])
        way_out = meant if meant and meant.startswith("did you mean") else way_out
    return UsageError("E220", message, help=way_out)


def _command_help(word: str) -> str | None:
    """Return the way out for an unknown command; the name of a model was probably meant to be summed up."""
    from archcalc.spec.zoo import index

    if word.lower().replace("-", "_") in index() or word.lower().endswith((".yaml", ".yml")):
        return f"archcalc summary {word}"
    return did_you_mean(word, list(COMMANDS))


def _report_bug() -> int:
    """Leave the traceback of an unexpected exception, and say whose fault it is."""
    import traceback

    _tell(traceback.format_exc().rstrip("\n"))
    _tell(f"This is a bug in archcalc {__version__}: please report it with the lines above and the command.")
    return BUG


def _close_stdout() -> None:
    """Point standard output at nothing, or Python would complain once more about the closed pipe when it exits."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
