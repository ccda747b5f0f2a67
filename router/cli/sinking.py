"""What `sink` does with what it receives: counts it, keeps it if told, answers as told.

For trying things out: nothing is flushed to disk before the answer.
"""

import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from router.dicom.commands import CStoreRq
from router.dicom.negotiation import NegotiatedContext
from router.dicom.part10 import FileMeta, encode_file_meta
from router.dicom.reasons import RejectReason
from router.dicom.uids import is_valid_uid
from router.net.connection import Connection
from router.net.storage_scp import serve_storage

_NOT_WRITTEN: Final = 0xA700


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How to answer. Every n-th object, counted over all associations, gets `status`, and every
    n-th the abort; 0 is never. `delay` is in seconds, before each answer."""

    called_ae_title: str | None = None
    reject: RejectReason | None = None
    status: int = 0
    status_every: int = 1
    abort_every: int = 0
    delay: float = 0.0
    into: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What has come so far."""

    objects: int
    bytes: int
    associations: int
    rejected: int
    incomplete: int
    statuses: dict[str, int]
    seconds: float

    @property
    def rate(self) -> float:
        """Objects per second between the first and the last; 0 where that says nothing yet."""
        return self.objects / self.seconds if self.objects > 1 and self.seconds else 0.0


class Sink:
    """Serves connections; `totals` may be asked at any time."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._lock = threading.Lock()
        self._behaviour = behaviour
        self._objects = 0
        self._bytes = 0
        self._associations = 0
        self._rejected = 0
        self._incomplete = 0
        self._statuses: Counter[str] = Counter()
        self._first: float | None = None
        self._last = 0.0

    def serve(self, connection: Connection) -> None:
        """Serve one association to its end."""
        serve_storage(connection, self._receive, refusal=self._refusal)

    def totals(self) -> Totals:
        """What has come so far."""
        with self._lock:
            return Totals(
                objects=self._objects,
                bytes=self._bytes,
                associations=self._associations,
                rejected=self._rejected,
                incomplete=self._incomplete,
                statuses=dict(sorted(self._statuses.items())),
                seconds=self._last - self._first if self._first is not None else 0.0,
            )

    def _refusal(self, connection: Connection) -> RejectReason | None:
        reason = self._behaviour.reject
        title = self._behaviour.called_ae_title
        if reason is None and title not in (None, connection.association.called_ae_title):
            reason = RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED
        with self._lock:
            if reason is None:
                self._associations += 1
            else:
                self._rejected += 1
        return reason

    def _receive(
        self, connection: Connection, context: NegotiatedContext, command: CStoreRq
    ) -> "_Reception":
        if self._first is None:
            self._first = time.monotonic()
        into = self._behaviour.into
        if into is None:
            return _Reception(self, None)
        meta = FileMeta(
            media_storage_sop_class_uid=command.affected_sop_class_uid,
            media_storage_sop_instance_uid=command.affected_sop_instance_uid,
            transfer_syntax_uid=context.transfer_syntax,
            source_ae_title=connection.association.calling_ae_title,
        )
        return _Reception(self, _File(into, meta))

    def count(self, size: int, *, written: bool) -> int | None:
        """One object more: return what to answer, None to abort instead."""
        behaviour = self._behaviour
        if behaviour.delay:
            time.sleep(behaviour.delay)
        with self._lock:
            self._objects += 1
            self._bytes += size
            self._last = time.monotonic()
            aborts = _falls_on(self._objects, behaviour.abort_every)
            status = behaviour.status if _falls_on(self._objects, behaviour.status_every) else 0
            if not written:
                status = _NOT_WRITTEN
            self._statuses["aborted" if aborts else f"{status:04X}"] += 1
        return None if aborts else status

    def count_incomplete(self) -> None:
        """An association ended in the middle of an object."""
        with self._lock:
            self._incomplete += 1


class _Reception:
    """One object (`storage_scp.Reception`)."""

    def __init__(self, sink: Sink, file: "_File | None") -> None:
        self._sink = sink
        self._file = file
        self._size = 0

    def write(self, fragment: memoryview) -> None:
        self._size += len(fragment)
        if self._file is not None:
            self._file.write(fragment)

    def finish(self) -> int | None:
        return self._sink.count(self._size, written=self._file is None or self._file.keep())

    def discard(self) -> None:
        if self._file is not None:
            self._file.drop()
        self._sink.count_incomplete()


class _File:
    """A Part 10 file under the name of its instance; under another name until it is whole."""

    def __init__(self, folder: Path, meta: FileMeta) -> None:
        uid = meta.media_storage_sop_instance_uid
        # A peer's text becomes a file name: only when it is a UID, which has no slashes.
        name = uid if is_valid_uid(uid) else f"invalid-uid-{time.time_ns()}"
        self._path = folder / f"{name}.dcm"
        self._partial = folder / f".{name}.{threading.get_ident()}.part"
        self._failed = False
        self._fd: int | None = None
        try:
            self._fd = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError:
            self._failed = True
        self.write(memoryview(encode_file_meta(meta)))

    def write(self, data: memoryview) -> None:
        while data and self._fd is not None and not self._failed:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError:
                self._failed = True

    def keep(self) -> bool:
        """Give the file its name; False when it could not be written."""
        if self._failed or self._fd is None:
            self.drop()
            return False
        os.close(self._fd)
        self._fd = None
        os.replace(self._partial, self._path)
        return True

    def drop(self) -> None:
        """Leave nothing behind."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            self._partial.unlink(missing_ok=True)


def _falls_on(number: int, every: int) -> bool:
    return every > 0 and number % every == 0
