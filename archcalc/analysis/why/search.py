"""Why a number: which network, option or way of counting gives the figure that somebody printed, or comes nearest to it.

What has to change least comes first: the model itself in any way of counting, then its spec's other variants, its other families,
one option, two. The search ends with the first of these that has an answer. Nothing is called an answer but what is equal to the
number or is printed as it: rounded or cut off.

Where nothing is, the nearest of all that was tried are told. What is far-fetched has to be nearer than what is plain, or something
would always be near by chance: each level of change counts the distance four times, each step of a less plain way of counting
twice. So what is off by one comes first, however it is counted, and what is off by a percent is the model itself, not two options.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from archcalc.analysis.why.changes import BATCHES, ONE, OWN, TWO, Base, Changed, Step, double, families, network, single, variants
from archcalc.analysis.why.measures import BY_KEY, MEASURES, Measure, Network
from archcalc.analysis.why.printed import FILES, FILES_SOURCE, LISTS
from archcalc.analysis.why.reading import EXACT, FITS, PLAIN, PRINTED, Reading, readings

MOST_ANSWERS, NEAREST = 12, 5
MOST_WORK = 40_000  # layers that are looked at among the changed networks: about half a second
COUNTING_WORK = 4  # what the tools' counts of a layer cost, in layers looked at
_LAYER_DIGITS = 3  # a layer is named for a rounded number only if it has so many digits: there are many layers
_TWO_DIGITS = 3  # the same for two changes at once
_QUARTER = 4  # one digit, a 1, may be half as much again: what is a quarter off is not taken for it
_CHANGE, _WORDS = 4, 2  # so many times nearer has to be what is one level more changed, or one step less plain
_LAYERS, _ALL_BUT, _FILE = 4, 5, 1  # the plainness of a single layer, of all layers but one, and of a published file


class Candidate(msgspec.Struct, frozen=True):
    """A network in a way of counting. ``fit`` is ``exact``, ``printed``, ``rounds``, ``truncates``, or empty if it is only near.

    ``settings`` tell another variant from the one that was asked for, ``steps`` are what is changed besides; ``layer`` is set where
    the number is a single layer's; ``off`` is what the value has more than the number.
    """

    model: str
    title: str
    settings: tuple[str, ...]
    steps: tuple[str, ...]
    measure: str
    words: str
    value: int
    off: int
    fit: str
    layer: str | None = None
    reading: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What was found for a number: the answers, the best first, or else the nearest candidates."""

    number: str
    asked: Base
    answers: tuple[Candidate, ...]
    nearest: tuple[Candidate, ...]
    best: Changed | None  # the network of the first of them


class _Found(NamedTuple):
    """A candidate at its rank."""

    rank: tuple[int, int, int, int, int]  # level, number of steps, plainness, fit, reading
    candidate: Candidate
    changed: Changed

    @property
    def plainness(self) -> int:
        """How little has to be said of the way of counting, 0 for the least."""
        return self.rank[2]


def why(base: Base, number: str) -> Answer:
    """Return what the number is of the model. Raises ArchcalcError for what is no number, or no model that fits together."""
    search = _Search(base, readings(number))
    found = search.run()[:MOST_ANSWERS]
    near = [] if found else search.near()
    answers, nearest = (tuple(one.candidate for one in some) for some in (found, near))
    return Answer(number.strip(), base, answers, nearest, next((one.changed for one in found or near), None))


