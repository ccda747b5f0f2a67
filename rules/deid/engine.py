"""De-identifies a draft by a profile: every attribute at every level, by the row of the table.

What cannot be made safe, read or understood raises, and the object is held: nothing is sent that
the engine did not go through to its last byte.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from enum import Enum
from functools import lru_cache

from rules.deid.actions import CLEANABLE, TEMPORAL, TEXT_VALUE, Plan, is_cleanable, resolved
from rules.deid.cleaning import Vocabulary
from rules.deid.dummies import dummy
from rules.deid.gathering import gathered
from rules.deid.identity import PATIENT_ID, Identity
from rules.deid.profile import PSEUDONYM_LENGTH, Profile
from rules.deid.refusing import dangers_of
from rules.deid.sparing import Spared
from rules.deid.stamping import STAMPS, stamp
from rules.deid.table import Option, row_of, safe_private
from rules.editing.schema import Edit
from rules.editing.shifting import NoDate, shifted
from rules.encoded.draft import Draft, EditFailed, Value
from rules.encoded.level import PIXELS
from rules.encoded.values import NUMBERS, TEXT, is_creator
from rules.tags import Tag

SOP_CLASS_UID = Tag(0x0008, 0x0016)
PATIENT_NAME = 0x00100010
PURPOSE_OF_REFERENCE = 0x0040A170
_ITEMS = frozenset({b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"})
_CODES_THAT_STAY = frozenset({"AT", "CS"})
_OFFSETS = frozenset({0x7FE00001, 0x7FE00002})
_PIXEL_DATA = frozenset(range(PIXELS, PIXELS + 9)) | _OFFSETS | {0x7FE00003}

Told = Callable[[Draft, int, str, str], None]
"""Is told of every attribute: where, which, its code in the table, and what was done."""


class Refused(EditFailed):
    """An object that holds what the profile does not let pass."""


class Dropped(EditFailed):
    """An object that holds what the profile says to drop: nobody needs to look at it."""


class Manner(Enum):
    """How a level is gone through: by the table alone; cleaning texts; with dummies for all that
    the table does not name; leaving nothing but references to instances."""

    TABLE = 0
    CLEAN = 1
    DUMMIES = 2
    REFERENCES = 3


_BELOW = {"C": Manner.CLEAN, "U": Manner.REFERENCES}


def deidentify(
    draft: Draft,
    profile: Profile,
    apply: Callable[[Edit, Draft], None],
    told: Told | None = None,
) -> int:
    """Carry out the profile's edits with `apply`, then the table, then stamp the object. By how
    many days its dates were moved.

    Refused or Dropped for what the profile does not let pass, EditFailed for what cannot be done.
    """
    draft.level.complete_with_pixels()
    plan = plan_of(profile.options)
    _judge(draft, profile)
    identity = Identity.of(draft, profile.secret, length=PSEUDONYM_LENGTH, within=profile.within)
    spared = Spared(draft, profile)
    for edit in profile.edits:
        spared.carry_out(edit, apply)
    _Pass(draft, plan, identity, spared, told).level(draft, None, Manner.TABLE)
    stamp(draft, plan.options)
    return identity.days if Option.RETAIN_MODIFIED_DATES in plan.options else 0


def _judge(draft: Draft, profile: Profile) -> None:
    """What is to be dropped for one reason is not held for another: it would leave in no case."""
    held = ""
    for danger, why in dangers_of(draft, profile):
        answer = profile.answer(danger)
        if answer == "discard":
            raise Dropped(f"discarded: {danger}: {why}")
        if answer == "hold":
            held = held or f"{danger}: {why}"
    if held:
        raise Refused(held)


@lru_cache(maxsize=64)
def plan_of(options: tuple[Option, ...]) -> Plan:
    return Plan(options)


class _Pass:
    """One object on its way through the table."""

    def __init__(
        self,
        root: Draft,
        plan: Plan,
        identity: Identity,
        spared: Spared,
        told: Told | None,
    ) -> None:
        self._plan = plan
        self._identity = identity
        self._root = root
        self._words: Vocabulary | None = None
        self._spared = spared
        self._told = told
        values = root.values(SOP_CLASS_UID)
        self._sop_class_uid = values[0] if values else ""

    def level(self, draft: Draft, sequence: int | None, manner: Manner) -> None:
        """Go through a data set, or an item of `sequence`."""
        if not draft.is_root:
            draft.level.complete()
        for tag, _ in draft.level.strays:
            raise EditFailed(f"{Tag(tag >> 16, tag & 0xFFFF)} is there twice")
        creators: list[int] = []
        blocks: set[int] = set()
        for number in draft.numbers():
            if number in _PIXEL_DATA:
                if number in _OFFSETS and not _are_offsets(draft, number):
                    draft.remove_number(number)
                continue
            if is_creator(number):
                creators.append(number)
            elif number & 0x10000:
                if self._private(draft, number):
                    blocks.add(number & 0xFFFF0000 | number >> 8 & 0xFF)
            else:
                self._standard(draft, number, sequence, manner)
        for number in creators:
            if number not in blocks:
                self._done(draft, number, "X", "X")
                draft.remove_number(number)

    def _standard(self, draft: Draft, number: int, sequence: int | None, manner: Manner) -> None:
        if not number & 0xFFFF:
            draft.remove_number(number)  # a group length: retired, and about to be wrong
            return
        vr = draft.vr_at(number)
        listed = self._plan.code(number, vr)
        code = resolved(listed, number, sop_class_uid=self._sop_class_uid, sequence=sequence)
        if self._spared.has(draft, number) or self._spared.holds(draft, number):
            code = "K"
        elif manner is not Manner.TABLE:
            code = _in_manner(code, number, vr, manner)
        if draft.is_root and number in STAMPS:
            code = "X"  # written anew at the end
        self._done(draft, number, listed, code)
        if code == "C" and vr != "SQ" and self._is_clean(draft, number, vr):
            return
        if code == "C" and vr != "SQ":
            row = row_of(number)
            basic = row.basic if row is not None else "D"
            code = resolved(basic, number, sop_class_uid=self._sop_class_uid, sequence=sequence)
        self._act(draft, number, vr, code, manner)

    def _private(self, draft: Draft, number: int) -> bool:
        """Whether the attribute stays."""
        stays = self._spared.has(draft, number) or self._spared.holds(draft, number)
        if not stays and Option.RETAIN_SAFE_PRIVATE in self._plan.options:
            creator = draft.current(Tag(number >> 16, number >> 8 & 0xFF))
            name = creator.data.decode("latin-1").strip(" \0") if creator else ""
            stays = (number >> 16, name, number & 0xFF) in safe_private()
        if not stays:
            self._done(draft, number, "X", "X")
            draft.remove_number(number)
            return False
        vr = draft.vr_at(number)
        code = "K" if self._spared.has(draft, number) else self._plan.by_vr(vr)
        self._done(draft, number, "C", code)
        if code == "C" and self._is_clean(draft, number, vr):
            return True
        self._act(draft, number, vr, "D" if code == "C" else code, Manner.TABLE)
        return True

    def _act(self, draft: Draft, number: int, vr: str, code: str, manner: Manner) -> None:
        if vr == "SQ":
            self._sequence(draft, number, code, manner)
        elif code == "X":
            draft.remove_number(number)
        elif code == "Z":
            self._replace(draft, number, Value(vr, b""))
        elif code == "D":
            self._replace(draft, number, dummy(vr, draft.level.form))
        elif code == "U":
            self._renumber(draft, number)
        elif _hides_items(draft, number):
            draft.remove_number(number)

    def _sequence(self, draft: Draft, number: int, code: str, manner: Manner) -> None:
        if code == "X":
            draft.remove_number(number)
        elif code == "Z":
            draft.write(number, Value("SQ", b""))
        elif code == "D":
            self._dummy_item(draft, number)
        else:
            below = _BELOW.get(code, manner)
            if number == PURPOSE_OF_REFERENCE:
                below = Manner.TABLE if manner is Manner.REFERENCES else below
            for item in draft.items(number):
                if not self._spared.is_whole(item):
                    self.level(item, number, below)

    def _dummy_item(self, draft: Draft, number: int) -> None:
        """One item in place of all: what the first one has, and nothing of what it says."""
        items = draft.items(number)
        if not items:
            return
        first = items[0]
        self.level(first, number, Manner.DUMMIES)
        body = first.joined() if first.level.form == draft.level.form else b""
        draft.remove_number(number)
        draft.append(number, body)

    def _replace(self, draft: Draft, number: int, value: Value) -> None:
        """By nothing or a dummy; who the patient is by a pseudonym. What is empty stays so."""
        current = draft.current(Tag(number >> 16, number & 0xFFFF))
        if current is None or not current.data.strip(b" \0"):
            return
        text = ""
        if number == PATIENT_ID.number:
            values = draft.values(PATIENT_ID)
            text = self._identity.pseudonym("\\".join(values)) if values else ""
        elif number == PATIENT_NAME:
            text = self._identity.patient
        if value.vr in NUMBERS and value.data:
            value = Value(value.vr, bytes(len(current.data)))  # as many as there were
        if text and value.vr in TEXT:
            data = text.encode("ascii")
            value = Value(value.vr, data + b" " * (len(data) % 2))
        draft.write(number, value)

    def _renumber(self, draft: Draft, number: int) -> None:
        values = _texts(draft, number)
        if values is None:
            draft.remove_number(number)
            return
        uids = [self._identity.uid(value) if value else "" for value in values]
        data = "\\".join(uids).encode("ascii")
        draft.write(number, Value("UI", data + b"\0" * (len(data) % 2)))

    def _vocabulary(self) -> Vocabulary:
        """Of the object as it came; read when the first text is to be cleaned."""
        if self._words is None:
            came = self._root.data_set
            self._words = gathered(Draft(came, came.root, came.charset), self._plan)
        return self._words

    def _is_clean(self, draft: Draft, number: int, vr: str) -> bool:
        """Move dates, take what identifies out of texts. False: it cannot be cleaned."""
        values = _texts(draft, number)
        if vr == "TM":
            return True
        if values is None or any("\ufffd" in value for value in values):
            return False
        try:
            if vr in TEMPORAL:
                cleaned = [shifted(vr, value, self._identity.days) for value in values]
            elif vr in CLEANABLE:
                cleaned = [self._vocabulary().clean(value) for value in values]
            else:
                return False
            if any(values) and not any(cleaned):
                return False
            if tuple(cleaned) != values:
                draft.write_text(Tag(number >> 16, number & 0xFFFF), "\\".join(cleaned))
        except (NoDate, EditFailed):
            return False
        return True

    def _done(self, draft: Draft, number: int, listed: str, code: str) -> None:
        if self._told is not None:
            self._told(draft, number, listed, code)


def _in_manner(code: str, number: int, vr: str, manner: Manner) -> str:
    if manner is Manner.CLEAN:
        if number == TEXT_VALUE or (code in ("K", "X", "D", "Z") and is_cleanable(number, vr)):
            return "C"
        return "C" if vr == "SQ" and code == "K" else code
    if manner is Manner.REFERENCES:
        return code if vr in ("AT", "CS", "IS", "UI") or number == PURPOSE_OF_REFERENCE else "X"
    if code in ("K", "C") and vr not in _CODES_THAT_STAY and vr not in ("SQ", "UI"):
        return "D"
    return code


def _are_offsets(draft: Draft, number: int) -> bool:
    """Whether the Extended Offset Table holds places or lengths in this object."""
    value = draft.current(Tag(number >> 16, number & 0xFFFF))
    if value is None or len(value.data) % 8:
        return False
    places = array("Q", value.data)
    return all(place <= len(draft.level.source) for place in places)


def _hides_items(draft: Draft, number: int) -> bool:
    """Whether a sequence is written as something else: nobody can go through it."""
    element = draft.level.find(number)
    if element is None or element.stop - element.value < 8:
        return False
    return bytes(draft.level.source[element.value : element.value + 4]) in _ITEMS


def _texts(draft: Draft, number: int) -> tuple[str, ...] | None:
    """The values as texts, None where they are none."""
    try:
        return draft.values(Tag(number >> 16, number & 0xFFFF))
    except EditFailed:
        return None
