"""How a data set is encoded (VR form and byte order), and the head of one element in it.

Nothing here decodes a value. Offsets count from the start of the source.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

Source: TypeAlias = bytes | memoryview | mmap.mmap

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

UNDEFINED: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD

LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs whose length has 32 bits in explicit form (PS3.5 7.1.2)."""
SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())


class MalformedDataSet(Exception):
    """The bytes at `offset` (from the start of the source) are no data set.

    The reason names no value: it may be logged and shown.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.offset = offset
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Form:
    """VR form and byte order. `order` is struct's: < little, > big endian."""

    implicit: bool
    order: str

    @property
    def short(self) -> Struct:
        """Group, element, VR and 16-bit length."""
        return _SHORT[self.order]

    @property
    def plain(self) -> Struct:
        """Group, element and 32-bit length: implicit form, items and delimiters."""
        return _PLAIN[self.order]

    @property
    def number(self) -> Struct:
        """The 32-bit length of the VRs in LONG."""
        return _NUMBER[self.order]


_SHORT = {order: Struct(f"{order}HH2sH") for order in "<>"}
_PLAIN = {order: Struct(f"{order}HHL") for order in "<>"}
_NUMBER = {order: Struct(f"{order}L") for order in "<>"}

IMPLICIT = Form(True, "<")
EXPLICIT = Form(False, "<")
BIG = Form(False, ">")
IMPLICIT_BIG = Form(True, ">")
"""No transfer syntax; seen in items of big endian files."""


class Head(NamedTuple):
    """What stands before a value. No VR in implicit form."""

    tag: int
    vr: bytes | None
    value: int
    length: int


def form_of(transfer_syntax_uid: str) -> Form:
    """Every syntax but three is Explicit VR Little Endian (PS3.5 annex A)."""
    if transfer_syntax_uid == IMPLICIT_LITTLE:
        return IMPLICIT
    return BIG if transfer_syntax_uid == EXPLICIT_BIG else EXPLICIT


def actual_form(source: Source, position: int, limit: int, announced: Form) -> Form:
    """The form of the data set that begins here, judged by where its first VR should stand.

    Some writers announce one form and write the other; a first element would need to be longer
    than 16 KiB for its length to look like a VR.
    """
    vr = bytes(source[position + 4 : min(position + 6, limit)])
    if len(vr) < 2 or announced is IMPLICIT_BIG:
        return announced
    if looks_like_vr(vr):
        return EXPLICIT if announced.implicit else announced
    return IMPLICIT if announced.order == "<" else IMPLICIT_BIG


def item_form(source: Source, position: int, limit: int, sequence: Form) -> Form:
    """The form of an item: implicit stays so; in an explicit sequence it may turn implicit."""
    return sequence if sequence.implicit else actual_form(source, position, limit, sequence)


def sequence_form(vr: bytes | None, around: Form) -> Form:
    """A sequence written as UN is in little endian whatever is around it (PS3.5 6.2.2 note 4)."""
    return EXPLICIT if vr == b"UN" else around


def looks_like_vr(vr: bytes) -> bool:
    return 0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B


def read_head(source: Source, position: int, limit: int, form: Form) -> Head:
    """The head of the element at `position`, tolerant of one written in implicit form."""
    if position + 8 > limit:
        raise MalformedDataSet(position, "an element is cut off")
    group, element, length = form.plain.unpack_from(source, position)
    tag = group << 16 | element
    if form.implicit or group == 0xFFFE:
        return Head(tag, None, position + 8, length)
    _, _, vr, length = form.short.unpack_from(source, position)
    if vr in SHORT:
        return Head(tag, vr, position + 8, length)
    if vr in LONG:
        if position + 12 > limit:
            raise MalformedDataSet(position, "an element is cut off")
        return Head(tag, vr, position + 12, form.number.unpack_from(source, position + 8)[0])
    if b"AA" <= vr <= b"ZZ":  # a VR that is not known: short, as pydicom reads it
        return Head(tag, vr, position + 8, length)
    return Head(tag, None, position + 8, form.plain.unpack_from(source, position)[2])


def end_of_sequence(
    source: Source, position: int, limit: int, form: Form, ends: dict[int, int]
) -> int:
    """Where the value of undefined length that begins here ends: after its delimiter.

    Items and fragments of known length are jumped over. A loop with its own stack: bytes from
    the network can nest deeper than the interpreter recurses. `ends` keeps, by the start of each
    value and item inside, what was found: entering them later does not search again.
    """
    open_levels = [(True, form, position)]  # in a sequence (not in an item), form, start
    while open_levels:
        in_sequence, form, start = open_levels[-1]
        head = read_head(source, position, limit, form)
        position = head.value
        if head.tag == (SEQUENCE_END if in_sequence else ITEM_END):
            open_levels.pop()
            if len(ends) < _ENDS_KEPT:
                ends[start] = position
            continue
        if in_sequence and head.tag != ITEM:
            raise MalformedDataSet(position - 8, "a sequence holds something other than items")
        if head.length == UNDEFINED:
            if len(open_levels) > _DEEPEST:
                raise MalformedDataSet(position, "sequences nest too deep")
            if in_sequence:
                open_levels.append((False, item_form(source, position, limit, form), position))
            else:
                open_levels.append((True, sequence_form(head.vr, form), position))
            continue
        position += head.length
        if position > limit:
            raise MalformedDataSet(head.value, "an element is longer than what is left")
    return position


_ENDS_KEPT = 200_000
_DEEPEST = 4096
