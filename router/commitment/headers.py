"""What the header of a kept object says of what a destination is compared by."""

import mmap
from collections.abc import Mapping
from contextlib import suppress

from router.commitment.identifiers import (
    IMAGE_KEYS,
    SERIES_RELATED_INSTANCES,
    STUDY_RELATED_INSTANCES,
    values_of,
)
from router.ledger.reconciling import Sent
from router.store import Store
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet

AHEAD = 128 << 10
"""Bytes of an object elsewhere that are read: nearly all headers. Of a longer one nothing is known
from here on, and nothing compared."""
_TAGS = (SERIES_RELATED_INSTANCES, STUDY_RELATED_INSTANCES, *IMAGE_KEYS)


def header_of(store: Store, sent: Sent) -> Mapping[int, str]:
    """These attributes of what was sent; none if its bytes are gone, or cannot be read."""
    if sent.forgotten:
        return {}
    try:
        with store.open(sent.payload_id, ahead=AHEAD) as file:
            if not file.is_local:
                return _read(file.read_at(0, AHEAD), sent)
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            try:
                return _read(content, sent)
            finally:
                # An error on its way up may still have views of it: the last of them unmaps it.
                with suppress(BufferError):
                    content.close()
    except (OSError, ValueError):
        return {}  # deleted meanwhile, or the store is away: the ledger's knowledge has to do


def _read(content: bytes | mmap.mmap, sent: Sent) -> dict[int, str]:
    try:
        data_set = EncodedDataSet.read(
            content, sent.transfer_syntax_uid, offset=sent.data_set_offset
        )
        return values_of(data_set, _TAGS)
    except MalformedDataSet:
        return {}
