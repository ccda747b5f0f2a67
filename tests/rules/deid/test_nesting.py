"""Attributes of the table in whatever VR, depth and kind of sequence somebody wrote them in."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary

from rules.deid.table import row_of, rows
from rules.encoded.draft import EditFailed
from rules.encoded.forms import IMPLICIT, Form, MalformedDataSet
from rules.encoded.values import standard_vr
from rules.encoded.writing import encode_element, encode_item
from tests.rules.deid.phantom import SYNTAXES
from tests.rules.deid.test_leaks import through

LISTED = [tag for tag in sorted(rows()) if 0x0008 <= tag >> 16 < 0xFF00]
SEQUENCES = [
    tag
    for tag, entry in DicomDictionary.items()
    if entry[0] == "SQ" and row_of(tag) is None and 0x0008 <= tag >> 16 < 0x7FE0
]
VRS = [
    "AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "OB",
    "OW", "PN", "SH", "ST", "TM", "UC", "UI", "UN", "UR", "UT",
]  # fmt: skip
DEEPEST = 4


class Nest:
    """A data set of random make; `values` are those that must not come out."""

    def __init__(self, random: Random, form: Form) -> None:
        self.random, self.form = random, form
        self.values: list[bytes] = []
        elements = self._level(form, 0)
        elements[0x00080016] = encode_element(
            0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0", form
        )
        elements[0x00080018] = encode_element(0x00080018, "UI", b"1.2.3.4\0", form)
        self.content = _joined(elements)

    def _value(self) -> bytes:
        value = f"Zq{len(self.values):05}xW".encode()
        self.values.append(value)
        twice = value + b"\\" + value + b" "
        return value + b" " if self.random.random() < 0.7 else twice

    def _level(self, form: Form, depth: int) -> dict[int, bytes]:
        elements: dict[int, bytes] = {}
        for tag in self.random.sample(LISTED, 4):
            vr = (standard_vr(tag) or "LO").split(" or ")[0]
            if vr == "SQ" and (form.implicit or self.random.random() < 0.6):
                elements[tag] = self._sequence(tag, form, depth)
                continue
            if not form.implicit and (vr == "SQ" or self.random.random() < 0.4):
                vr = self.random.choice(VRS)
            elements[tag] = encode_element(tag, vr, self._value(), form)
        if self.random.random() < 0.4:
            elements[0x00290010] = encode_element(0x00290010, "LO", b"ACME", form)
            elements[0x00291008] = encode_element(0x00291008, "UN", self._value(), form)
            elements[0x00291020] = self._sequence(0x00291020, form, depth)
        for tag in self.random.sample(SEQUENCES, self.random.randint(0, 2)):
            elements[tag] = self._sequence(tag, form, depth)
        return elements

    def _sequence(self, tag: int, form: Form, depth: int) -> bytes:
        if depth == DEEPEST:
            return encode_element(tag, "SQ", b"", form)
        unknown = not form.implicit and self.random.random() < 0.5
        inner = IMPLICIT if unknown else form
        bodies = [_joined(self._level(inner, depth + 1)) for _ in range(self.random.randint(1, 2))]
        vr = "UN" if unknown else "SQ"
        if self.random.random() < 0.5:
            return encode_element(tag, vr, b"".join(encode_item(b, inner) for b in bodies), form)
        head = form.plain.pack(tag >> 16, tag & 0xFFFF, 0xFFFFFFFF)
        if not form.implicit:
            head = form.short.pack(tag >> 16, tag & 0xFFFF, vr.encode(), 0) + b"\xff" * 4
        pack = inner.plain.pack
        items = b"".join(
            pack(0xFFFE, 0xE000, 0xFFFFFFFF) + body + pack(0xFFFE, 0xE00D, 0) for body in bodies
        )
        return head + items + pack(0xFFFE, 0xE0DD, 0)


def _joined(elements: dict[int, bytes]) -> bytes:
    return b"".join(elements[tag] for tag in sorted(elements))


def left(seed: int, syntax: str) -> list[bytes] | None:
    """What is left; None where the object is held: what nobody can read, such as items in an
    attribute that holds none."""
    made = Nest(Random(seed), SYNTAXES[syntax])
    try:
        result = through(made.content, syntax)
    except (EditFailed, MalformedDataSet):
        return None
    return [value for value in made.values if value in result]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(SYNTAXES)))
def test_nothing_is_left_of_any_object(seed: int, syntax: str) -> None:
    assert not left(seed, syntax)


def test_hardly_any_object_is_held() -> None:
    ends = [left(seed, "1.2.840.10008.1.2.1") for seed in range(60)]
    assert ends.count([]) > 50
