"""The book of storages: who made which, how many tensors look into it, and when it came and went."""

from archcalc.analysis.memory.trace import Event, Moment, Storage, Trace


class Ledger:
    """Allocates a storage, counts what refers to it, and releases it with the last reference; writes down every change."""

    def __init__(self) -> None:
        self.storages: list[Storage] = []
        self.references: list[int] = []
        self.events: list[Event] = []
        self.moments: list[Moment] = []
        self.moment = -1

    def at(self, phase: str, node: str) -> None:
        """Begin a moment: what follows happens in it."""
        self.moments.append(Moment(phase, node))
        self.moment += 1

    def new(self, what: str, node: str, size: int) -> int:
        """Allocate a storage of so many bytes, and return its index; the caller holds the first reference."""
        index = len(self.storages)
        self.storages.append(Storage(what, node, size))
        self.references.append(1)
        self.events.append((self.moment, index, 1))
        return index

    def hold(self, storage: int) -> None:
        """Count one more reference."""
        self.references[storage] += 1

    def drop(self, storage: int) -> None:
        """Give back a reference; the storage goes with the last."""
        left = self.references[storage] = self.references[storage] - 1
        if not left:
            self.events.append((self.moment, storage, -1))

    def trace(self) -> Trace:
        """Return what was written down."""
        return Trace(tuple(self.moments), tuple(self.storages), tuple(self.events))
