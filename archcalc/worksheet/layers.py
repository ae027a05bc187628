"""Items put together: a layer line opens a block, its shape closes it, and a claim without an open block waits for the next one."""

import re

from msgspec.structs import replace

from archcalc.worksheet import words
from archcalc.worksheet.page import Claim, From, Item, Said, Sizes, Start, Term, Unread

# Layers that hold no weights: a number of parameters after them is the next layer's, unless it is zero.
WEIGHTLESS = frozenset(
    "MaxPool2d AvgPool2d GlobalAvgPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d LocalResponseNorm ReLU Dropout Softmax Flatten "
    "Add Concat Multiply Resize Upsample ZeroPad2d".split()
)
IMAGE_CHANNELS = (1, 3)
# Operators that a heading such as S2 or C3 may mean.
_FAMILIES = (
    frozenset({"MaxPool2d", "AvgPool2d", "TrainableSubsample2d"}),
    frozenset({"Conv2d", "ConnectedConv2d", "ConvTranspose2d"}),
)
LONGEST_LAYER = 100  # characters: what is longer is a sentence
_MARKS = re.compile(r"[\s\-*+#>|]*(?:[0-9]{1,2}[.)]\s+)?")
_NUMBERED = re.compile(r"[^.]{0,12}[0-9]")
_EQUAL = re.compile(r"[^=:]{0,12}[=:][^=:]{0,40}[0-9]")


class Block:
    """A layer and what the page claims of it."""

    def __init__(self, said: Said):
        self.said = said
        self.claims: list[Claim] = []
        self.sources: list[Block | None] = []  # the layers that it says its input comes from, None for the network's input
        self.shares = False  # its parameters are another layer's
        self.closed = said.built is not None or (said.op == "Linear" and said.count is not None)

    @property
    def is_untouched(self) -> bool:
        """Whether the layer line says what comes out, as ``fc1 4096`` does, and nothing else has been said of it yet."""
        return self.said.op == "Linear" and self.said.built is None and not self.has("output") and not self.has("flat")

    def add(self, claim: Claim) -> None:
        """Take a claim; one about the output closes the block."""
        self.claims.append(claim)
        self.closed = self.closed or claim.quantity == "output"

    def has(self, quantity: str) -> bool:
        """Whether there is a claim of this quantity."""
        return any(claim.quantity == quantity for claim in self.claims)

    @property
    def needs_shape(self) -> bool:
        """Whether only the size along one axis has been said of what comes out."""
        outputs = [claim for claim in self.claims if claim.quantity == "output"]
        return (
            len(outputs) == 1
            and self.said.op != "Linear"
            and len(outputs[0].terms) > 1
            and len(outputs[0].terms[-1].shape or (0,)) == 1
        )

    @property
    def is_bare(self) -> bool:
        """Whether nothing but a name is known of the layer."""
        return self.said.heading and not self.claims and self.said.built is None


class Network:
    """What belongs together on the page: an input, the layers that follow from it, and the totals."""

    def __init__(self) -> None:
        self.start: Start | None = None
        self.blocks: list[Block] = []
        self.totals: list[tuple[Claim, int]] = []  # with how many blocks stood before
        self.unread: list[tuple[int, int]] = []  # lines that say something of a layer, with how many blocks stood before
        self.unlinked: list[From] = []
        self.of_input: list[Claim] = []  # numbers of the input itself
        self.alone: list[Claim] = []  # arithmetic, and claims that found no layer

    @property
    def last(self) -> Block | None:
        """The latest block."""
        return self.blocks[-1] if self.blocks else None


def assemble(items: tuple[Item, ...]) -> list[Network]:
    """Return the networks of the page, one after the other."""
    assembly = _Assembly()
    for item in items:
        if isinstance(item, Start):
            assembly.begin(item)
        elif isinstance(item, Said):
            assembly.say(item)
        elif isinstance(item, Claim):
            assembly.claim(item)
        elif isinstance(item, From):
            assembly.link(item)
        elif _is_layer(item.text) or _is_claim(item.text):
            assembly.pass_over(item)
    assembly.end()
    return assembly.networks


