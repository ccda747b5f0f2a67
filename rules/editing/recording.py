"""Original Attributes Sequence (PS3.3 C.12.1.1.9): an edited object says what it was before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rules.encoded.data_set import CHARACTER_SET
from rules.encoded.draft import Draft, EditFailed
from rules.encoded.level import Element
from rules.encoded.values import is_creator
from rules.encoded.writing import Unfit, encode_element, encode_item, encode_value

ORIGINAL_ATTRIBUTES = 0x04000561
LARGEST = 1 << 16
"""Bytes of a previous value that is recorded; bulk data that was removed is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Who changed the object, and when (the clock is the caller's; with an offset from UTC it
    is written, too). `source`: where the previous values came from, if known."""

    when: datetime
    system: str
    source: str = ""
    reason: str = "COERCE"


def record_originals(draft: Draft, recording: Recording, changed: Sequence[int]) -> None:
    """Add an item with the previous values of `changed`; attributes that were absent have none.

    Where the character set changed, they are in the previous one, which the item then names.
    """
    form, entries = draft.level.form, draft.level.entries
    tags = {tag for tag in changed if tag in entries and tag != ORIGINAL_ATTRIBUTES}
    creators = {tag & 0xFFFF0000 | tag >> 8 & 0xFF for tag in tags if tag >> 16 & 1}
    tags |= {tag for tag in creators if tag in entries and is_creator(tag)}
    elements = [Element._make(entries[tag]) for tag in sorted(tags)]
    previous = b"".join(
        bytes(draft.level.source[element.start : element.end])
        for element in elements
        if element.end - element.start <= LARGEST
    )
    if CHARACTER_SET in changed and CHARACTER_SET not in tags:
        # None was named; beyond ASCII, this is what texts were read as.
        previous = encode_element(CHARACTER_SET, "CS", b"ISO_IR 100", form) + previous
    # (0400,0550) to (0400,0565) in ascending order
    body = encode_element(0x04000550, "SQ", encode_item(previous, form), form)
    texts = (
        (0x04000562, "DT", recording.when.strftime("%Y%m%d%H%M%S.%f%z")),
        (0x04000563, "LO", recording.system),
        (0x04000564, "LO", recording.source),
        (0x04000565, "CS", recording.reason),
    )
    try:
        for tag, vr, text in texts:
            body += encode_element(tag, vr, encode_value(vr, text, form, draft.charset), form)
    except Unfit as unfit:
        raise EditFailed(f"the edit cannot be recorded: {unfit}") from None
    draft.append(ORIGINAL_ATTRIBUTES, body)
