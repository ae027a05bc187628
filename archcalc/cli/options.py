"""What commands have in common: the model and its settings, where the output goes, and help that leads with examples."""

import re
from collections.abc import Callable
from functools import wraps
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from archcalc.errors import UsageError, nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from archcalc.analysis import Report
    from archcalc.analysis.conventions import Count
    from archcalc.graph import Graph
    from archcalc.render.formats import Result
    from archcalc.spec import Spec

# Held equal by a test to the tables of the floors below (DTYPE_BYTES, FORMATS, CONVENTIONS), which help must not import.
DTYPES = ("float32", "float16", "bfloat16", "float64", "int8")
FORMATS = ("table", "json", "jsonl", "csv", "tsv", "md", "latex", "html", "svg")
COUNTS = (
    "macs", "torch", "fvcore", "ptflops", "ptflops-aten", "thop", "torchinfo", "calflops", "deepspeed", "torchprofile", "onnx-tool",
    "netscope", "full", "all",
)  # fmt: skip
SUFFIXES = {".txt": "table", ".tex": "latex"} | {f".{name}": name for name in FORMATS if name not in ("table", "latex")}
ERROR_STYLES = ("full", "short", "json", "github")
CONTEXT = {"show_default": True}
ONLY_INPUT = "input"  # the name of an input that the spec gives none

Sizes = tuple[int, ...]
_SIZES = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<sizes>[0-9]{1,10}(?:[x,][0-9]{1,10}){0,3})")


class Loaded(NamedTuple):
    """A model as asked for: its spec, the variant's name, and the graph under the settings."""

    spec: "Spec"
    variant: str
    graph: "Graph"


class Request(NamedTuple):
    """The model that a command line names, and how it is to be set up."""

    model: str
    variant: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    inputs: tuple[tuple[str, Sizes], ...] = ()
    batch: int = 1
    dtype: str = "float32"

    def load(self) -> Loaded:
        """Return the spec and its graph. Raises ArchcalcError for whatever is not there or does not fit."""
        from archcalc.spec import read_spec

        spec, chosen = read_spec(self.model, self.variant)
        variant = spec.variant(chosen)
        settings = {name: setting(name, text) for name, text in self.settings}
        inputs = {_input_name(name, list(variant.inputs)): sizes for name, sizes in self.inputs}
        return Loaded(spec, variant.name, spec.graph(variant.name, settings, inputs, self.batch))

    def graph(self) -> "Graph":
        """Return the graph. Raises ArchcalcError as ``load`` does."""
        return self.load().graph

    def report(self) -> "Report":
        """Return the analysis of the graph in the dtype that was asked for."""
        from archcalc.analysis import analyse

        return analyse(self.graph(), dtype=self.dtype)


class Output(NamedTuple):
    """Where a result goes and in which form."""

    format: str
    file: str | None = None
    width: int | None = None

    def write(self, result: "Result") -> None:
        """Write the result to the file, or to standard output. Raises UsageError if that cannot be written."""
        from archcalc.render.formats import write

        write(result, self.format, self.file, self.width)


def setting(name: str, text: str) -> Any:
    """Return the value of ``--set name=text``, read as a spec would read it."""
    from archcalc.spec.given import read_setting

    return read_setting(name, text)


def _input_name(name: str, known: list[str]) -> str:
    """Return which input is meant; the name may be left out where there is only one."""
    if name in known or name != ONLY_INPUT:
        return name
    if len(known) == 1:
        return known[0]
    message = f"the model has {len(known)} inputs: {', '.join(known)}"
    raise UsageError("E225", message, help=f"--input {known[0]}=3x32x32, once for each")


def _read_settings(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not name.strip() or not equals:
            raise UsageError("E226", f"--set needs name=value, not {text}", help="for example --set classes=10")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)


def _read_inputs(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, Sizes], ...]:
    pairs = []
    for text in texts:
        match = _SIZES.fullmatch(text.strip())
        if match is None:
            message = f"--input needs sizes such as 3x224x224, not {text}"
            raise UsageError("E225", message, help="channels x height x width, without the batch")
        pairs.append((match["name"] or ONLY_INPUT, tuple(int(size) for size in re.split("[x,]", match["sizes"]))))
    return tuple(pairs)


