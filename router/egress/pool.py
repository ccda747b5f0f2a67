"""Associations kept open between drains: a window, an idle time and a reuse limit for each.

`plan` decides and touches nothing; the pool holds its lock for the decision only and closes
outside of it. Of one destination, lent and idle associations together never exceed its window.
What a process remembers of a destination between drains is kept here too.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from router import metrics
from router.dicom.commands import CStoreRsp
from router.egress.bell import Bell
from router.egress.contexts import MOST_CONTEXTS, Negotiated, Pair
from router.egress.suspects import Suspects
from router.net.data_source import DataSource, Pace

Key: TypeAlias = tuple[str, Hashable]
"""A destination's name, and the settings its associations were opened for."""

CLOSE_SECONDS = 5.0
"""How long the end of a process may wait for peers to answer its release requests."""


class OpenAssociation(Protocol):
    """What egress asks of an association (`router.net` has the real one)."""

    @property
    def messages_sent(self) -> int: ...
    def alive(self) -> bool: ...
    def store(
        self,
        context_id: int,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        data: DataSource,
        pace: Pace | None = None,
    ) -> CStoreRsp: ...
    def release(self) -> None: ...
    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How many associations of one destination, and how long each is kept. Seconds."""

    window: int
    idle: float
    reuse: int


@dataclass(slots=True, eq=False, kw_only=True)
class Line:
    """One open association, and what its peer takes on it."""

    id: str
    association: OpenAssociation
    negotiated: Negotiated
    keep: Keep
    idle_since: float | None = None  # None: lent

    @property
    def worn(self) -> bool:
        """Whether it has carried as many objects as it may."""
        return self.association.messages_sent >= self.keep.reuse

    def expired(self, now: float) -> bool:
        return self.idle_since is not None and now - self.idle_since >= self.keep.idle


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which idle line to use, or whether one may be opened; and which to close first."""

    use: Line | None = None
    close: tuple[Line, ...] = ()
    may_open: bool = False


def plan(
    idle: Sequence[Line], lent: int, keep: Keep, now: float, suits: Callable[[Line], bool]
) -> Plan:
    """Serve one drain. Three cases: a kept line suits; there is room for a new one, perhaps
    once idle ones are closed (longest idle first); or all the window is lent."""
    expired = tuple(line for line in idle if line.expired(now))
    fresh = sorted((line for line in idle if not line.expired(now)), key=_idle_since)
    for line in reversed(fresh):
        if suits(line):
            return Plan(use=line, close=expired)
    if lent >= keep.window:
        return Plan(close=expired)
    excess = max(0, lent + len(fresh) + 1 - keep.window)
    return Plan(close=expired + tuple(fresh[:excess]), may_open=True)


class WindowFull(Exception):
    """As many associations as the destination may have are at work already."""


class Memory:
    """What one process remembers of a destination between drains."""

    def __init__(self) -> None:
        self.suspects = Suspects()
        self.bell = Bell()
        self._pairs: dict[Pair, None] = {}
        self._lock = threading.Lock()

    def remember(self, pairs: Iterable[Pair]) -> None:
        """These were wanted just now: propose them on the next association too."""
        with self._lock:
            for pair in pairs:
                self._pairs.pop(pair, None)
                self._pairs[pair] = None
            while len(self._pairs) > MOST_CONTEXTS:
                del self._pairs[next(iter(self._pairs))]

    def recent_pairs(self) -> tuple[Pair, ...]:
        """Pairs wanted lately, the latest first."""
        with self._lock:
            return tuple(reversed(self._pairs))


@dataclass(slots=True)
class _Shelf:
    idle: list[Line] = field(default_factory=list)
    lent: int = 0  # places in the window: lines at work, and lines about to be opened
    at_work: int = 0