class _Assembly:
    def __init__(self) -> None:
        self.networks = [Network()]
        self.waiting: list[Claim] = []
        self.named: dict[str, Block] = {}
        self.summarised = 0  # layers of a listing whose summary has been read
        self.aside: tuple[int, Block] | None = None  # a line that names an earlier layer again

    @property
    def network(self) -> Network:
        return self.networks[-1]

    def begin(self, start: Start) -> None:
        """Begin a network, or give the open layer its input."""
        open_block = self._open()
        if start.listing:
            if self.network.blocks or self.network.start is not None:
                self._new_network()
            self.network.start = start
            return
        if open_block is not None and not open_block.is_bare and start.term is not None:
            open_block.add(Claim(start.line, start.text, "input", (start.term,)))
            return
        if self._solid():
            self._new_network()
        self._forget_headings()
        self.network.start = start if start.term is not None or self.network.start is None else self.network.start

    def say(self, said: Said) -> None:
        """Open a block, or add to the open one what this line says more of the same layer."""
        open_block = self._open()
        key = said.name.lower()
        if open_block is not None and _continues(open_block, said):
            open_block.said = _merged(open_block.said, said)
            open_block.closed = open_block.said.op == "Linear" and open_block.said.count is not None
            return
        if said.built is None and said.op is not None and self._summarised(said):
            return
        if said.row:
            said = replace(said, op=None)
        if said.heading and key and key in self.named and self.named[key] is not open_block:
            self.aside = (said.line, self.named[key])
            return
        block = Block(said)
        self.network.blocks.append(block)
        if key:
            self.named[key] = block
        for claim in self.waiting:
            block.add(claim)
        self.waiting.clear()

    def _summarised(self, said: Said) -> bool:
        """Find the layer of a listing that a row of its printed summary is about, in their order."""
        blocks = self.network.blocks
        for index in range(self.summarised, len(blocks)):
            built = blocks[index].said.built
            if (
                built is not None
                and type(built).__name__ == said.op
                and (not said.name or not blocks[index].said.name or said.heading)
            ):
                self.aside = (said.line, blocks[index])
                self.summarised = index + 1
                return True
        return False

    def link(self, item: From) -> None:
        """Note where the open layer takes its input from; a name that the page does not know leaves it unread."""
        last = self.network.last
        known = [self.named.get(name.lower()) for name in item.names]
        if last is None or any(block is None and name.lower() != "input" for name, block in zip(item.names, known, strict=True)):
            self.network.unlinked.append(item)
            if last is not None:
                last.said = replace(last.said, op=None, kernel=None, built=None)
        elif item.shares:
            last.shares = True
        else:
            last.sources = known

    def pass_over(self, unread: Unread) -> None:
        """Take note of a layer or a number that could not be read: what follows may come from it, and sums may hold it."""
        self.network.unread.append((unread.line, len(self.network.blocks)))
        begun = self.network.start is not None or self._solid()
        if begun and len(unread.text) <= LONGEST_LAYER and _is_layer(unread.text):
            self.network.blocks.append(Block(Said(unread.line, unread.text, None)))

    def claim(self, claim: Claim) -> None:
        """Give the claim to the block that it belongs to."""
        if claim.total:
            self.network.totals.append((claim, len(self.network.blocks)))
        elif claim.quantity == "arithmetic":
            self.network.alone.append(claim)
        elif self._is_of_start(claim):
            self.network.of_input.append(claim)
        elif self.aside is not None and self.aside[0] == claim.line:
            self.aside[1].add(claim)
        elif claim.quantity == "input":
            self._input(claim)
        elif claim.quantity == "output":
            self._output(claim)
        elif claim.quantity == "flat":
            self._flat(claim)
        else:
            self._count(claim)

    def _is_of_start(self, claim: Claim) -> bool:
        """Whether the claim stands on the line that states the network's input, and is about it: ``memory: 224*224*3 = 150K``."""
        start = self.network.start
        return (
            start is not None and start.line == claim.line and not self.network.blocks and claim.quantity not in ("input", "output")
        )

    def end(self) -> None:
        """Leave alone the claims that no layer came for."""
        self.network.alone += self.waiting
        self.waiting = []

    def _open(self) -> Block | None:
        last = self.network.last
        return last if last is not None and not last.closed else None

    def _solid(self) -> bool:
        return any(not block.is_bare for block in self.network.blocks)

    def _forget_headings(self) -> None:
        """Drop the headings that stood before the network began."""
        self.network.blocks.clear()
        self.named.clear()

    def _new_network(self) -> None:
        self.network.alone += self.waiting
        self.waiting = []
        self.named = {}
        self.summarised = 0
        self.networks.append(Network())

    def _input(self, claim: Claim) -> None:
        open_block = self._open()
        if self.network.start is None and not self._solid() and (open_block is None):
            self.begin(Start(claim.line, claim.text, claim.terms[-1]))
        elif open_block is not None and not open_block.has("input"):
            open_block.add(claim)
        elif self.network.last is not None and self.network.last.is_untouched and not self.network.last.claims:
            self.network.last.add(claim)
        elif self._begins_anew(claim.terms[-1]):
            self._new_network()
            self.network.start = Start(claim.line, claim.text, claim.terms[-1])
        else:
            self.waiting.append(claim)

    def _output(self, claim: Claim) -> None:
        open_block = self._open()
        network = self.network
        on_its_line = open_block is not None and open_block.said.line == claim.line
        begun = network.start is not None and network.start.term is not None
        if (
            not begun
            and not on_its_line
            and (open_block is None or open_block.is_bare)
            and not self._solid()
            and len(claim.terms) == 1
        ):
            self._forget_headings()
            network.start = Start(claim.line, claim.text, claim.terms[0])
        elif open_block is not None:
            open_block.add(claim)
        elif (network.last is not None and network.last.needs_shape and len(claim.terms) == 1) or (
            network.last is not None and network.last.is_untouched and len(claim.terms[-1].shape or ()) in (1, 3)
        ):
            network.last.add(claim)
        elif len(claim.terms) == 1 and self._begins_anew(claim.terms[0]):
            self._new_network()
            self.network.start = Start(claim.line, claim.text, claim.terms[0])
        elif network.last is not None and (claim.terms[-1].shape or ()) and len(claim.terms[-1].shape or ()) == 1:
            network.last.add(Claim(claim.line, claim.text, "flat", claim.terms))
        else:
            block = Block(Said(claim.line, claim.text, None, heading=True))
            network.blocks.append(block)
            block.add(claim)

    def _begins_anew(self, term: Term) -> bool:
        """Whether sizes that follow a closed layer are another network's image."""
        sizes: Sizes = term.shape or ()
        if len(sizes) != 3 or not self._solid():
            return False
        channels_last = sizes[2] in IMAGE_CHANNELS and sizes[0] > 3
        return channels_last or (sizes[0] in IMAGE_CHANNELS and sizes[1] > 3 and sizes[2] > 3)

    def _flat(self, claim: Claim) -> None:
        if self.network.last is not None:
            self.network.last.add(claim)
        else:
            self.network.alone.append(claim)

    def _count(self, claim: Claim) -> None:
        last = self.network.last
        if last is not None and self._takes(last, claim):
            last.add(claim)
        else:
            self.waiting.append(claim)

    def _takes(self, block: Block, claim: Claim) -> bool:
        if block.said.line == claim.line:
            return True
        if block.has(claim.quantity):
            return False
        if not block.closed or any(other.line == claim.line for other in block.claims):
            return True
        value = claim.terms[-1].value
        return block.said.op not in WEIGHTLESS or value == 0 or claim.quantity in ("memory", "neurons")


