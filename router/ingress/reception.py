"""The reception of one object: bytes into the spool, a completion mark, and durable.

The file meta carries what only the network knew (PS3.10 7.1: the AE titles in (0002,0017) and
(0002,0018), the rest in our private information element), so that the file describes itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import xxhash

from router import metrics
from router.dicom.part10 import FileMeta, FileMetaForm
from router.dicom.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    PRIVATE_INFORMATION_CREATOR,
)
from router.ingress.answers import Answer
from router.ingress.completion import Completion, encode_mark
from router.ingress.head_check import HeadCheck
from router.ledger import ReceivedObject
from router.store import Bytes, Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where an object came from: what the association knew of its sender."""

    listener: str
    association_id: str
    peer_address: str
    calling_ae_title: str
    called_ae_title: str
    tls_subject: str | None = None
    user: str | None = None


class Reception:
    """One object on its way in. `finish` makes it durable; `discard` leaves nothing behind."""

    def __init__(
        self,
        spool: Spool,
        provenance: Provenance,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
    ) -> None:
        """Open the file. OSError if there is no room or no right to."""
        self._provenance = provenance
        self._spool = spool
        self._sop_class_uid = sop_class_uid
        self._sop_instance_uid = sop_instance_uid
        self._transfer_syntax_uid = transfer_syntax_uid
        self._received_at = time.time_ns() // 1_000_000
        self._started = time.monotonic()
        self._digest = xxhash.xxh3_128()
        self._head_check = HeadCheck(
            transfer_syntax_uid=transfer_syntax_uid,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
        )
        self.size = 0
        self._marked = False
        self.object_id, self._writer = spool.begin()
        form, told = _meta_of(provenance, sop_class_uid, transfer_syntax_uid)
        told += b"%d}" % self._received_at
        self._head: bytes | None = form.encode(sop_instance_uid, told)
        self._data_set_offset = len(self._head)

    def check_head(self, fragments: Sequence[memoryview], *, last: bool) -> Answer | None:
        """A refusal if the first bytes contradict the command that announced them."""
        return self._head_check.look(fragments, last=last)

    def write(self, fragments: Sequence[memoryview], *, last: bool = False) -> None:
        """Append data-set bytes, `last` ones or not. OSError when the disk does not take them."""
        for fragment in fragments:
            self._digest.update(fragment)
            self.size += len(fragment)
        head, self._head = self._head, None
        if head is None:
            self._writer.writev(fragments)
            return
        pieces: list[Bytes] = [head, *fragments]
        if last:
            # All at once: the mark promises the bytes by their checksum, not by its own time.
            mark = self._mark()
            pieces[:1] = [mark, head[len(mark) :]]
            self._marked = True
        self._writer.writev(pieces)

    def _mark(self) -> bytes:
        return encode_mark(
            Completion(
                data_set_offset=self._data_set_offset,
                data_set_length=self.size,
                checksum=self._digest.digest(),
            )
        )

    def finish(self, *, sync: bool) -> ReceivedObject:
        """Mark the file as whole and flush it; with `sync` false it may die with the machine."""
        if self._head is not None:
            self.write((), last=True)
        if not self._marked:
            self._writer.write_at(0, self._mark())
        written = time.monotonic()
        self._writer.commit(sync=sync)
        durable = time.monotonic()
        metrics.RECEIVE_SECONDS.observe(written - self._started)
        metrics.DURABLE_SECONDS.observe(durable - written)
        return self._received()

    def _received(self) -> ReceivedObject:
        provenance = self._provenance
        return ReceivedObject(
            id=self.object_id,
            received_at=self._received_at,
            listener=provenance.listener,
            association_id=provenance.association_id,
            peer_address=provenance.peer_address,
            calling_ae_title=provenance.calling_ae_title,
            called_ae_title=provenance.called_ae_title,
            tls_subject=provenance.tls_subject,
            sop_class_uid=self._sop_class_uid,
            sop_instance_uid=self._sop_instance_uid,
            transfer_syntax_uid=self._transfer_syntax_uid,
            size=self.size,
            data_set_offset=self._data_set_offset,
            checksum=self._digest.hexdigest(),
        )

    def discard(self) -> None:
        """Remove what was written: the object was never acknowledged."""
        self._writer.abort()
        self._spool.settled([self.object_id])


@lru_cache(maxsize=1024)
def _meta_of(
    provenance: Provenance, sop_class_uid: str, transfer_syntax_uid: str
) -> tuple[FileMetaForm, bytes]:
    """The file meta of an association's objects, and what its private information says of them up
    to the time of each."""
    meta = FileMeta(
        media_storage_sop_class_uid=sop_class_uid,
        media_storage_sop_instance_uid="",
        transfer_syntax_uid=transfer_syntax_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        sending_ae_title=provenance.calling_ae_title,
        receiving_ae_title=provenance.called_ae_title,
        private_information_creator_uid=PRIVATE_INFORMATION_CREATOR,
    )
    told = {
        "listener": provenance.listener,
        "association": provenance.association_id,
        "address": provenance.peer_address,
        "tls_subject": provenance.tls_subject,
        **({"user": provenance.user} if provenance.user else {}),
        "received_at": 0,
    }
    private_information = json.dumps(told, separators=(",", ":")).encode()
    return FileMetaForm(meta), private_information.removesuffix(b"0}")
