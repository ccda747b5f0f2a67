"""The restart scan: whatever lies in the spool and not in the ledger is taken in again.

Only buckets from the last checkpoint on are looked at. A file without a valid completion mark was
never acknowledged: its sender knows that and sends again, so it is removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from router import metrics
from router.dicom.errors import Part10Error
from router.dicom.part10 import FileMeta, read_file_meta
from router.dicom.uids import PRIVATE_INFORMATION_CREATOR
from router.ingress.completion import PREAMBLE_LENGTH, Completion, is_whole, read_mark
from router.ledger import Ledger, ReceivedObject, objects
from router.logs import get_logger
from router.store import Spool, Store

_HEAD = 64 << 10
"""Bytes read for the file meta: ours takes less than 2 KiB."""

log = get_logger("ingress")


def scan(
    ledger: Ledger, spool: Spool, *, node: str, size: int, apart: bool = False
) -> Iterator[list[ReceivedObject]]:
    """Yield batches of at most `size` objects that the ledger has not got.

    Objects that are being received while this runs are left alone. `apart`: the store is
    elsewhere, so that files whose object the ledger knows are left-overs and are removed.
    Raises LedgerUnavailable.
    """
    with ledger.read() as connection:
        since = objects.checkpoint(connection, node) or ""
    batch: list[ReceivedObject] = []
    for bucket in sorted(spool.store.buckets()):
        if bucket < since:
            continue
        for received in _bucket(ledger, spool, bucket, apart):
            batch.append(received)
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


def _bucket(ledger: Ledger, spool: Spool, bucket: str, apart: bool) -> Iterator[ReceivedObject]:
    under_way = spool.under_way()
    found = set(spool.store.ids_in(bucket)) - under_way
    if not found:
        return
    with ledger.read() as connection:
        known = objects.known_ids(connection, bucket)
    unknown = found - known
    if apart:
        spool.store.delete(found & known)
    # Asked again after the ledger: what began in between is under way, what ended is known.
    for object_id in sorted(unknown - spool.under_way()):
        received = read_spooled(spool.store, object_id)
        if received is None:
            log.info("incomplete object removed; it was never acknowledged", object_id=object_id)
            metrics.RECOVERED.labels(outcome="incomplete").inc()
            spool.store.delete([object_id])
            continue
        metrics.RECOVERED.labels(outcome="taken_in").inc()
        yield received


def read_spooled(store: Store, object_id: str) -> ReceivedObject | None:
    """What the file says of itself; None if it is not a whole object that was received here."""
    with store.open(object_id) as file:
        head = file.read_at(0, _HEAD)
        completion = read_mark(head[:PREAMBLE_LENGTH])
        if completion is None or not is_whole(file, completion):
            return None
    try:
        meta, _ = read_file_meta(head)
    except Part10Error:
        return None
    if meta.private_information_creator_uid != PRIVATE_INFORMATION_CREATOR:
        return None
    return _received(object_id, meta, completion)


def _received(object_id: str, meta: FileMeta, completion: Completion) -> ReceivedObject:
    private = json.loads(meta.private_information or b"{}")
    return ReceivedObject(
        id=object_id,
        received_at=private["received_at"],
        listener=private["listener"],
        association_id=private["association"],
        peer_address=private["address"],
        calling_ae_title=meta.sending_ae_title or "",
        called_ae_title=meta.receiving_ae_title or "",
        tls_subject=private["tls_subject"],
        sop_class_uid=meta.media_storage_sop_class_uid,
        sop_instance_uid=meta.media_storage_sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        size=completion.data_set_length,
        data_set_offset=completion.data_set_offset,
        checksum=completion.checksum.hex(),
    )
