"""Items put together: a layer line opens a block, its shape closes it, and a claim without an open block waits for the next one."""

import re
from bisect import bisect_right, insort

from msgspec.structs import replace

from archcalc.ops import OPS
from archcalc.ops.base import Weightless
from archcalc.worksheet import words
from archcalc.worksheet.page import Claim, Finding, From, Item, Page, Said, Sizes, Start, Term, Unread
from archcalc.worksheet.saying import continues, has_own_name, merged, repeats
from archcalc.worksheet.unread import LONGEST_LAYER, Beside, beside, is_labelled, is_layer

# Layers that hold no weights: a number of parameters after them may be the next layer's, unless it is zero.
WEIGHTLESS = frozenset(name for name, op in OPS.items() if issubclass(op, Weightless))
IMAGE_CHANNELS = (1, 3)
SUMMED = ("params", "weights", "macs", "flops", "connections")
_OF_A_BATCH = re.compile(
    r"(?:batch|배치|バッチ|批)(?![\s\-_]*(?:norm|정규화|正規化|归一化|标准化))(?!\D{0,12}\b1\b)", re.IGNORECASE
)
_NOTE = re.compile(r"\((?=[^()]*[^\W\d_]{3})[^()=]*\)\s*[=:≈]")  # parameters (without biases) =


class Block:
    """A layer and what the page claims of it."""

    def __init__(self, said: Said):
        self.said = said
        self.claims: list[Claim] = []
        self.sources: list[Block | None] = []  # the layers that it says its input comes from, None for the network's input
        self.shares = False  # its parameters are another layer's
        self.ahead: set[str] = set()  # the quantities whose numbers stood before its line
        self.closed = said.built is not None or (said.op == "Linear" and said.count is not None)

    @property
    def line(self) -> int:
        """The last line that says something of it."""
        return self.claims[-1].line if self.claims else self.said.line

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
        self.besides: list[Beside] = []  # lines that may hold another part of a sum
        self.unplaced: list[Finding] = []  # lines that were read, but not what they belong to
        self.leaves_open = False  # which layers some numbers belong to
        self.of_input: list[Claim] = []  # numbers of the input itself
        self.alone: list[Claim] = []  # arithmetic, and claims that found no layer

    @property
    def last(self) -> Block | None:
        """The latest block."""
        return self.blocks[-1] if self.blocks else None


def assemble(page: Page, ahead: bool = True) -> list[Network]:
    """Return the networks of the page, one after the other.

    ``ahead`` takes numbers below a layer that has none of the kind for the next one's, whose line they stand ahead of.
    """
    assembly = _Assembly(page, ahead)
    for item in page.items:
        if isinstance(item, Start):
            assembly.begin(item)
        elif isinstance(item, Said):
            assembly.say(item)
        elif isinstance(item, Claim):
            assembly.claim(item)
        elif isinstance(item, From):
            assembly.link(item)
        elif isinstance(item, Unread):
            assembly.pass_over(item)
    assembly.end()
    return assembly.networks


