"""Who an object is of, told apart without saying it: pseudonyms, UIDs and shifts under a key.

The functions are those of the edits `hash`, `new_uid` and `shift_dates`: the same key makes the
same of the same value there and here, in every process, without a database.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom._uid_dict import UID_dictionary

from rules.editing.keyed import DICOM_ROOT, days_back, new_uid, pseudonym
from rules.encoded.draft import Draft, EditFailed
from rules.resources import Key
from rules.tags import Tag
from rules.uids import is_uid

PATIENT_ID = Tag(0x0010, 0x0020)
STUDY_INSTANCE_UID = Tag(0x0020, 0x000D)
SOP_INSTANCE_UID = Tag(0x0008, 0x0018)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Of one object's patient; `length`: characters of a pseudonym. `days` are negative."""

    key: Key
    length: int
    patient: str
    days: int

    @classmethod
    def of(cls, draft: Draft, key: Key, *, length: int, within: int) -> Identity:
        """By the Patient ID; where there is none, dates are moved by study. EditFailed where
        the key's secret is not at hand, or the object says nothing about itself."""
        who = patient = _first(draft, PATIENT_ID)
        for tag in (STUDY_INSTANCE_UID, SOP_INSTANCE_UID):
            who = who or _first(draft, tag)
        if not who:
            raise EditFailed("the object has no SOPInstanceUID")
        days = days_back(key, who, within)
        stands_for = pseudonym(key, patient, length) if patient else ""
        return cls(key=key, length=length, patient=stands_for, days=days)

    def pseudonym(self, value: str) -> str:
        return pseudonym(self.key, value, self.length)

    def uid(self, value: str) -> str:
        return uid_in_place_of(self.key, value)


def uid_in_place_of(key: Key, value: str) -> str:
    """What stands for a UID under the key; one that DICOM defines stays, and what only looks like
    one does not pass as one."""
    false = value.startswith(DICOM_ROOT) and value not in UID_dictionary
    return new_uid(key, f"?{value}" if false or not is_uid(value) else value)


def _first(draft: Draft, tag: Tag) -> str:
    try:
        values = draft.values(tag)
    except EditFailed:
        return ""
    return "\\".join(values).strip() if values else ""
