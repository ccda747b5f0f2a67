"""What the header of a kept object says of what a destination is compared by."""

from collections.abc import Mapping

from router.commitment.identifiers import (
    IMAGE_KEYS,
    SERIES_RELATED_INSTANCES,
    STUDY_RELATED_INSTANCES,
    values_of,
)
from router.ledger.reconciling import Sent
from router.store import Store, mapped
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Source

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
            with mapped(file) as content:
                return _read(content, sent)
    except (OSError, ValueError):
        return {}  # deleted meanwhile, or the store is away: the ledger's knowledge has to do


def _read(content: Source, sent: Sent) -> dict[int, str]:
    try:
        data_set = EncodedDataSet.read(
            content, sent.transfer_syntax_uid, offset=sent.data_set_offset
        )
        return values_of(data_set, _TAGS)
    except MalformedDataSet:
        return {}