class _Assembly:
    def __init__(self, page: Page, ahead: bool) -> None:
        self.networks = [Network()]
        self.ahead = ahead
        self.waiting: list[Claim] = []
        self.named: dict[str, Block] = {}
        self.summarised = 0  # layers of a listing whose summary has been read
        self.aside: Block | None = None  # an earlier layer that was named again
        told = {item.line for item in page.items if not isinstance(item, Unread)}
        self.sums = [line.number for line in page.lines if words.lower(line.plain).strip(" :.") in words.TOTAL_WORDS]
        self.apart = [line.number for line in page.lines if line.plain and line.role == "prose" and line.number not in told]

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
        heading = self._heading_above(start.line)
        if self._solid():
            self._new_network()
        self._forget_headings()
        if heading is not None:
            self._open_block(heading.said)
        self.network.start = start if start.term is not None or self.network.start is None else self.network.start

    def say(self, said: Said) -> None:
        """Open a block, or add to the open one what this line says more of the same layer."""
        open_block = self._open()
        key = said.name.lower()
        if open_block is not None and continues(open_block.said, said):
            open_block.said = merged(open_block.said, said)
            open_block.closed = open_block.said.op == "Linear" and open_block.said.count is not None
            return
        self.aside = None
        if said.built is None and said.op is not None and self._summarised(said):
            return
        if said.row:
            said = replace(said, op=None)
        earlier = self.named.get(key)
        if earlier is not None and earlier is not open_block and repeats(earlier.said, said):
            earlier.said = earlier.said if said.heading else merged(said, earlier.said)
            self.aside = earlier
        elif said.more:
            self._leave_out(said, "no heading above it says which layer this is about")
        else:
            self._open_block(said)

    def _open_block(self, said: Said) -> None:
        block = Block(said)
        self.network.blocks.append(block)
        if said.name:
            self.named[said.name.lower()] = block
        for claim in self.waiting:
            block.add(claim)
            block.ahead.add(claim.quantity)
        self.waiting.clear()

    def _leave_out(self, item: Item, because: str) -> None:
        insort(self.apart, item.line)
        self.network.unplaced.append(Finding(item.line, item.text, "unread", because=because))

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
                self.aside = blocks[index]
                self.summarised = index + 1
                return True
        return False

    def link(self, item: From) -> None:
        """Note where the open layer takes its input from; a name that the page does not know leaves it unread."""
        last = self.network.last
        known = [self.named.get(name.lower()) for name in item.names]
        if last is None or any(block is None and name.lower() != "input" for name, block in zip(item.names, known, strict=True)):
            self._leave_out(item, "the page has no such layer")
            if last is not None:
                last.said = replace(last.said, op=None, kernel=None, built=None)
        elif item.shares:
            last.shares = True
        else:
            last.sources = known

    def pass_over(self, unread: Unread) -> None:
        """Take note of a layer or a number that could not be read: what follows may come from it, and sums may hold it."""
        if unread.beside:
            return
        if (part := beside(unread)) is not None:
            self.network.besides.append(part)
        begun = self.network.start is not None or self._solid()
        if begun and len(unread.text) <= LONGEST_LAYER and is_layer(unread.text):
            self.aside = None
            self.network.blocks.append(Block(Said(unread.line, unread.text, None)))

    def claim(self, claim: Claim) -> None:
        """Give the claim to the block that it belongs to."""
        if not claim.total and self._is_of_sum(claim):
            claim = replace(claim, total=True) if claim.quantity in SUMMED else replace(claim, quantity="arithmetic")
        if claim.total:
            self.network.totals.append((claim, len(self.network.blocks)))
        elif claim.quantity == "arithmetic":
            self.network.alone.append(claim)
            if is_labelled(claim.text) and (value := claim.terms[-1].value) is not None and value.denominator == 1:
                self.network.besides.append(Beside(claim.line, int(value), True))
        elif claim.beside and self.network.last is not None:
            self.network.last.add(claim)
        elif self._is_of_start(claim):
            self.network.of_input.append(claim)
        elif self.aside is not None:
            self.aside.add(claim)
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
        """Give the claims that no further layer came for to the last one, if nothing stands between."""
        last = self.network.last
        for claim in self.waiting:
            if last is not None and claim.quantity != "input" and not self._is_apart(last.line, claim):
                last.add(claim)
            else:
                self.network.alone.append(claim)
        self.waiting.clear()

    def _open(self) -> Block | None:
        last = self.network.last
        return last if last is not None and not last.closed else None

    def _solid(self) -> bool:
        return any(not block.is_bare for block in self.network.blocks)

    def _forget_headings(self) -> None:
        """Drop the headings that stood before the network began."""
        self.network.blocks.clear()
        self.named.clear()

    def _heading_above(self, line: int) -> Block | None:
        """Take back the heading right above the line of an input: it names the network's first layer."""
        last = self.network.last
        if last is None or not last.is_bare or last.said.line != line - 1 or not has_own_name(last.said):
            return None
        return self.network.blocks.pop()

    def _new_network(self) -> None:
        self.end()
        self.named = {}
        self.aside = None
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

    def _is_of_sum(self, claim: Claim) -> bool:
        """Whether a heading such as Total stands between the last layer and the claim."""
        last = self.network.last
        of_layer = claim.quantity in ("input", "output", "flat", "arithmetic")
        return last is not None and not of_layer and bisect_right(self.sums, last.line) < bisect_right(self.sums, claim.line)

    def _count(self, claim: Claim) -> None:
        last = self.network.last
        if claim.quantity not in ("params", "weights", "param_memory") and _OF_A_BATCH.search(claim.text):
            self.network.alone.append(claim)  # the layers are those of one image
            return
        if last is None or self._is_ahead(last, claim):
            self.waiting.append(claim)
            return
        before = next((other.line for other in last.claims if other.quantity == claim.quantity), claim.line)
        if before < claim.line and (self._is_apart(before, claim) or _NOTE.search(claim.text)):
            self._leave_out(claim, f"the layer above has this on line {before}, and it is not told what this one is of")
        else:
            last.add(claim)

    def _is_ahead(self, block: Block, claim: Claim) -> bool:
        """Whether a number may be the next layer's: the one before has such a number from ahead of its line, or none at all."""
        if claim.line == block.said.line or any(other.line == claim.line for other in block.claims):
            return False
        if block.has(claim.quantity):
            leaves_open = claim.quantity in block.ahead
        else:
            leaves_open = block.closed and block.said.op in WEIGHTLESS and claim.quantity not in ("memory", "neurons")
            leaves_open = leaves_open and claim.terms[-1].value != 0
        self.network.leaves_open |= leaves_open
        return leaves_open and self.ahead

    def _is_apart(self, line: int, claim: Claim) -> bool:
        """Whether something between the line and the claim was not read, or is in words alone."""
        return bisect_right(self.apart, line) < bisect_right(self.apart, claim.line)