class _Search:
    """One search for one number: the readings, and what has been found so far."""

    def __init__(self, base: Base, wanted: tuple[Reading, ...]):
        self.base = base
        self.readings = wanted
        self.found: list[_Found] = []
        self.others: list[_Found] = []
        self.work = 0

    def run(self) -> list[_Found]:
        """Return the answers at the first level that has any."""
        title = self.base.spec.variant(self.base.variant).title
        own = Changed(OWN, self.base.variant, title, (), (), self.base.graph)
        self.own(own, Network(own.build(), self.base.dtype))
        for level, changes in enumerate((variants, families), start=OWN + 1):
            if self.answers(level - 1):
                break
            for changed in changes(self.base):
                self.look(changed)
        for level, changes_of in ((ONE, single), (TWO, double)):
            if self.answers(level - 1):
                break
            for changed in changes_of(self.base, title):
                if self.work > MOST_WORK:
                    break
                self.look(changed)
        return self.answers(TWO)

    def answers(self, level: int) -> list[_Found]:
        """Return what has been found that is no more far-fetched than the level: of all that, the least far-fetched."""
        within = sorted((one for one in self.found if one.rank[0] <= level), key=lambda one: one.rank)
        best = [one for one in within if one.rank[0] == within[0].rank[0]]
        if any(one.candidate.fit == EXACT for one in best):
            best = [one for one in best if one.candidate.fit == EXACT]
        # Of the model itself every way of counting is told that is about as plain as the best, of another network the plainest.
        firsts = {id(one.changed): one for one in reversed(best)}
        plain = best[0].plainness + 1 if best else 0
        return [one for one in best if one is firsts[id(one.changed)] or (one.changed.level == OWN and one.plainness <= plain)]

    def near(self) -> list[_Found]:
        """Return the nearest candidates; of a network, for each thing counted, the plain one and the nearest of the others.

        None has the value of one before it: an input of another size, say, has the same parameters.
        """
        nearest: dict[tuple[int, str, bool], _Found] = {}
        values: set[tuple[str, int]] = set()
        for one in sorted(self.others, key=_distance):
            base = BY_KEY[one.candidate.measure].base
            if (base, one.candidate.value) not in values:
                nearest.setdefault((id(one.changed), base, one.plainness == 0), one)
            values.add((base, one.candidate.value))
            if len(nearest) == NEAREST:
                break
        return list(nearest.values())

    def own(self, changed: Changed, found: Network) -> None:
        """Try the model itself in every way of counting, then its layers, and what was printed of it."""
        for measure in MEASURES:
            self.judge(changed, measure, measure.value(found))
        outputs = BY_KEY["outputs"]._replace(words="numbers in the output")
        for measure in (BY_KEY["params"], BY_KEY["macs"], outputs):
            self.layers(changed, measure, _scopes(found, measure))
        self.all_but_one(changed, found)
        self.batches(changed, found)
        self.printed(changed, found)

    def look(self, changed: Changed) -> None:
        """Try a network that is not quite the model, in the ways of counting that may be meant at that distance."""
        graph = network(changed)
        if graph is None:
            return
        found = Network(graph, self.base.dtype)
        counts = self.may_count(BY_KEY["macs"].value(found))
        self.work += len(graph.nodes) * (1 + COUNTING_WORK * counts) if changed.level >= ONE else 0
        for measure in MEASURES:
            if not measure.own_only and (counts or measure.network is None or measure.base != "macs"):
                self.judge(changed, measure, measure.value(found))

    def may_count(self, macs: int) -> bool:
        """Whether the number is of the order of the tools' counts: they leave out or add to the MACs within reason."""
        return any(not reading.byte and macs <= 4 * reading.target and reading.target <= 8 * macs for reading in self.readings)

    def judge(self, changed: Changed, measure: Measure, value: int, layer: str | None = None, plainness: int | None = None) -> None:
        """Hold a value against each reading of the number."""
        plainness = measure.plainness if plainness is None else plainness
        for position, reading in enumerate(self.readings):
            if reading.byte != measure.byte or value <= 0:
                continue
            fit = reading.fit(value)
            if fit and (not _telling(changed, reading, plainness, measure.base, value) or self.is_known(changed, measure, value)):
                continue
            level = changed.level + reading.level
            if layer is not None and not reading.exact:
                level = max(level, ONE)
            candidate = _candidate(changed, measure, value, reading, fit or "", layer)
            if fit:
                self.found.append(self.ranked(level, plainness, position, candidate, changed))
            elif reading.level == PLAIN and reading.byte == self.readings[0].byte:
                self.others.append(self.ranked(level, plainness, position, candidate, changed))

    @staticmethod
    def ranked(level: int, plainness: int, position: int, candidate: Candidate, changed: Changed) -> _Found:
        """Return the candidate with its rank: what has to change least, then what needs the fewest words, then what fits best."""
        fit = FITS.index(candidate.fit) if candidate.fit else len(FITS)
        return _Found((level, len(changed.changes), plainness, fit, position), candidate, changed)

    def is_known(self, changed: Changed, measure: Measure, value: int) -> bool:
        """Whether a plainer way of counting gave the same for the same network; tools are named each for itself."""
        if measure.network is not None and measure.base == "macs":
            return False
        return any(
            one.changed == changed and one.candidate.value == value and one.candidate.fit and one.candidate.layer is None
            for one in self.found
        )

    def layers(self, changed: Changed, measure: Measure, amounts: dict[str, int]) -> None:
        """Try the layers, and the scopes that their paths name, each by itself."""
        for name, amount in amounts.items():
            if any(reading.precision >= _LAYER_DIGITS and reading.fit(amount) for reading in self.readings if not reading.byte):
                self.judge(changed, measure, amount, name, _LAYERS)

    def all_but_one(self, changed: Changed, found: Network) -> None:
        """Try the parameters of all layers but one."""
        measure = BY_KEY["params"]
        total = measure.value(found)
        for name, amount in _scopes(found, measure).items():
            if any(reading.exact and not reading.byte and total - amount == reading.target for reading in self.readings):
                wanting = measure._replace(key="params-layer", words=f"parameters of all layers but {name}")
                self.judge(changed, wanting, total - amount, plainness=_ALL_BUT)

    def batches(self, changed: Changed, found: Network) -> None:
        """Try the plain counts over a batch."""
        for measure in MEASURES:
            if measure.plainness <= 1 and measure.base in ("macs", "output_bytes") and measure.key != "connections":
                value = measure.value(found)
                for batch in BATCHES:
                    if any(reading.fit(batch * value) for reading in self.readings if reading.byte == measure.byte):
                        together = changed._replace(level=ONE, steps=(Step(f"a batch of {batch * self.base.batch}"),))
                        self.judge(together, measure, batch * value, plainness=measure.plainness + 2)

    def printed(self, changed: Changed, found: Network) -> None:
        """Try what was printed of the model and follows from no way of counting."""
        layers = {name for name, _ in found.parts}
        for one in LISTS:
            if one.is_about(self.base.spec.name, layers):
                measure = BY_KEY[one.measure]
                words = f"{measure.words}, which is what the list in {one.source} adds up to"
                self.hold(changed, measure._replace(words=words), one.total)
                for layer, number in one.rows:
                    self.hold(changed, measure._replace(words=f"{measure.words} in the list of {one.source}"), number, layer)
        for file in FILES:
            if file.model == self.base.variant:
                words = f"bytes, the {file.text} that {FILES_SOURCE} has for {file.file}"
                self.hold(changed, BY_KEY["state_dict"]._replace(key="file", words=words), file.thousandths * 2**20 // 1000)

    def hold(self, changed: Changed, measure: Measure, value: int, layer: str | None = None) -> None:
        """Hold a printed number against the readings; where the model itself gives it, that is said already."""
        for position, reading in enumerate(self.readings):
            fit = reading.fit(value) if reading.byte == measure.byte else None
            if fit and (reading.exact or reading.precision >= _LAYER_DIGITS) and not self.is_known(changed, measure, value):
                candidate = _candidate(changed, measure, value, reading, PRINTED, layer)
                self.found.append(self.ranked(reading.level, measure.plainness + _FILE, position, candidate, changed))


def _distance(one: _Found) -> tuple[float, tuple[int, ...]]:
    """Return how far a candidate is from the number, as a share of the larger of them, times how far-fetched it is."""
    value, off = one.candidate.value, one.candidate.off
    return abs(off) / max(value, value - off) * _CHANGE**one.changed.level * _WORDS**one.plainness, one.rank


def _telling(changed: Changed, reading: Reading, plainness: int, base: str, value: int) -> bool:
    """Whether a fit says something: with few digits there is always one, if much may be changed or counted out of the way."""
    if reading.exact:
        return True
    if reading.precision == 1:
        return changed.level == OWN and plainness == 0 and abs(value - reading.target) * _QUARTER <= reading.target
    if changed.level == TWO:
        return plainness <= 1 and reading.precision >= _TWO_DIGITS and base in ("params", "macs")
    return changed.level < ONE or plainness <= 2


def _candidate(changed: Changed, measure: Measure, value: int, reading: Reading, fit: str, layer: str | None) -> Candidate:
    off = round(value - reading.target)
    settings, steps = (tuple(step.words for step in some) for some in (changed.settings, changed.steps))
    key, words = measure.key, measure.words
    return Candidate(changed.model, changed.title, settings, steps, key, words, value, off, fit, layer, reading.words)


def _scopes(found: Network, measure: Measure) -> dict[str, int]:
    """Return what each layer amounts to, and each scope in which several layers do; of outputs there are no sums."""
    amounts: dict[str, int] = {}
    layers: dict[str, int] = {}
    for (name, _), amount in zip(found.parts, measure.layers(found), strict=True):
        for path in _paths(name) if amount else ():
            amounts[path] = amounts.get(path, 0) + amount
            layers[path] = 0 if path == name else layers.get(path, 0) + 1
    scopes = 2 if measure.key != "outputs" else len(found.parts) + 1
    return {path: amount for path, amount in amounts.items() if layers[path] == 0 or layers[path] >= scopes}


def _paths(name: str) -> Iterator[str]:
    end = name.find(".")
    while end >= 0:
        yield name[:end]
        end = name.find(".", end + 1)
    yield name
