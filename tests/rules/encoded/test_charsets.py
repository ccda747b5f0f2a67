"""Texts in every character set: pydicom decodes what we encode, we decode what it encodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes

from rules.encoded.charsets import Unencodable, character_set

NAMES = [
    (("ISO_IR 100",), "Buc^Jérôme"),
    (("ISO_IR 101",), "Łukasz^Żółć"),
    (("ISO_IR 126",), "Διονυσιος"),
    (("ISO_IR 127",), "قباني^لنزار"),
    (("ISO_IR 138",), "שרון^דבורה"),
    (("ISO_IR 144",), "Люкceмбypг"),
    (("ISO_IR 148",), "Çağlar^Işık"),
    (("ISO_IR 166",), "นามสกุล"),
    (("ISO_IR 192",), "Wang^XiaoDong=王^小東"),
    (("GB18030",), "Wang^XiaoDong=王^小东"),
    (("GBK",), "王^小东"),
    (("ISO_IR 13",), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    (("", "ISO 2022 IR 87"), "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (("ISO 2022 IR 13", "ISO 2022 IR 87"), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    (("", "ISO 2022 IR 149"), "Hong^Gildong=洪^吉洞=홍^길동"),
    (("", "ISO 2022 IR 58"), "Zhang^XiaoDong=张^小东"),
    (("", "ISO 2022 IR 100", "ISO 2022 IR 126"), "Dionysios é Διονυσιος"),
]  # fmt: skip


@pytest.mark.parametrize(("terms", "name"), NAMES)
def test_pydicom_reads_what_is_written(terms, name):
    written = character_set(terms).encode(name, is_name=True)
    assert character_set(terms).decode(written, is_name=True) == name
    groups = [decode_bytes(g, convert_encodings(list(terms)), {0x5E}) for g in written.split(b"=")]
    # of IR 58 pydicom leaves the escapes in the text
    assert "=".join(groups).replace("\x1b$)A", "") == name


@pytest.mark.parametrize(
    ("terms", "text"),
    [((), "é"), (("ISO_IR 6",), "é"), (("ISO_IR 100",), "王"), (("BAD",), "é"), ((), "a\x1bb")],
)
def test_what_a_set_lacks_is_not_written(terms, text):
    with pytest.raises(Unencodable):
        character_set(terms).encode(text)


@given(
    terms=st.lists(st.sampled_from([term for terms, _ in NAMES for term in terms]), max_size=3),
    text=st.text(max_size=12),
)
def test_written_is_read_back_or_refused(terms, text):
    charset = character_set(tuple(terms))
    try:
        written = charset.encode(text)
    except Unencodable:
        return
    assert charset.decode(written) == text


@given(terms=st.lists(st.text(max_size=8), max_size=3), data=st.binary(max_size=40))
def test_anything_is_decoded_to_something(terms, data):
    assert isinstance(character_set(tuple(terms)).decode(data), str)
