"""The judgement on a page: every network walked over, and what the whole page counts otherwise said once."""

from archcalc.errors import UsageError
from archcalc.graph import Graph
from archcalc.worksheet.checks import Habits
from archcalc.worksheet.layers import Network, assemble
from archcalc.worksheet.matching import Truths
from archcalc.worksheet.page import Blank, Finding, Judgement, Page, Unread
from archcalc.worksheet.walk import Walk

LEAST = 2  # claims that must agree before a deviation is the page's convention, not a slip

# A slip that is a habit where every claim it could concern shows it: its key, the quantities, the habit, what is said of it.
_HABITS = (
    ("no_bias", ("params",), {"bias": False}, "this page counts no biases anywhere: weights only"),
    ("mac_or_flop", ("flops",), {"flops_per_mac": 1}, "this page's FLOPs are MACs: a multiplication and its addition count as one"),
    ("mb_or_mib", ("memory",), {"binary": True}, "this page's MB are powers of 1024 (MiB)"),
    (
        "batch_norm",
        ("params",),
        {"norm": 4},
        "this page counts BatchNorm's running statistics as parameters: 4 per channel, as Keras does",
    ),
)


def judge(page: Page, model: Graph | None = None) -> Judgement:
    """Return the judgement on every claim of the page, held against the model if there is one, else against the page itself.

    Raises ArchcalcError for a model named on the page that is not there.
    """
    if model is None and page.model is not None:
        model = bundled(page)
    habits, conventions = Habits(), []
    findings = _walked(page, model, habits)
    for key, quantities, change, said in _HABITS:
        if _is_habit(findings, key, quantities):
            changed = habits._replace(**change)
            again = _walked(page, model, changed)
            if _errors(again) < _errors(findings):
                habits, findings = changed, again
                conventions.append(said)
    unread = [Finding(item.line, item.text, "unread") for item in page.items if isinstance(item, Unread)]
    empty = tuple(item for item in page.items if isinstance(item, Blank))
    return Judgement(tuple(sorted(findings + unread, key=lambda finding: finding.line)), tuple(conventions), empty)


def bundled(page: Page) -> Graph:
    """Return the bundled model that the page names. A path is refused: a page must not make archcalc read files."""
    from archcalc.spec import index, load

    name = str(page.model)
    if name.lower().replace("-", "_") not in index():
        help = "archcalc list shows the bundled models; a spec of your own is given on the command line"
        raise UsageError("E243", f"the page names the model {name[:60]}, which is not a bundled one", help=help)
    return load(name, variant=page.variant, set=page.settings, input=page.input)


def _walked(page: Page, model: Graph | None, habits: Habits) -> list[Finding]:
    """Return the findings; where a network leaves open which layers its numbers are of, by the reading with the fewest errors."""
    truths = Truths(model) if model is not None else None
    ahead = assemble(page)
    if not any(network.leaves_open for network in ahead):
        return _judged(ahead, truths, habits)
    below = assemble(page, ahead=False)
    one_by_one = [([first], [second]) for first, second in zip(below, ahead, strict=False)]
    pairs = one_by_one if len(below) == len(ahead) else [(below, ahead)]
    return [finding for pair in pairs for finding in _better(*pair, truths, habits)]


def _better(below: list[Network], ahead: list[Network], truths: Truths | None, habits: Habits) -> list[Finding]:
    """Return the findings of the reading with fewer errors; the search in the model goes on from where that one ended."""
    place = truths.place if truths is not None else 0
    tried = []
    for networks in (below, ahead) if any(network.leaves_open for network in ahead) else (ahead,):
        if truths is not None:
            truths.place = place
        tried.append((_judged(networks, truths, habits), truths.place if truths is not None else 0))
    findings, place = min(tried, key=lambda reading: _blame(reading[0]))
    if truths is not None:
        truths.place = place
    return findings


def _judged(networks: list[Network], truths: Truths | None, habits: Habits) -> list[Finding]:
    return [finding for network in networks for finding in Walk(network, habits, truths).judge()]


def _blame(findings: list[Finding]) -> tuple[int, int, int]:
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    return len(wrong), sum(finding.slip is None for finding in wrong), sum(finding.verdict == "unread" for finding in findings)


def _errors(findings: list[Finding]) -> int:
    return sum(finding.verdict == "wrong" for finding in findings)


def _is_habit(findings: list[Finding], key: str, quantities: tuple[str, ...]) -> bool:
    """Whether the slip stands in at least two claims, and no claim of the kind is right where the slip would have shown."""
    concerned = [finding for finding in findings if finding.quantity in quantities and finding.expected not in (0, None)]
    slipped = [finding for finding in concerned if finding.slip == key]
    if key == "batch_norm":
        return len(slipped) >= LEAST
    right = [finding for finding in concerned if finding.verdict == "right" and finding.carried_from is None]
    if key == "mb_or_mib":  # 12.25 MiB and 12,845,056 bytes are right either way
        right = [finding for finding in right if str(finding.found).lower().endswith(("kb", "mb", "gb", "tb"))]
    return len(slipped) >= LEAST and len(right) <= 1 and len(right) < len(slipped)
