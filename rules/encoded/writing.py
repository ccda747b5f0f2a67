"""From texts to the bytes of an element: the other direction of values."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from pydicom.config import RAISE
from pydicom.valuerep import validate_value

from rules.encoded.charsets import CharacterSet, Unencodable
from rules.encoded.forms import LONG, Form
from rules.encoded.values import NUMBERS, PLAIN, SINGLE, TEXT


class Unfit(Exception):
    """A text that cannot be a value of the VR. Says why, never what the text is."""


class BeyondCharacterSet(Unfit):
    """A text that could be a value, but not in the object's character set."""


def encode_value(vr: str, text: str, form: Form, charset: CharacterSet) -> bytes:
    """The padded bytes of a text, whose values are separated by backslashes. Unfit if the VR or
    the character set cannot hold it. Of unknown VR (UN) the text is written as it is."""
    if vr not in TEXT and vr not in PLAIN and vr not in NUMBERS and vr != "UN":
        raise Unfit(f"its VR {vr} holds no text")
    values = [text] if vr in SINGLE else text.split("\\")
    if vr in NUMBERS:
        return pack_numbers(vr, values if text else [], form.order)
    if vr != "UN":
        _validate(vr, values)
    if vr in PLAIN and not text.isascii():
        raise Unfit(f"a {vr} value is in ASCII")
    try:
        data = charset.encode(text, is_name=vr == "PN")
    except Unencodable:
        lacking = "the object's character set lacks a character of the value"
        raise BeyondCharacterSet(lacking) from None
    return data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2)


def encode_element(tag: int, vr: str, data: bytes, form: Form) -> bytes:
    """A whole element of defined length; Unfit when the VR's length field is too short for it."""
    return encode_head(tag, vr, len(data), form) + data


def encode_head(tag: int, vr: str, length: int, form: Form) -> bytes:
    """What stands before a value of `length` bytes."""
    group, number = tag >> 16, tag & 0xFFFF
    if form.implicit:
        return form.plain.pack(group, number, length)
    if not vr.isascii():
        raise Unfit("its VR is none")
    code = vr.encode("ascii")
    if code in LONG:
        return form.short.pack(group, number, code, 0) + form.number.pack(length)
    if length > 0xFFFF:
        raise Unfit(f"a {vr} value has at most 65534 bytes")
    return form.short.pack(group, number, code, length)


def encode_item(body: bytes, form: Form) -> bytes:
    return form.plain.pack(0xFFFE, 0xE000, len(body)) + body


def pack_numbers(vr: str, texts: Sequence[str], order: str) -> bytes:
    """The bytes of numbers written in decimal, in the byte order `<` or `>`; Unfit unless each is
    one that the VR, a key of NUMBERS, can hold."""
    convert = float if vr in ("FL", "FD") else int
    try:
        numbers = [convert(text) for text in texts]
        packed = struct.pack(f"{order}{len(numbers)}{NUMBERS[vr]}", *numbers)
    except (ValueError, OverflowError, struct.error):
        numbers, packed = [math.nan], b""
    # Python also reads 1_000, digits of other scripts, inf and nan.
    if not all(map(math.isfinite, numbers)) or not all(map(_is_plain, texts)):
        raise Unfit(f"the value is no number that {vr} holds")
    return packed


def _is_plain(text: str) -> bool:
    return text.isascii() and "_" not in text


def _validate(vr: str, values: list[str]) -> None:
    for value in values:
        try:
            validate_value(vr, value, RAISE)
        except ValueError:
            raise Unfit(f"the value is not as {vr} requires (length or form)") from None
