"""Sends items over several associations at once, and counts what became of them."""

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from router.cli.outbox import Group, Item, Pair
from router.net.data_source import BLOCK_LENGTH
from router.net.errors import DataSourceFailed, NetError
from router.net.requestor import FileSlice, OutgoingAssociation

NOT_TRIED: Final = "not_tried"

# Warnings of C-STORE (PS3.4 B.2.3 and PS3.7 annex C): the object is stored.
_WARNINGS: Final = frozenset({0xB000, 0xB006, 0xB007, 0x0107, 0x0116})
# Associations that end one after another without an object stored: then it is the peer, not them.
_MOST_FAILED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An object that was not stored; `reason` is a bounded word."""

    file: Path
    reason: str
    message: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the objects."""

    sent: int = 0
    warnings: int = 0  # of `sent`
    bytes: int = 0
    associations: int = 0
    failures: list[Failure] = field(default_factory=list)


class _Loaded(NamedTuple):
    """An item ready to be sent: in memory, or its file open where it is long."""

    item: Item
    context_id: int
    data: memoryview | FileSlice

    def close(self) -> Item:
        """Give the file back: once."""
        if isinstance(self.data, FileSlice):
            os.close(self.data.fd)
        return self.item


class _Reader:
    """Reads one item after another into the same memory: each is on its way before the next."""

    def __init__(self) -> None:
        self._memory = memoryview(b"")

    def load(self, item: Item, context_id: int) -> _Loaded:
        """OSError when the file cannot be read as long as it was."""
        size = item.size
        fd = os.open(item.path, os.O_RDONLY | os.O_CLOEXEC)
        if size > BLOCK_LENGTH:
            return _Loaded(item, context_id, FileSlice(fd, item.offset, size))
        if len(self._memory) < size:
            self._memory = memoryview(bytearray(size))
        view = self._memory[:size]
        try:
            if os.preadv(fd, [view], item.offset) < size:
                raise OSError(errno.EIO, "the file is shorter than it was")
        finally:
            os.close(fd)
        return _Loaded(item, context_id, view)


class Sending:
    """Sends groups one after another, the items of each over `width` associations."""

    def __init__(self, open_for: Callable[[Group], OutgoingAssociation], *, width: int = 1) -> None:
        self.tally = Tally()
        self._open_for = open_for
        self._width = width
        self._lock = threading.Lock()
        self._stopping = False
        self._unreached = 0  # associations that failed since the last stored object

    def run(self, groups: Sequence[Group]) -> None:
        """Send everything; returns when all that can be sent is."""
        for group in groups:
            waiting = deque(group.items)
            width = min(self._width, len(waiting))
            threads = [
                threading.Thread(target=self._send_from, args=(group, waiting), daemon=True)
                for _ in range(width)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for item in waiting:
                self._failed(
                    item, NOT_TRIED, "not tried: the peer cannot be reached, or told to stop"
                )

    def stop(self) -> None:
        """From any thread: begin no further object."""
        self._stopping = True

    def _send_from(self, group: Group, waiting: deque[Item]) -> None:
        while waiting and not self._stopping and self._unreached < _MOST_FAILED:
            try:
                association = self._open_for(group)
            except NetError as error:
                self._failed(_first(waiting), error.reason, str(error))
                self._unreached += 1
                continue
            with self._lock:
                self.tally.associations += 1
            self._use(association, waiting)

    def _use(self, association: OutgoingAssociation, waiting: deque[Item]) -> None:
        """Send over one association until nothing waits, or it ends."""
        contexts = {
            (context.abstract_syntax, context.transfer_syntax): context.context_id
            for context in association.contexts.values()
        }
        reader = _Reader()
        loaded = self._load_next(contexts, waiting, reader)
        while loaded is not None:
            upcoming: list[_Loaded | None] = []

            def load_next(to: list[_Loaded | None] = upcoming) -> None:
                to.append(self._load_next(contexts, waiting, reader))

            ended = self._send(association, loaded, load_next)
            if ended:
                waiting.extendleft(one.close() for one in upcoming if one is not None)
                return
            (loaded,) = upcoming
        association.release()

    def _load_next(
        self, contexts: Mapping[Pair, int], waiting: deque[Item], reader: _Reader
    ) -> _Loaded | None:
        """The next item that an association with these contexts can send."""
        while not self._stopping and (item := _first(waiting)) is not None:
            context_id = contexts.get(item.pair)
            if context_id is None:
                words = f"the peer does not take {' in '.join(item.pair)}"
                self._failed(item, "context_refused", words)
                continue
            try:
                return reader.load(item, context_id)
            except OSError as error:
                self._failed(item, "unreadable", error.strerror or "cannot be read")
        return None

    def _send(
        self, association: OutgoingAssociation, loaded: _Loaded, meanwhile: Callable[[], None]
    ) -> bool:
        """Send one object, and do something `meanwhile` the peer is busy with it; whether the
        association has ended with it."""
        item = loaded.item
        try:
            response = association.store(
                loaded.context_id,
                sop_class_uid=item.sop_class_uid,
                sop_instance_uid=item.sop_instance_uid,
                data=loaded.data,
                meanwhile=meanwhile,
            )
        except NetError as error:
            self._failed(item, error.reason, str(error))
            if not isinstance(error, DataSourceFailed):
                self._unreached += 1
            return True
        finally:
            loaded.close()
        self._answered(item, response.status, response.error_comment)
        return False

    def _answered(self, item: Item, status: int, comment: str | None) -> None:
        self._unreached = 0
        if status and status not in _WARNINGS:
            words = f"status {status:04X}" + (f": {comment}" if comment else "")
            self._failed(item, f"status_{status:04X}", words)
            return
        with self._lock:
            self.tally.sent += 1
            self.tally.warnings += status != 0
            self.tally.bytes += item.size

    def _failed(self, item: Item | None, reason: str, message: str) -> None:
        if item is not None:
            with self._lock:
                self.tally.failures.append(Failure(file=item.path, reason=reason, message=message))


def _first(waiting: deque[Item]) -> Item | None:
    """Take the next item; another thread may have been quicker."""
    try:
        return waiting.popleft()
    except IndexError:
        return None