def _continues(block: Block, said: Said) -> bool:
    """Whether a line says more of the layer that a heading named, and not of the next one."""
    before = block.said
    if before.built is not None or said.built is not None or said.line == before.line:
        return False
    if said.op is None:
        return not said.heading and before.kernel is None and before.count is None
    if not before.heading or (said.name and before.name and said.name.lower() != before.name.lower()):
        return False
    return (
        before.op in (said.op, None)
        or any({before.op, said.op} <= family for family in _FAMILIES)
        or (before.op == "Conv2d" and said.name == before.name)
    )


def _merged(first: Said, more: Said) -> Said:
    """Return what both lines say, the second being the fuller one; the name stays the heading's."""
    said = {name: getattr(more, name) for name in more.__struct_fields__ if getattr(more, name) not in (None, "")}
    said.update(name=first.name or more.name, op=more.op or first.op, heading=False)
    return replace(first, **said)


def _is_layer(text: str) -> bool:
    """Whether an unread line begins as layer lines do."""
    small = words.lower(text)
    marks = _MARKS.match(small)
    place = marks.end() if marks else 0
    operator = words.OPERATOR_LEXICON.at(small, place)
    return operator is not None and _NUMBERED.match(small, place + len(operator)) is not None


def _is_claim(text: str) -> bool:
    """Whether an unread line seems to give a number for a quantity."""
    small = words.lower(text)
    if len(small) > 4 * LONGEST_LAYER or _EQUAL.search(small) is None:
        return False
    return any(word in small for word in words.QUANTITY_WORDS)
