"""The forward pass: nodes in order, each with its operator's kernels; what autograd writes on its tape while they run."""

from archcalc.analysis.memory.autocast import CASTING, FULL_BYTES, LOWER, PROMOTED, WIDENED
from archcalc.analysis.memory.ledger import Ledger
from archcalc.analysis.memory.plan import AMP_BYTES, Plan
from archcalc.analysis.memory.recipes import OUTPUT, Ready, Recipes
from archcalc.analysis.memory.tape import NOWHERE, SUMMED, Entry, Parameter, Target, Tensor
from archcalc.analysis.memory.trace import FORWARD
from archcalc.graph import Graph, Node
from archcalc.ops import Kept

Parameters = dict[int, dict[str, Parameter]]  # by the node that holds them, and by name


class Stop(Exception):
    """A second run has everything that it is for."""


class Forward:
    """Runs nodes: allocates what their kernels make, lets go of what nothing reads any more, and records what a backward needs.

    ``block`` is the checkpointed block that is run, by number. A second run of one stops with the last entry that wants something;
    ``wanting`` is how many of them are still to come, None in a first run.
    """

    def __init__(
        self, graph: Graph, plan: Plan, ledger: Ledger, parameters: Parameters, *, phase: str = FORWARD, wanting: int | None = None
    ):
        self.graph, self.plan, self.ledger, self.parameters, self.phase = graph, plan, ledger, parameters, phase
        self.recipes = Recipes(graph, plan)
        self.tape: list[Entry] = []
        self.tensors: dict[int, Tensor] = {}  # the output of each node that has run
        self.entries: dict[int, range] = {}  # the tape's, of each node that has run
        self.forgotten: set[int] = set()  # the tape's entries that no gradient will reach
        self.block = NOWHERE
        self.wanting = wanting
        self._amp_bytes = 0 if plan.amp is None else AMP_BYTES[plan.amp]
        self._cached: list[Parameter] = []

    def run(self, index: int) -> None:
        """Run a node; its output stands in ``tensors`` afterwards, with one reference to its storage.

        Raises Stop where a second run has what it is for; then nothing is left of this node.
        """
        node = self.graph.nodes[index]
        self.ledger.at(self.phase, node.name)
        recipe = self.recipes.of(node)
        own = self.parameters[index if node.shares is None else node.shares]
        names = {name: self.tensors[i] for name, i in zip(recipe.inputs, node.inputs, strict=True)}
        wanted = [tensor.entry != NOWHERE for tensor in names.values()]  # whose derivative is wanted, as Kept.wanted_by counts them
        wanted.append(any(parameter.learned for parameter in own.values()))
        for name, parameter in own.items():
            names[name] = Tensor(parameter.storage, parameter.elements, parameter.width, NOWHERE, parameter)
        lowered = self._lower(node, names) if recipe.lowered else []
        if not recipe.kernels:  # the output is the input
            names[OUTPUT] = names[recipe.inputs[0]]
            self.ledger.hold(names[OUTPUT].storage)
        begun: list[Ready] = []
        begin = len(self.tape)
        try:
            for kernel in recipe.kernels:
                begun.append(kernel)
                self._kernel(node, kernel, names, wanted)
        except Stop:
            self._leave(begun, names)
            raise
        finally:
            for storage in lowered:
                self.ledger.drop(storage)
        self.tensors[index] = names[OUTPUT]
        self.entries[index] = range(begin, len(self.tape))

    def release(self, index: int) -> None:
        """Let go of a node's output."""
        self.ledger.drop(self.tensors[index].storage)

    def forget(self, index: int) -> None:
        """Let go of what autograd keeps for a node: no gradient will reach it."""
        places = self.entries.get(index, range(0))  # an input has none
        self.forgotten.update(places)
        for place in places:
            entry = self.tape[place]
            for storage in entry.saved:
                self.ledger.drop(storage)
            self.tape[place] = entry._replace(saved=())

    def cast(self, node: str, tensor: Tensor, width: int) -> Tensor:
        """Return a copy in another type, and write it on the tape where a gradient goes back through it."""
        storage = self.ledger.new("cast", node, tensor.elements * width)
        place = tensor.place
        if not self.plan.train or place == NOWHERE:
            return Tensor(storage, tensor.elements, width)
        target = Target(place, "new", (), False, tensor.elements, tensor.width)
        self.tape.append(Entry(node, (target,), (), tensor.elements * width, False, self.block))
        return Tensor(storage, tensor.elements, width, len(self.tape) - 1)

    def end_autocast(self) -> None:
        """Let go of the casts of parameters."""
        for parameter in self._cached:
            assert parameter.cast is not None
            self.ledger.drop(parameter.cast.storage)
            parameter.cast = None
        self._cached.clear()

    def _kernel(self, node: Node, kernel: Ready, names: dict[str, Tensor], wanted: list[bool]) -> None:
        """Run a kernel: what it makes stands under its names afterwards. Raises Stop if that was the last that is needed."""
        ledger = self.ledger
        reads = [names[name] for name in kernel.reads]
        casts = self._casts(node, kernel.policy, reads) if kernel.policy in CASTING else ()
        widest = max([tensor.width for tensor in reads])
        width = reads[0].width if kernel.norm else FULL_BYTES if kernel.policy == WIDENED else widest
        pairs = zip(reads, kernel.passes, strict=True) if self.plan.train else ()
        places = [tensor.place if passes else NOWHERE for tensor, passes in pairs]  # where gradients go
        recording = places.count(NOWHERE) < len(places)
        stopping = self.wanting == 1 and recording and kernel.wants(wanted)
        if stopping and kernel.early:  # autograd packs what is there already before it runs the kernel, and that is enough
            self._record(node, kernel, reads, places, names, wanted, width)
        else:
            if recording:
                self._make(node, kernel.copies, "saved", width, names)
            if kernel.alias:
                made = reads[0].storage
                ledger.hold(made)
            else:
                made = ledger.new(kernel.label, node.name, kernel.elements * width)
            if kernel.beside:
                running = names.get("running_mean", reads[0])  # a normalisation's own statistics are of this type too
                self._make(node, kernel.beside, "saved" if recording else "scratch", max(widest, running.width), names)
            names[kernel.makes] = output = Tensor(made, kernel.elements, width)
            if recording:
                names[kernel.makes] = output._replace(entry=self._record(node, kernel, reads, places, names, wanted, width))
        for storage in casts:
            ledger.drop(storage)
        if stopping:
            raise Stop
        for name in kernel.drops:
            if name in names:
                ledger.drop(names[name].storage)

    def _make(self, node: Node, tensors: tuple[Kept, ...], label: str, width: int, names: dict[str, Tensor]) -> None:
        """Allocate what a kernel makes besides its output; ``width`` is that of the activations."""
        for tensor in tensors:
            of_one = tensor.width(width)
            names[tensor.what] = Tensor(self.ledger.new(label, node.name, tensor.elements * of_one), tensor.elements, of_one)

    def _record(
        self,
        node: Node,
        kernel: Ready,
        reads: list[Tensor],
        places: list[int | Parameter],
        names: dict[str, Tensor],
        wanted: list[bool],
        width: int,
    ) -> int:
        """Write the kernel on the tape, and hold what it keeps; return the entry's index."""
        targets = []
        for tensor, place, gradient in zip(reads, places, kernel.gradients, strict=True):
            how = gradient.how
            if how == "none" or (place == NOWHERE and not kernel.together):
                continue
            if how == "part" and (node.output[0] == 1 or tensor.elements == kernel.elements):
                how = "view"  # a slice of one image's channels is contiguous
            summed_bytes = 0
            if tensor.width != width and not kernel.norm and kernel.policy != WIDENED:
                # It is reckoned as wide as the output, summed up where it was stretched, then brought to the input's type.
                summed_bytes = tensor.elements * width if how in SUMMED else 0
                how = "stretched" if how in ("new", "stretched") else "sum"
            targets.append(Target(place, how, gradient.work, gradient.turned, tensor.elements, tensor.width, summed_bytes))
        wants = kernel.wants(wanted)
        if self.wanting is not None:
            self.wanting -= wants
        saved = self._kept(kernel, reads, names, wanted) if self.block == NOWHERE else ()
        for storage in saved:
            self.ledger.hold(storage)
        self.tape.append(Entry(node.name, tuple(targets), saved, kernel.elements * width, wants, self.block, kernel.packs))
        return len(self.tape) - 1

    def _kept(self, kernel: Ready, reads: list[Tensor], names: dict[str, Tensor], wanted: list[bool]) -> tuple[int, ...]:
        """Return the storages that autograd keeps for a kernel; parameters are there anyway, but not their casts."""
        as_cast = dict(zip(kernel.reads, reads, strict=True)) if self._amp_bytes else {}
        kept = [(as_cast.get(name) or names[name]).storage for name, by in kernel.keeps if by is None or any(wanted[i] for i in by)]
        if kernel.policy == LOWER and kernel.weighted:
            weight = reads[1]
            if weight.parameter is None and (not kernel.linear or reads[0].entry != NOWHERE):
                kept.append(weight.storage)
        return tuple(kept)

    def _lower(self, node: Node, names: dict[str, Tensor]) -> list[int]:
        """Put casts under all names, and return the storages of those to let go after the operator."""
        tensors = list(names.values())
        passing = self._casts(node, LOWER, tensors)
        names.update(zip(names, tensors, strict=True))
        return passing

    def _casts(self, node: Node, policy: str, reads: list[Tensor]) -> list[int]:
        """Put casts where autocast wants another type, and return the storages of those to let go after the kernel.

        The last argument is cast first, as compilers have it; but those that are promoted are a list, which is cast in its order.
        Casts to 16 bit of parameters that are trained stay until autocast ends, and serve again (``cached_cast`` in
        autocast_mode.cpp).
        """
        lower, places = policy == LOWER, range(len(reads))
        width = self._amp_bytes if lower else FULL_BYTES
        if policy == PROMOTED:
            width = max([tensor.width for tensor in reads])
        passing: list[int] = []
        for number in places if policy == PROMOTED else reversed(places):
            tensor = reads[number]
            if tensor.width == width:
                continue
            parameter = tensor.parameter
            if parameter is not None and parameter.cast is not None:
                reads[number] = parameter.cast
                continue
            cast = reads[number] = self.cast(node.name, tensor, width)
            if parameter is not None and parameter.learned and lower:
                parameter.cast = cast
                self._cached.append(parameter)
            else:
                passing.append(cast.storage)
        return passing

    def _leave(self, kernels: list[Ready], names: dict[str, Tensor]) -> None:
        """Let go of what is left of an operator that is not run to its end; the last of these kernels was the last to run."""
        gone = {name for kernel in kernels[:-1] for name in kernel.drops}
        for kernel in kernels:
            for name in kernel.made:
                if name in names and name not in gone:
                    self.ledger.drop(names[name].storage)
