"""Delivers into a folder: Part 10 files that are whole or not there at all.

A file is written under a temporary name in its own folder, flushed, renamed; the folder is
flushed before the delivery counts. Its meta is fresh: nothing of what the spool noted about the
network leaves. The bytes pass through our hands, so their checksum is compared on the way.
"""

import errno
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import xxhash

from router.config import FolderDestination
from router.dicom.part10 import FileMeta, encode_file_meta
from router.egress import outcomes, payloads
from router.egress.attempts import Attempt
from router.egress.layout import Layout
from router.egress.outcomes import Outcome
from router.egress.payloads import Payload, PayloadUnusable
from router.ledger import LeasedDelivery
from router.store import Bytes, Store
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.tags import AttributePath

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_SOP_INSTANCE_UID = "SOPInstanceUID"


class FolderChannel:
    """The way into one folder, for one drain."""

    def __init__(self, settings: FolderDestination, store: Store) -> None:
        self._root = settings.path
        self._layout = Layout(settings.layout)
        self._store = store
        self._lock = threading.Lock()
        self._dirty: set[Path] = set()

    def expect(self, deliveries: Sequence[LeasedDelivery]) -> None:
        """Nothing is negotiated with a folder."""

    def deliver(self, delivery: LeasedDelivery) -> Attempt:
        try:
            with payloads.opened(self._store, delivery) as payload:
                path = self._path_of(delivery, payload)
                self._write(path, delivery, payload)
        except PayloadUnusable as unusable:
            return Attempt(outcome=unusable.outcome, retry_soon=unusable.away)
        except OSError as error:
            well = os.access(self._root, os.W_OK | os.X_OK)
            outcome = outcomes.of_file_error(error, folder_is_well=well)
            return Attempt(outcome=outcome, answered=True)
        return Attempt(outcome=outcomes.delivered("written", "written"), answered=True)

    def healthy(self) -> bool:
        return self._root.is_dir()

    def settle(self) -> Outcome | None:
        """Flush the folders that got new names, each once for many files."""
        with self._lock:
            dirty, self._dirty = self._dirty, set()
        try:
            for folder in dirty:
                _sync(folder)
        except OSError as error:
            return outcomes.of_file_error(error)
        return None

    def close(self) -> None:
        """Nothing is kept open."""

    def _path_of(self, delivery: LeasedDelivery, payload: Payload) -> Path:
        with _attributes(delivery, payload) as attributes:

            def value_of(path: AttributePath) -> str | None:
                if str(path) == _SOP_INSTANCE_UID:
                    return delivery.sop_instance_uid
                try:
                    values = attributes.values(path) if attributes is not None else None
                except MalformedDataSet:
                    return None
                return "\\".join(values) if values else None

            return self._root.joinpath(*self._layout.names(value_of))

    def _write(self, path: Path, delivery: LeasedDelivery, payload: Payload) -> None:
        folder = path.parent
        self._refuse_link_out(folder)
        # The name is the delivery's own: what a crash left behind is overwritten by the retry.
        temporary = folder / f".{delivery.payload_id}-{delivery.id}.part"
        try:
            fd = os.open(temporary, _NEW, 0o640)
        except FileNotFoundError:
            self._make(folder)
            fd = os.open(temporary, _NEW, 0o640)
        try:
            try:
                _fill(fd, delivery, payload)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        with self._lock:
            self._dirty.add(folder)

    def _refuse_link_out(self, folder: Path) -> None:
        """Others may write to the folder, too: no link that they leave there leads us elsewhere."""
        real = os.path.realpath(folder)
        root = os.path.realpath(self._root)
        if real != root and not real.startswith(root.rstrip(os.sep) + os.sep):
            raise OSError(errno.ELOOP, "a link leads out of the folder")

    def _make(self, folder: Path) -> None:
        missing = [folder]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        for made in reversed(missing):  # os.makedirs would open all but the last to everybody
            with suppress(FileExistsError):
                os.mkdir(made, mode=0o750)
        with self._lock:
            self._dirty.update(made.parent for made in missing)


@contextmanager
def _attributes(delivery: LeasedDelivery, payload: Payload) -> Iterator[EncodedDataSet | None]:
    # Mapped, since of a large object only the header's pages are ever touched.
    with mmap.mmap(payload.file.fd, 0, prot=mmap.PROT_READ) as mapped:
        try:
            attributes = EncodedDataSet.read(
                mapped, delivery.transfer_syntax_uid, delivery.data_set_offset
            )
        except MalformedDataSet:
            yield None
            return
        yield attributes


def _fill(fd: int, delivery: LeasedDelivery, payload: Payload) -> None:
    meta = FileMeta(
        media_storage_sop_class_uid=delivery.sop_class_uid,
        media_storage_sop_instance_uid=delivery.sop_instance_uid,
        transfer_syntax_uid=delivery.transfer_syntax_uid,
    )
    _write_all(fd, encode_file_meta(meta))
    digest = xxhash.xxh3_128()
    for block in payloads.blocks(payload):
        digest.update(block)
        _write_all(fd, block)
    if digest.hexdigest() != delivery.checksum:
        raise payloads.damaged()


def _write_all(fd: int, data: Bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
