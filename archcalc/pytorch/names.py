"""How modules and scopes are named in generated source: what a module's expression is, and which local name a scope has."""

import re
from collections.abc import Callable, Iterable
from keyword import iskeyword
from unicodedata import normalize

from archcalc.errors import UsageError

# What torch.nn.Module or a container calls its own: no layer can bear such a name. A test holds the list against torch.
TAKEN = frozenset(
    """T_destination add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half head_weights ipu items keys
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
    set_submodule share_memory state_dict to to_empty train training type update values xpu zero_grad""".split()
)
RESERVED = frozenset(("self", "nn", "torch", "F", "Tensor", "tie", "super"))
LONGEST = 24  # letters of a local name; scopes whose names begin alike take it in turns
# torch.fx writes getattr(self, "NAME") into code, the name as it stands: behind a quote, what a spec says would be run.
_ENDS_QUOTES = frozenset('"\\')
_SEPARATORS = frozenset("()[],;")  # in the file of an exported program
_VARIABLE = re.compile(r"[xy][0-9]*|.*_x")  # what liveness calls tensors


def quoted(text: str) -> str:
    """Return a text as a Python literal, in the quotes that a formatter would choose: double ones, or those that need no escape.

    >>> print(quoted("conv1"), quoted('5"'), quoted("5'"))
    "conv1" '5"' "5'"
    """
    mark = "'" if text.count('"') > text.count("'") else '"'
    return mark + text.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark


def member(holder: str, leaf: str) -> str:
    """Return the expression of what stands in a holder under a name.

    >>> member("self", "conv1"), member("layer1", "0"), member("self", "1x1")
    ('self.conv1', 'layer1["0"]', 'self.get_submodule("1x1")')
    """
    if holder != "self":
        return f"{holder}[{quoted(leaf)}]"
    return f"self.{leaf}" if _is_word(leaf) else f"self.get_submodule({quoted(leaf)})"


def registered(holder: str, leaf: str, module: str) -> str:
    """Return the statement that gives a module its name in a holder."""
    if holder == "self" and not _is_word(leaf):
        return f"self.add_module({quoted(leaf)}, {module})"
    return f"{member(holder, leaf)} = {module}"


def word(name: str) -> str:
    """Return a name as an identifier.

    >>> word("1x1"), word("reduce-3x3"), word("lambda")
    ('_1x1', 'reduce_3x3', '_lambda')
    """
    letters = (letter if f"_{letter}".isidentifier() else "_" for letter in normalize("NFKC", name))
    name = "".join(letters)
    return name if _is_word(name) else f"_{name}"


def _is_word(name: str) -> bool:
    """Whether the name is an identifier, and the very one that Python makes of it."""
    return name.isidentifier() and not iskeyword(name) and normalize("NFKC", name) == name


def check_names(paths: Iterable[str]) -> None:
    """Raise UsageError if a path of a layer holds a name that a module cannot bear, or goes on where another one ends."""
    layers = dict.fromkeys(paths)
    for path in layers:
        words = path.split(".")
        for word in words:
            if word in TAKEN or word.startswith("_"):
                message = f"PyTorch keeps the name {word} for itself, and a layer of a module cannot bear it"
                raise UsageError("E250", message, help="another name in the spec", layer=path)
            if _ENDS_QUOTES & set(word):
                message = f"PyTorch writes the names of layers between quotes into code of its own, which {word} would break out of"
                raise UsageError("E253", message, help='a name without " and \\', layer=path)
        for length in range(1, len(words)):
            scope = ".".join(words[:length])
            if scope in layers:
                raise UsageError(
                    "E251", f"{scope} is a layer, and cannot hold others", help="another name for one of them", layer=path
                )


def check_exported(paths: Iterable[str]) -> None:
    """Raise UsageError if a path of a layer holds a name that an exported program does not bear, though a module does."""
    for path in paths:
        for name in path.split("."):
            if name.isidentifier() and not _is_word(name):
                message = f"an exported program says self.{name}, which Python reads otherwise"
            elif _SEPARATORS & set(name):
                message = f"an exported program's file does not tell the brackets and commas of {name} from its own"
            else:
                continue
            raise UsageError("E253", message, help="another name in the spec; .py and .safetensors files take this one", layer=path)


class Locals:
    """The local names that scopes have in a method: each look-up on the way to a module is then made once.

    A scope is called what it is called in the spec, with what stands around it where that is no word: ``layer1_0``. A name is bound
    anew for the next scope that it fits; ``write`` writes such a line.
    """

    def __init__(self, write: Callable[[str], None], taken: frozenset[str]):
        self.write = write
        self.taken = taken | RESERVED
        self.bound: dict[str, str] = {}  # local name -> path of the scope that it is at this point

    def name(self, path: str) -> str:
        """Return what a scope is called."""
        around, _, leaf = path.rpartition(".")
        name = leaf if _is_word(leaf) or not around else f"{self.name(around)}_{leaf}"
        name = word(name)[:LONGEST]
        while name in self.taken or _VARIABLE.fullmatch(name):
            name += "_"
        return name

    def scope(self, path: str) -> str:
        """Return the local name of a scope, bound if it is not at this point."""
        if not path:
            return "self"
        name = self.name(path)
        if self.bound.get(name) != path:
            self.write(f"{name} = {self.module(path)}")
            self.bound[name] = path
        return name

    def module(self, path: str) -> str:
        """Return the expression of a module."""
        scope, _, leaf = path.rpartition(".")
        return member(self.scope(scope), leaf)

    def forget(self, names: set[str]) -> None:
        """Take no name of these as bound: what bound them may not have run."""
        for name in names:
            self.bound.pop(name, None)