def completed_by(name: str) -> "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]":
    """Return a completer that imports its work only when the shell asks."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from archcalc.cli import completion

        found: list[CompletionItem] = getattr(completion, name)(context, parameter, incomplete)
        return found

    return complete


class Whole(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A whole number from 1 (or ``least``) up to a bound that only a slip of the pen exceeds."""

    name = "number"

    def __init__(self, most: int = 2**31 - 1, least: int = 1):
        self.most = most
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        digits = str(value).strip()
        if not digits.isdecimal() or len(digits) > 10 or not self.least <= int(digits) <= self.most:
            self.fail(f"a whole number from {self.least} to {self.most:,} is needed, not {digits}", param, ctx)
        return int(digits)


class Number(click.FloatRange):
    """A number in a range; nan is in none, though no comparison says so."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found: float = super().convert(value, param, ctx)
        if isnan(found):
            self.fail(f"a number from {self.min:g} to {self.max:g} is needed, not {value}", param, ctx)
        return found


class FileName(click.ParamType):  # type: ignore[type-arg]
    """The name of a file as typed, and its use: to ``read``, to ``write``, or a ``model``, which is bundled or a spec to read.

    click's own Path looks for translations of the word "path", in every start of any command.
    """

    name = "file"

    def __init__(self, use: str = "read"):
        self.use = use

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem  # the shell asks for it, commands do not

        return [CompletionItem(incomplete, type="file")]


def _show_help(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        say(context.get_help())
        context.exit()


def say(text: str) -> None:
    """Print what is no result: help, the version. Raises UsageError if standard output cannot be written."""
    from archcalc.render.delivery import deliver

    deliver(f"{text}\n")


help_option = click.option(
    "-h", "--help", is_flag=True, is_eager=True, expose_value=False, callback=_show_help, help="Show this message and exit."
)
errors_option = click.option(
    "--errors",
    type=click.Choice(ERROR_STYLES),
    default="full",
    envvar="ARCHCALC_ERRORS",
    expose_value=False,
    help="How errors are told: in full, one line each, or for editors and CI.",
)

_SETTINGS = (
    click.option("--variant", metavar="NAME", shell_complete=completed_by("complete_variants"), help="A variant in the spec."),
    click.option(
        "--set",
        "settings",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_read_settings,
        shell_complete=completed_by("complete_settings"),
        help="Change a param that the spec declares; repeatable.",
    ),
    click.option(
        "--input",
        "inputs",
        metavar="CxHxW",
        multiple=True,
        callback=_read_inputs,
        help="Sizes of the input, such as 3x128x128; NAME=CxHxW where there are several.",
    ),
    click.option("--batch", metavar="N", type=Whole(), default=1, help="Images in the batch."),
    click.option("--dtype", type=click.Choice(DTYPES), default="float32", help="Type of the activations."),
)
_MODEL = click.argument("model", metavar="MODEL", type=FileName("model"), shell_complete=completed_by("complete_models"))
_MODELS = click.argument(
    "models",
    metavar="MODEL MODEL...",
    nargs=-1,
    required=True,
    type=FileName("model"),
    shell_complete=completed_by("complete_models"),
)
_ANY_MODELS = click.argument(
    "models", metavar="MODEL...", nargs=-1, type=FileName("model"), shell_complete=completed_by("complete_models")
)
_OUTPUT = (
    click.option("--format", type=click.Choice(FORMATS), show_default="table, or what FILE ends in", help="Form of the output."),
    click.option("-o", "file", metavar="FILE", type=FileName("write"), help="Write to FILE; its suffix decides the format."),
    click.option(
        "--width", metavar="N", type=Whole(10_000), show_default="the terminal's; none in a pipe", help="Columns a table may take."
    ),
)


count_option = click.option(
    "--count",
    metavar="NAME|all",
    type=click.Choice(COUNTS),
    default="macs",
    help=f"Count as this tool does: {', '.join(COUNTS[:-1])}; or all of them side by side.",
)


def idle(option: str, because: str, help: str | None = None) -> NoReturn:
    """Refuse an option that could change nothing, before somebody waits for what it says. Raises UsageError."""
    raise UsageError("E232", f"{option} has no effect here: {because}", help=help or f"leave out {option}")


def counted(graph: "Graph", name: str) -> "Count | None":
    """Return the model's count under a convention, None for MACs: every report has those, and the conventions need not be read."""
    if name == "macs":
        return None
    from archcalc.analysis.conventions import count

    return count(graph, name)


