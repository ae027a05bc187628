"""The life of every storage while a network runs: what is allocated and released, in order, and where most of it lives at once."""

from typing import NamedTuple

START, FORWARD, BACKWARD, STEP = "start", "forward", "backward", "step"


class Storage(NamedTuple):
    """A piece of memory that tensors look into.

    ``what`` it is for: parameter, buffer, input, target, output, saved, gradient, parameter gradient, optimizer state, scratch,
    cast or loss; ``node`` is the layer that made it (the one that holds it, for parameters and what belongs to them).
    """

    what: str
    node: str
    bytes: int


class Moment(NamedTuple):
    """While what happens: the phase (start, forward, backward or step) and the layer at work in it, empty where none is."""

    phase: str
    node: str


Event = tuple[int, int, int]  # at which moment, by index; of which storage, by index; +1 it is allocated, -1 it is released


class Trace(NamedTuple):
    """The run in full: events in order, with the moments and storages that they name by index."""

    moments: tuple[Moment, ...]
    storages: tuple[Storage, ...]
    events: tuple[Event, ...]


class Peak(NamedTuple):
    """Where most bytes live at once, the first time: how many, at which moment, and the storages that live there, oldest first."""

    bytes: int
    moment: Moment
    live: tuple[Storage, ...]


def peak(trace: Trace) -> Peak:
    """Return the largest number of bytes that live at once, when that is, and what lives then."""
    sizes = [storage.bytes for storage in trace.storages]
    live = most = last = 0
    for place, (_, storage, change) in enumerate(trace.events):
        live += change * sizes[storage]
        if live > most:
            most, last = live, place
    there: dict[int, None] = {}
    for _, storage, change in trace.events[: last + 1]:
        if change > 0:
            there[storage] = None
        else:
            del there[storage]
    moment = trace.moments[trace.events[last][0]] if trace.events else Moment(START, "")
    return Peak(most, moment, tuple([trace.storages[storage] for storage in there]))


def curve(trace: Trace) -> list[int]:
    """Return, for each moment, the largest number of bytes that live at once during it."""
    sizes = [storage.bytes for storage in trace.storages]
    most: list[int] = []
    live = 0
    for moment, storage, change in trace.events:
        while len(most) <= moment:
            most.append(live)  # what is alive when the moment begins
        live += change * sizes[storage]
        most[moment] = max(most[moment], live)
    return most + [live] * (len(trace.moments) - len(most))
