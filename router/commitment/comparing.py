"""What a destination shows of an object against what it was sent. Pure, and never sure of more than
both sides say: what one of them leaves out, or what cannot be read for certain, is no difference.
"""

from collections.abc import Collection, Iterable, Mapping

from router.commitment.identifiers import (
    ACCESSION_NUMBER,
    IMAGE_KEYS,
    KEYWORDS,
    PATIENT_ID,
    SOP_CLASS_UID,
    STUDY_KEYS,
    Values,
)
from router.ledger.reconciling import Sent

_LONGEST = 64
"""The ledger keeps no more characters of a value."""


def differences(
    sent: Sent, header: Values, there: Values, ignored: Collection[str] = ()
) -> tuple[str, ...]:
    """Keywords of what differs at IMAGE level. `header`: what the object's own header says, where
    it is still to be had; `ignored`: keywords that are not compared."""
    found = [tag for tag in IMAGE_KEYS if _numbers_differ(header.get(tag, ""), there.get(tag, ""))]
    if _differ(sent.sop_class_uid, there.get(SOP_CLASS_UID, "")):
        found.insert(0, SOP_CLASS_UID)
    return tuple(KEYWORDS[tag] for tag in found if KEYWORDS[tag] not in ignored)


def study_differences(
    sent: Iterable[Sent], there: Values, ignored: Collection[str] = ()
) -> Mapping[int, tuple[str, ...]]:
    """What differs at STUDY level, by the number of the delivery.

    A study is one row at the destination, whatever its objects say: while any of them was sent with
    what it shows, none of them was changed.
    """
    every = list(sent)
    found: dict[int, tuple[str, ...]] = {}
    for tag in STUDY_KEYS:
        shown = there.get(tag, "")
        ours = {one.delivery_id: _of_study(one, tag) for one in every}
        if KEYWORDS[tag] in ignored or not all(_differ(value, shown) for value in ours.values()):
            continue
        for delivery_id in ours:
            found[delivery_id] = (*found.get(delivery_id, ()), KEYWORDS[tag])
    return found


def _of_study(sent: Sent, tag: int) -> str:
    value = {PATIENT_ID: sent.patient_id, ACCESSION_NUMBER: sent.accession_number}[tag]
    return (value or "").strip()


def _differ(ours: str, theirs: str) -> bool:
    if not ours or not theirs or ours == theirs:
        return False
    # Written in another character set, perhaps, or cut off here.
    return ours.isascii() and theirs.isascii() and len(ours) < _LONGEST


def _numbers_differ(ours: str, theirs: str) -> bool:
    try:
        return int(ours) != int(theirs)
    except ValueError:
        return False