class Pool:
    """The kept-open associations of one process. Safe to use from many threads.

    A destination that is configured anew does not get associations of its old settings: they
    have another key.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, keeps: bool = True) -> None:
        """Without `keeps` a line is released when its drain ends: where several processes serve a
        destination, its limit counts for all of them together, and an idle line has no slot."""
        self._clock = clock
        self._keeps = keeps
        self._lock = threading.Lock()
        self._shelves: defaultdict[Key, _Shelf] = defaultdict(_Shelf)
        self._memories: defaultdict[str, Memory] = defaultdict(Memory)
        self._closed = False

    def memory(self, name: str) -> Memory:
        with self._lock:
            return self._memories[name]

    def borrow(self, key: Key, keep: Keep, suits: Callable[[Line], bool]) -> Line | None:
        """A kept line that suits and whose peer has not closed it.

        None: the caller may open one, its place is taken; `opened` or `not_opened` follows.
        Whoever has a line ends with `give` or `drop`. WindowFull: nothing was taken.
        """
        while True:
            with self._lock:
                shelf = self._shelves[key]
                decision = plan(shelf.idle, shelf.lent, keep, self._clock(), suits)
                gone = (*decision.close, decision.use)
                shelf.idle = [line for line in shelf.idle if line not in gone]
                if decision.use is not None or decision.may_open:
                    shelf.lent += 1
                    shelf.at_work += decision.use is not None
                self._show(key[0])
            for line in decision.close:
                line.association.release()
            if decision.use is None:
                if not decision.may_open:
                    raise WindowFull
                return None
            if decision.use.association.alive():
                decision.use.idle_since = None
                return decision.use
            decision.use.association.abort()
            self.drop(key)

    def opened(self, key: Key) -> None:
        """The line that `borrow` made room for is open and at work."""
        with self._lock:
            self._shelves[key].at_work += 1
            self._show(key[0])

    def not_opened(self, key: Key) -> None:
        """The line that `borrow` made room for could not be had: its place is free."""
        with self._lock:
            self._shelves[key].lent -= 1

    def give(self, key: Key, line: Line) -> None:
        """Return a line that is in order; it is kept, or released if it is worn."""
        keeps = self._keeps and not line.worn and line.keep.idle > 0 and line.association.alive()
        with self._lock:
            self._leave(key)
            keeps = keeps and not self._closed
            if keeps:
                line.idle_since = self._clock()
                self._shelves[key].idle.append(line)
            self._show(key[0])
        if not keeps:
            line.association.release()

    def drop(self, key: Key) -> None:
        """A line at work has ended: its place is free."""
        with self._lock:
            self._leave(key)
            self._show(key[0])

    def at_work(self, key: Key) -> int:
        """How many lines are open and lent."""
        with self._lock:
            return self._shelves[key].at_work

    def _leave(self, key: Key) -> None:
        shelf = self._shelves[key]
        shelf.lent -= 1
        shelf.at_work -= 1

    def reap(self, now: float) -> int:
        """Release what has been idle too long; how many. Does not wait for the peers."""
        expired = self._take_idle(lambda _, line: line.expired(now))
        for line in expired:
            _aside(line.association.release)
        return len(expired)

    def forget(self, key: Key) -> None:
        """The idle lines of this destination are not to be trusted: abort them."""
        for line in self._take_idle(lambda of, _: of == key):
            _aside(line.association.abort)

    def close(self) -> None:
        """Keep nothing any more; waits a little for the peers to agree."""
        with self._lock:
            self._closed = True
        deadline = time.monotonic() + CLOSE_SECONDS
        idle = self._take_idle(lambda _, line: True)
        threads = [_aside(line.association.release) for line in idle]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def __repr__(self) -> str:
        with self._lock:
            idle = sum(len(shelf.idle) for shelf in self._shelves.values())
            lent = sum(shelf.lent for shelf in self._shelves.values())
        return f"<Pool: {idle} idle, {lent} lent>"

    def _take_idle(self, wanted: Callable[[Key, Line], bool]) -> list[Line]:
        taken: list[Line] = []
        with self._lock:
            for key, shelf in list(self._shelves.items()):
                taken += [line for line in shelf.idle if wanted(key, line)]
                shelf.idle = [line for line in shelf.idle if not wanted(key, line)]
                if not shelf.idle and not shelf.lent:
                    del self._shelves[key]
                self._show(key[0])
        return taken

    def _show(self, name: str) -> None:
        shelves = [shelf for key, shelf in self._shelves.items() if key[0] == name]
        count = sum(len(shelf.idle) + shelf.at_work for shelf in shelves)
        metrics.DESTINATION_ASSOCIATIONS_OPEN.labels(name).set(count)


def _idle_since(line: Line) -> float:
    return line.idle_since or 0.0


def _aside(end: Callable[[], None]) -> threading.Thread:
    # In a thread of its own: a peer that does not answer a release must not delay the others'.
    thread = threading.Thread(target=end, name="release", daemon=True)
    thread.start()
    return thread
