"""A page with the model it speaks of, and a spec with its published numbers, both judged into the same findings."""

import os
import sys
from typing import Any, NamedTuple

from archcalc.analysis import analyse
from archcalc.analysis.expected import Finding as Published
from archcalc.analysis.expected import judge as held_against
from archcalc.errors import SpecError, UsageError, did_you_mean
from archcalc.graph import Graph
from archcalc.spec import Spec, index, parse, read_spec
from archcalc.spec.expect import Expectation
from archcalc.spec.loading import STDIN
from archcalc.spec.source import MOST_BYTES as MOST_OF_A_SPEC
from archcalc.spec.source import Mapping, Sequence
from archcalc.spec.source import read as read_tree
from archcalc.spec.zoo import SUFFIXES, address
from archcalc.worksheet.page import Finding, Judgement, Page, Plain

MOST_BYTES = 16_000_000  # of a file that is read at all; the page's own bound is in characters


class Checked(NamedTuple):
    """What was judged: the text and the judgement; of a page also itself, and the name or path of the model it is held against."""

    text: str
    judgement: Judgement
    page: Page | None = None
    model: str | None = None


def check(path: str, model: str | None = None, variant: str | None = None) -> Checked:
    """Return the judgement on a page, on the published numbers of a spec, or on those of a bundled model.

    ``model`` is what a page is held against, instead of the one that it names itself. Raises ArchcalcError for what cannot be read.
    """
    at = address(path)
    if at.bundled or at.file.lower().endswith(SUFFIXES):
        spec, only = read_spec(path, variant)
        return Checked(spec.text, check_spec(spec, only))
    content = _content(path)
    if _is_spec(content):
        spec = parse(content, "stdin" if path == STDIN else path)
        return Checked(spec.text, check_spec(spec, variant))
    # Deferred: the patterns that read pages are slow to compile, and a spec needs none of them.
    from archcalc.worksheet.judging import judge
    from archcalc.worksheet.reading import read

    page = read(content)
    if model is None:
        folder = os.path.dirname(path)
        model, graph = _named(page, folder), model_of(page, folder, variant)
    elif _is_about(page, model):
        graph = _set_up(page, model, variant)
    else:
        spec, chosen = read_spec(model, variant)
        graph = spec.graph(chosen)
    return Checked("\n".join(line.text for line in page.lines), judge(page, graph), page, model)


def _is_spec(content: bytes) -> bool:
    """Whether the text is a mapping with an input and a list of layers, which is a spec whatever its file is called."""
    if len(content) > MOST_OF_A_SPEC or b"layers" not in content:
        return False
    try:
        tree = read_tree(content, "")
    except SpecError:
        return False
    return isinstance(tree, Mapping) and tree.get("input") is not None and isinstance(tree.get("layers"), Sequence)


def _content(path: str) -> bytes:
    """Return what the file holds, up to more than a page may have. Raises UsageError if it cannot be read."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read(MOST_BYTES)
        with open(path, "rb") as file:
            return file.read(MOST_BYTES)
    except FileNotFoundError:
        help = did_you_mean(path, list(index())) or "a page of notes (PAGE.md), a spec (SPEC.yaml), or the name of a bundled model"
        raise UsageError("E200", f"there is no file {path}", help=help) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError("E200", f"cannot read {path}: {reason}") from None


def model_of(page: Page, folder: str, variant: str | None = None) -> Graph | None:
    """Return the network that the page's head names, None where it names none."""
    name = _named(page, folder)
    return None if name is None else _set_up(page, name, variant)


def _set_up(page: Page, name: str, variant: str | None) -> Graph:
    """Return the network of that name or path, set up as the page's head says."""
    spec, chosen = read_spec(name, variant)
    chosen = chosen or page.variant
    return spec.graph(chosen, page.settings, _inputs(spec, chosen, page.input))


def _is_about(page: Page, model: str) -> bool:
    """Whether what the page's head says is said of this model, wherever its file lies: the page names it, or none."""
    return page.model is None or os.path.basename(address(page.model).file) == os.path.basename(address(model).file)


def _named(page: Page, folder: str) -> str | None:
    """Return the bundled model that the page's head names, or the path of its spec; None where it names none.

    A page comes from strangers: it may name a bundled model, or a spec that lies in ``folder`` beside it, and no other file.
    """
    if page.model is None:
        return None
    name = page.model.strip()
    if name.lower().replace("-", "_") not in index():
        if os.path.basename(name) != name or not name.lower().endswith(SUFFIXES):
            message = f"the page is about {name[:60]}, which is no bundled model"
            raise UsageError("E201", message, help="archcalc list shows them; a spec of your own must lie beside the page")
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            message = f"the page is about {name}, and there is no file {path}"
            raise UsageError("E200", message, help=f"put {name} beside the page, or name it: --model FILE")
        return path
    return name


def _inputs(spec: Spec, variant: str | None, given: Any) -> dict[str, tuple[int, ...]]:
    if given is None:
        return {}
    if isinstance(given, dict):
        return {name: tuple(sizes) for name, sizes in given.items()}
    return {next(iter(spec.variant(variant).inputs)): tuple(given)}


def check_spec(spec: Spec, variant: str | None = None) -> Judgement:
    """Return a finding for each published number of a variant, or of all of them for None."""
    findings: list[Finding] = []
    for chosen in [spec.variant(variant)] if variant else spec.variants.values():
        if not chosen.expect:
            continue
        graph = spec.graph(chosen.name)
        judged = held_against(chosen.expect, graph, analyse(graph))
        findings += [_finding(published, graph) for published in judged]
    return Judgement(tuple(sorted(findings, key=lambda finding: finding.line)))


def _finding(published: Published, graph: Graph) -> Finding:
    expectation = published.expectation
    place = expectation.place
    claimed: Plain = expectation.sizes if expectation.figure is None else expectation.figure.text
    because = "" if published.right else _because(published, graph)
    return Finding(
        line=place.line,
        text=place.text.strip(),
        verdict="right" if published.right else "wrong",
        quantity=expectation.quantity,
        layer=expectation.layer or "",
        expected=published.found,
        found=claimed,
        because=because,
    )


def _because(published: Published, graph: Graph) -> str:
    """Return the right number with its arithmetic, or what is wrong about the name."""
    expectation, found = published.expectation, published.found
    if found is None:
        return f"{graph.name} has no layer {expectation.layer}" + (f": {published.help}" if published.help else "")
    if isinstance(found, tuple):
        return f"{graph.name}: the output of {expectation.layer} is {'x'.join(map(str, found))}"
    whose = (
        f"{graph.name}: {expectation.quantity} of {expectation.layer}"
        if expectation.layer
        else f"{graph.name}: {expectation.quantity}"
    )
    return f"{whose} = {_arithmetic(expectation, graph, found)}"


def _arithmetic(expectation: Expectation, graph: Graph, found: int) -> str:
    """Return the operator's own arithmetic of a layer's number; a total is a sum of too many for a line."""
    if expectation.layer is None:
        return f"{found:,}"
    from archcalc.analysis.derive import Tracer  # deferred: only what is wrong needs its arithmetic
    from archcalc.analysis.written import Written
    from archcalc.worksheet.write import answer

    place = graph.nodes.index(graph.find(expectation.layer))
    tracer = Tracer(graph, Written(graph))
    op, x = tracer.op(place), tracer.x(place)
    number = op.params(x) if expectation.quantity == "params" else op.macs(x, op.output(x))
    return answer(number).replace("`", "") if number == found else f"{found:,}"  # shared parameters count where they are held
