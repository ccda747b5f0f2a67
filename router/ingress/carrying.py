"""Carries what was received from the spool into a store elsewhere, many objects at once.

Receiving never waits for it, unless the sender is promised that the store has the object. While
the store is away objects wait here up to a bound; beyond it they are left to a scan of the spool.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from router import metrics
from router.ledger import ReceivedObject
from router.logs import get_logger
from router.store import Bytes, Spool, Store

CARRIERS = 12
"""Objects on their way at once: an upload mostly waits for the other side."""
QUEUE_LIMIT = 20_000
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
SECURE_SECONDS = 20.0
"""How long a sender waits for the store: less than any sender was seen to wait for an answer."""

log = get_logger("ingress")


class _Unreadable(Exception):
    """The disk does not give back what was written to the spool."""


@dataclass(slots=True)
class _Load:
    """One object on its way. `wanted` turns false when its sender was told that it is not kept."""

    received: ReceivedObject
    awaited: bool = False
    wanted: bool = True
    arrived: bool = False
    over: threading.Event = field(default_factory=threading.Event)


class Carriage:
    """Threads that carry. `start`, then `submit` and `secure` from any thread, then `stop`."""

    def __init__(
        self,
        spool: Spool,
        store: Store,
        *,
        carried: Callable[[ReceivedObject], None],
        overflowed: Callable[[ReceivedObject], None],
    ) -> None:
        """`carried` takes what the store has, `overflowed` what does not find a place in line."""
        self._spool = spool
        self._store = store
        self._carried = carried
        self._overflowed = overflowed
        self._line: queue.Queue[_Load | None] = queue.Queue(QUEUE_LIMIT)
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"carrier-{number}", daemon=True)
            for number in range(CARRIERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def submit(self, received: ReceivedObject) -> None:
        """Take note of an object that is durable in the spool. Never waits and never fails."""
        if not self._enqueue(_Load(received), wait=0.0):
            self._overflowed(received)

    def offer(self, received: ReceivedObject, wait: float) -> bool:
        """The same for one that a scan found: False if there is no place within `wait` seconds."""
        return self._enqueue(_Load(received), wait)

    def secure(self, received: ReceivedObject) -> bool:
        """Carry it while the sender waits, SECURE_SECONDS at most; whether the store has it.

        What arrives too late is taken out again, and its file is removed from the spool.
        """
        load = _Load(received, awaited=True)
        if self._enqueue(load, wait=0.0):
            load.over.wait(SECURE_SECONDS)
        with self._mutex:
            if load.arrived:
                return True
            load.wanted = False
        self._spool.store.delete([received.id])
        return False

    def stop(self, timeout: float) -> bool:
        """Carry what waits, then end; whether that was done within `timeout` seconds. What is
        left lies in the spool, and is carried on at the next start."""
        deadline = time.monotonic() + timeout
        self._stopping.set()
        with suppress(queue.Full):
            for _ in self._threads:
                self._line.put(None, timeout=max(0.0, deadline - time.monotonic()))
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._giving_up.set()
        return not any(thread.is_alive() for thread in self._threads)

    def _enqueue(self, load: _Load, wait: float) -> bool:
        try:
            self._line.put(load, block=wait > 0, timeout=wait or None)
        except queue.Full:
            return False
        metrics.SPOOL_WAITING.inc()
        return True

    def _run(self) -> None:
        while not self._giving_up.is_set() and (load := self._line.get()) is not None:
            try:
                self._carry(load)
            finally:
                metrics.SPOOL_WAITING.dec()

    def _carry(self, load: _Load) -> None:
        attempt = 0
        while load.wanted:
            try:
                self._hand_over(load.received.id)
            except _Unreadable as error:
                log.error(
                    "object in the spool cannot be read; it stays there",
                    object_id=load.received.id,
                    reason=str(error),
                )
                load.over.set()
                return
            except OSError as error:
                pause = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                attempt += 1
                log.warning("store away; receiving goes on", reason=error.strerror, attempt=attempt)
                if self._stopping.wait(pause):
                    self._giving_up.set()
                    load.over.set()
                    return
            else:
                self._arrived(load)
                return

    def _hand_over(self, object_id: str) -> None:
        """Put the object into the store; OSError if that does not take it."""
        try:
            self._adopt_or_copy(object_id)
        except FileExistsError:  # what an earlier run had begun: nobody knows of it yet
            self._store.delete([object_id])
            self._adopt_or_copy(object_id)

    def _adopt_or_copy(self, object_id: str) -> None:
        if self._store.adopt(object_id, self._spool.store):
            return
        with self._store.create(object_id) as writer:
            for block in self._spooled(object_id):
                writer.write(block)
            writer.commit()

    def _spooled(self, object_id: str) -> Iterator[Bytes]:
        try:
            with self._spool.store.open(object_id) as file:
                yield from file.blocks(0, file.size)
        except OSError as error:
            raise _Unreadable(error.strerror) from None

    def _arrived(self, load: _Load) -> None:
        with self._mutex:
            load.arrived = load.wanted
        load.over.set()
        if not load.arrived:
            self._take_out(load.received.id)
            return
        age = time.time() - load.received.received_at / 1000
        metrics.CARRY_SECONDS.observe(max(0.0, age))
        if not load.awaited:
            self._carried(load.received)

    def _take_out(self, object_id: str) -> None:
        try:
            self._store.delete([object_id])
        except OSError as error:
            log.warning(
                "object left in the store that its sender was refused",
                object_id=object_id,
                reason=error.strerror,
            )
