"""The walk over one network of a page, with two shapes: the true one, and the one that the writer has written so far."""

from bisect import bisect_left
from fractions import Fraction
from math import prod
from operator import attrgetter

from archcalc.ops import Op
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import written
from archcalc.worksheet.checks import (
    Answer,
    Habits,
    judge_number,
    plain,
    verdict,
)
from archcalc.worksheet.layers import Block, Network
from archcalc.worksheet.matching import Known, Truths
from archcalc.worksheet.operators import UNKNOWN, entering, fits, of_1998, output_of, readings, shape_of
from archcalc.worksheet.outputs import Outputs
from archcalc.worksheet.page import Claim, Finding, Term
from archcalc.worksheet.shapes import (
    Own,
    alone,
    chosen,
    crossed,
    entering_flat,
    layer_answer,
    merged_shape,
    of_layer,
    unjudged,
    whole,
)
from archcalc.worksheet.slips import Case
from archcalc.worksheet.totals import Part, Sum, judge_total

MOST_BESIDES = 100  # lines before a total that may hold parts of it


class Walk(Outputs):
    """Judges the claims of one network, block after block."""

    def __init__(self, network: Network, habits: Habits, truths: Truths | None = None):
        super().__init__(habits)
        self.network, self.truths = network, truths
        self.truth: Shape | None = None
        self.own = Own(None)
        self.before_pool: Shape | None = None
        self.parts: list[Part] = []
        self.sums: dict[str, Sum] = {}
        self.made: dict[int, tuple[Shape | None, Own]] = {}
        self.began: tuple[Shape | None, Own] = (None, Own(None))

    def judge(self) -> list[Finding]:
        """Return the findings on all claims of the network."""
        self._start()
        self.began = (self.truth, self.own)
        self._of_input()
        totals = self.network.totals[::-1]  # as they stand on the page, the next one last
        for index, block in enumerate(self.network.blocks):
            self._block(block)
            while totals and totals[-1][1] <= index + 1:
                self._total(totals.pop()[0])
        for claim, _ in reversed(totals):
            self._total(claim)
        self.findings += [alone(claim) for claim in self.network.alone]
        self.findings += self.network.unplaced
        return self.findings

    @property
    def _is_listed(self) -> bool:
        return self.network.start is not None and self.network.start.listing

    def _total(self, claim: Claim) -> None:
        besides = self.network.besides
        end = bisect_left(besides, claim.line, key=attrgetter("line"))
        besides = besides[max(0, end - MOST_BESIDES) : end]
        total = self.sums.setdefault(claim.quantity, Sum(claim.quantity, self.habits, self._is_listed))
        total.extend(self.parts)
        self.findings.append(judge_total(claim, total, self.habits, self.truths, besides))

    def _start(self) -> None:
        start = self.network.start
        expected = self.truths.input if self.truths else None
        shape = shape_of(start.term, expected) if start is not None and start.term is not None else None
        if start is not None and start.term is not None and expected is not None:
            claim = Claim(start.line, start.text, "input", (start.term,))
            right = fits(start.term, expected)
            self._add(
                claim, right, start.term, expected, because="" if right else f"the model's input is {crossed(expected, start.term)}"
            )
            self.own = Own(expected if right else shape, None if right else start.line)
            self.truth = expected
        else:
            self.truth = expected or shape
            self.own = Own(shape or expected)

    def _of_input(self) -> None:
        """Judge the numbers on the input's own line: its elements, and that it costs nothing."""
        for claim in self.network.of_input:
            right = 0
            if claim.quantity in ("memory", "neurons"):
                if self.truth is None or UNKNOWN in self.truth:
                    self.findings.append(alone(claim))
                    continue
                right = prod(self.truth)
            shown = (
                f"{'*'.join(map(str, (*self.truth[2:], self.truth[1])))} = {written(right)}"
                if right and self.truth
                else "an input has none"
            )
            also = (4 * right,) if claim.quantity == "memory" else ()
            in_bytes = bool(claim.terms[-1].unit)
            self.findings.append(
                judge_number(claim, Answer(right * (4 if in_bytes else 1), shown, also, in_bytes), (), None, self.habits)
            )

    def _block(self, block: Block) -> None:
        said = block.said
        x, own = self.truth, self.own
        output = next((claim.terms[-1] for claim in block.claims if claim.quantity == "output" and claim.terms[-1].shape), None)
        known = self.truths.match(said, output) if self.truths else None
        if block.sources and not said.branches:
            x, own = self._made(block.sources[0])
        if said.branches or (known is not None and known.op.merges):
            self._merge(block, known)
            return
        if known is not None:
            x = known.x
            own = own if own.error is not None else Own(x)
        elif block.sources:
            pass
        elif self.truths is not None and self.truths.is_branched:
            x, own = None, Own(None)
        x, own = self._inputs(block, x, own, known is not None)
        op = known.op if known is not None else chosen(block, x, own, output)
        if op is None:
            self._unknown(block, output, x, own)
            return
        if known is None:
            params = {claim.terms[-1].value for claim in block.claims if claim.quantity == "params"}
            op = of_1998(said, op, x or own.shape, params) or op
        if known is not None:
            self.findings += self.truths.statement(said, known) if self.truths else []
        elif x is None and said.depth and output is None:
            x = None
        own, x = self._depth(block, op, x, own)
        y = known.y if known is not None else output_of(op, x)
        own_y = Own(output_of(op, own.shape), own.error)
        if y is None and own_y.shape is None and x is None:
            own_y = Own(shape_of(output) if output is not None else None)
            y = own_y.shape
        after = self._outputs(block, op, x, y, own_y)
        self._counts(block, op, x, y, own, after)
        self._remember(op, x, own)
        self._leave(block, y, after)

    def _leave(self, block: Block, y: Shape | None, own: Own) -> None:
        """Go on from this block."""
        self.truth, self.own = y, own
        self.made[id(block)] = (y, own)

    def _made(self, source: Block | None) -> tuple[Shape | None, Own]:
        """Return what an earlier layer made, None being the network's input."""
        return self.began if source is None else self.made.get(id(source), (None, Own(None)))

    def _merge(self, block: Block, known: Known | None) -> None:
        """Judge a merge: what it says comes in, branch by branch, and what comes out."""
        said = block.said
        made = [self._made(source) for source in block.sources]
        error = next((own.error for _, own in made if own.error is not None), None)
        trues = [y for y, _ in made]
        mine = [own.shape for _, own in made]
        claim = Claim(said.line, said.text, "input", (Term(said.text),))
        if said.branches and len(trues) == len(said.branches):
            for sizes, true, own in zip(said.branches, trues, mine, strict=True):
                term = Term("x".join(map(str, sizes)), None, None, "", sizes, "unknown")
                if true is not None and not fits(term, true) and not (own is not None and fits(term, own)):
                    self._add(claim, False, term, true, because=f"that branch makes {crossed(true, term)}", layer=said.name)
        op = known.op if known is not None else next(readings(said, None, None), None)
        y = known.y if known is not None else merged_shape(op, trues)
        after = Own(merged_shape(op, mine), error)
        after = after if after.error is not None and after.shape is not None else Own(y or after.shape, error)
        if op is None or (y is None and after.shape is None):
            self._unknown(block, None, None, Own(None))
            self._leave(block, None, Own(None))
            return
        after = self._outputs(block, op, None, y, after)
        for claim in block.claims:
            if claim.quantity not in ("input", "output", "flat"):
                answered = Answer(0, f"{type(op).__name__} has none") if claim.quantity in ("params", "macs", "weights") else None
                self.findings.append(alone(claim) if answered is None else judge_number(claim, answered, (), None, self.habits))
        self.before_pool = None
        self._leave(block, y, after)

    def _inputs(self, block: Block, x: Shape | None, own: Own, known: bool) -> tuple[Shape | None, Own]:
        """Judge what the block says comes in, and return the shapes to go on with."""
        for claim in block.claims:
            if claim.quantity != "input":
                continue
            term = claim.terms[-1]
            stated = shape_of(term, x)
            if stated is None:
                self.findings.append(unjudged(claim))
            elif x is None and own.shape is None:
                x, own = stated, Own(stated)
            elif x is not None and (fits(term, x) or fits(term, entering_flat(x))):
                self._add(claim, True, term, x)
                own = Own(x)
            elif own.shape is not None and (fits(term, own.shape) or fits(term, entering_flat(own.shape))):
                self._add(claim, True, term, x, carried=own.error)
            elif not known and self._starts_again(block, stated, x, own):
                because = f"no layer on the page makes {crossed(stated, term)} of {crossed(x or stated, term)}"
                self.findings.append(verdict(claim, "unread", layer=block.said.name, found=plain(term), because=because))
                x, own = stated, Own(stated)
            else:
                told = x if x is not None else own.shape
                assert told is not None
                self._add(claim, False, term, told, because=f"the layer before makes {crossed(told, term)}", layer=block.said.name)
                own = Own(stated, claim.line)
        return x, own

    def _starts_again(self, block: Block, stated: Shape, x: Shape | None, own: Own) -> bool:
        """Whether what the block makes follows from the input it states, and not from what the page has made so far."""
        output = next((claim.terms[-1] for claim in block.claims if claim.quantity == "output" and claim.terms[-1].shape), None)
        if output is None or output.shape is None or block.said.op in ("Linear", None):
            return False

        def makes(shape: Shape | None) -> bool:
            op = chosen(block, shape, Own(None), output)
            y = output_of(op, shape) if op is not None else None
            return y is not None and fits(output, y)

        return makes(stated) and not makes(x) and not makes(own.shape)

    def _depth(self, block: Block, op: Op, x: Shape | None, own: Own) -> tuple[Own, Shape | None]:
        """Judge the input channels that a kernel or a listing names."""
        said = block.said
        groups = getattr(op, "groups", 1)
        stated = said.x if said.x is not None else said.depth
        if stated is None:
            return own, x
        if x is None or (len(x) == 4 and x.c == UNKNOWN):
            axes = x.axes if x is not None else (UNKNOWN, UNKNOWN)
            c = stated * (groups if said.x is None else 1)
            shape = Shape((1, c, *axes)) if type(op).__name__ != "Linear" else Shape((1, c))
            return Own(shape, own.error), shape
        seen = entering(op, x).c
        if stated in (seen, seen // groups if said.x is None else seen) or (said.op in ("MaxPool2d", "AvgPool2d") and stated == 1):
            return own, x
        own_seen = entering(op, own.shape).c if own.shape is not None else None
        claim = Claim(said.line, said.text, "depth", (Term(str(stated), Fraction(stated)),))
        if own_seen is not None and stated == own_seen:
            self.findings.append(verdict(claim, "right", layer=said.name, expected=seen, found=stated, carried_from=own.error))
            return own, x
        because = f"the input has {seen:,} {'features' if type(op).__name__ == 'Linear' else 'channels'}, not {stated:,}"
        self.findings.append(verdict(claim, "wrong", layer=said.name, expected=seen // groups, found=stated, because=because))
        shape = own.shape or x
        return Own(
            Shape((1, stated)) if type(op).__name__ == "Linear" else shape.with_axes(stated * groups, shape.axes), said.line
        ), x

    def _outputs(self, block: Block, op: Op, x: Shape | None, y: Shape | None, own: Own) -> Own:
        """Judge what the block says comes out, and return the writer's shape to go on with."""
        after = Own(own.shape if own.error else (y or own.shape), own.error)
        for claim in block.claims:
            if claim.quantity in ("output", "flat"):
                after = self._output(claim, block, op, x, y, after)
        return after

    def _counts(self, block: Block, op: Op, x: Shape | None, y: Shape | None, own: Own, after: Own) -> None:
        """Judge the numbers: parameters, MACs, memory, and what else a layer is said to have."""
        judged: dict[str, tuple[int | None, Claim]] = {}
        for claim in block.claims:
            if claim.quantity in ("input", "output", "flat"):
                continue
            truth = layer_answer(claim, op, x, y, self.habits)
            if truth is not None and claim.quantity == "params" and self._is_listed and type(op).__name__.startswith("BatchNorm"):
                truth = truth._replace(also=(2 * truth.right,))  # Keras prints the running statistics too
            mine = []
            for shape, y_own, line in ((own.shape, after.shape, own.error or after.error), (x, after.shape, after.error)):
                if line is not None and shape is not None and y_own is not None:
                    other = layer_answer(claim, op, shape, y_own, self.habits)
                    if other is not None:
                        mine.append((other, line))
            if truth is None:
                finding = alone(claim)
            else:
                case = Case(op, x, y, truth.right, self.before_pool) if x is not None and y is not None else None
                finding = judge_number(claim, truth, tuple(mine), case, self.habits)
            self.findings.append(of_layer(finding, block.said.name))
            judged.setdefault(claim.quantity, (whole(claim.terms[-1]), claim))
        self.parts.append(Part(block.said.name or type(op).__name__, op, x, y, judged, block.shares))

    def _unknown(self, block: Block, output: Term | None, x: Shape | None, own: Own) -> None:
        """A block whose line says too little: its claims are only held against themselves."""
        for claim in block.claims:
            if claim.quantity == "input":
                continue
            self.findings.append(of_layer(alone(claim), block.said.name))
        if block.said.op is None and not any(claim.quantity in ("params", "macs") for claim in block.claims) and output is None:
            return
        shape = shape_of(output) if output is not None else None
        counted = {c.quantity: (whole(c.terms[-1]), c) for c in block.claims}
        self.parts.append(Part(block.said.name or "a layer", None, None, None, counted))
        if (
            shape is not None
            and len(shape) == 4
            and shape.c == UNKNOWN
            and own.shape is not None
            and block.said.op in ("MaxPool2d", "AvgPool2d")
        ):
            shape = shape.with_axes(own.shape.c, shape.axes)
        self._leave(block, shape, Own(shape))

    def _remember(self, op: Op, x: Shape | None, own: Own) -> None:
        """Keep what stood before the last pool, for the slip of flattening there."""
        name = type(op).__name__
        if "Pool" in name:
            self.before_pool = x
        elif name not in ("Flatten", "Dropout", "ReLU", "LocalResponseNorm", "BatchNorm2d"):
            self.before_pool = None
