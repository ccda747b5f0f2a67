"""A whole object from its character sets into Unicode: every text at every level, written anew."""

from __future__ import annotations

from rules.encoded.charsets import ESCAPE, CharacterSet, character_set
from rules.encoded.data_set import CHARACTER_SET
from rules.encoded.draft import Draft, EditFailed, Value
from rules.encoded.values import TEXT
from rules.tags import Tag

UNICODE = "ISO_IR 192"
MODIFIED_ATTRIBUTES = 0x04000550
"""Previous values; where they name a character set, it is theirs (PS3.3 C.12.1.1.9)."""


def to_unicode(draft: Draft) -> None:
    """All texts in UTF-8, and Specific Character Set says so. Does nothing where it does already.
    EditFailed for bytes that are no text in the set they are said to be in."""
    utf8 = character_set((UNICODE,))
    if draft.charset.terms == (UNICODE,):
        return
    _recode(draft, utf8)
    draft.write(CHARACTER_SET, Value("CS", UNICODE.encode("ascii")))


def _recode(draft: Draft, utf8: CharacterSet) -> None:
    draft.level.complete()
    for number in draft.numbers():
        vr = draft.vr_at(number)
        if vr in TEXT:
            _recode_text(draft, number, vr)
        elif vr == "SQ":
            for item in draft.items(number):
                names_its_own = CHARACTER_SET in item.numbers() or item.level.find(CHARACTER_SET)
                if number == MODIFIED_ATTRIBUTES and names_its_own:
                    continue
                _recode(item, utf8)
                item.remove_number(CHARACTER_SET)
    draft.charset = utf8


def _recode_text(draft: Draft, number: int, vr: str) -> None:
    tag = Tag(number >> 16, number & 0xFFFF)
    value = draft.current(tag)
    if value is None or (value.data.isascii() and ESCAPE not in value.data):
        return
    text = draft.charset.decode(value.data, is_name=vr == "PN")
    if not draft.charset.is_known or "\ufffd" in text:
        raise EditFailed(f"{tag} cannot be read in the object's character set")
    data = text.encode()
    draft.recode(number, Value(vr, data + b" " * (len(data) % 2)))