def model_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its MODEL and the settings, as one ``request``."""

    @wraps(function)
    def command(model: str, variant: str | None, settings: Any, inputs: Any, batch: int, dtype: str, **others: Any) -> None:
        function(request=Request(model, variant, settings, inputs, batch, dtype), **others)

    return _decorated(command, _MODEL, *_SETTINGS)


def unsized_model_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its MODEL and what changes it, as one ``request``; batch sizes and types are its own affair, or none."""

    @wraps(function)
    def command(model: str, variant: str | None, settings: Any, inputs: Any, **others: Any) -> None:
        function(request=Request(model, variant, settings, inputs), **others)

    return _decorated(command, _MODEL, *_SETTINGS[:3])


def models_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command several MODELs under the same settings, as ``requests``."""

    @wraps(function)
    def command(
        models: tuple[str, ...], variant: str | None, settings: Any, inputs: Any, batch: int, dtype: str, **others: Any
    ) -> None:
        requests = tuple(Request(model, variant, settings, inputs, batch, dtype) for model in models)
        function(requests=requests, **others)

    return _decorated(command, _MODELS, *_SETTINGS)


def unsized_models_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command any number of MODELs and what changes them, as ``requests``; batch sizes and types are its own affair."""

    @wraps(function)
    def command(models: tuple[str, ...], variant: str | None, settings: Any, inputs: Any, **others: Any) -> None:
        function(requests=tuple(Request(model, variant, settings, inputs) for model in models), **others)

    return _decorated(command, _ANY_MODELS, *_SETTINGS[:3])


def output_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its format, file and width, as one ``output``."""

    @wraps(function)
    def command(format: str | None, file: str | None, width: int | None, **others: Any) -> None:
        function(output=Output(format or _format_of(file), file, width), **others)

    return _decorated(command, *_OUTPUT)


def _format_of(file: str | None) -> str:
    """Return the format that a file's name asks for. Raises UsageError for a suffix that says nothing."""
    if file is None or file == "-":
        return "table"
    stem, dot, suffix = file.replace("\\", "/").rpartition("/")[2].rpartition(".")
    known = SUFFIXES.get(dot + suffix.lower()) if stem else None
    if known is None:
        what = f"the suffix {dot + suffix} says" if stem else "a name without a suffix says"
        meant = nearest(suffix, [name[1:] for name in SUFFIXES]) if stem else None
        way_out = f"did you mean .{meant}?" if meant else f"add --format, or a suffix: {', '.join(SUFFIXES)}"
        if suffix.lower() in ("yaml", "yml"):
            way_out = "archcalc show MODEL -o FILE writes a spec, with --expanded the flat one"
        raise UsageError("E223", f"{what} no format: {file}", help=way_out)
    return known


def keep_files(context: click.Context, *models: str) -> None:
    """Refuse to write into what the command reads, with these ``models``, or two results into one file. Raises UsageError."""
    written = dict(_files(context, "write"))
    if not written:
        return
    from archcalc.render.delivery import keep_apart
    from archcalc.spec.zoo import address

    specs = [address(model).file for model in (*models, *(model for _, model in _files(context, "model")))]
    keep_apart(written, [*specs, *(file for _, file in _files(context, "read"))])


def _files(context: click.Context, use: str) -> list[tuple[str, str]]:
    """Return the files that the command line names for a use, each with its option."""
    parameters = [one for one in context.command.params if isinstance(one.type, FileName) and one.type.use == use]
    given = [(one.opts[0], context.params[one.name or ""]) for one in parameters]
    several = [(option, names if isinstance(names, tuple) else (names,)) for option, names in given if names is not None]
    return [(option, name) for option, names in several for name in names]


def _decorated(function: Callable[..., None], *decorators: Callable[..., Any]) -> Callable[..., None]:
    """Apply the decorators so that help shows them in this order."""
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


class Command(click.Command):
    """A command whose help leads with examples, and which takes ``--errors`` and ``--help`` like the group."""

    def __init__(self, *arguments: Any, examples: tuple[str, ...] = (), **others: Any) -> None:
        super().__init__(*arguments, **{"context_settings": CONTEXT, "add_help_option": False, **others})
        self.examples = examples
        errors_option(self)
        help_option(self)

    def invoke(self, ctx: click.Context) -> Any:
        keep_files(ctx)
        return super().invoke(ctx)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{example}\n" for example in self.examples))
        formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)
