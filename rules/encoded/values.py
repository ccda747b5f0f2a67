"""From the bytes of a value to the texts that rules compare, by VR; and which VR an element has.

Texts come without padding, numbers as they are written (or as the shortest decimal that is the
same number), bulk data as its length.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from pydicom.datadict import dictionary_VR, private_dictionary_VR

from rules.encoded.charsets import CharacterSet
from rules.encoded.forms import Form

TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs that are in the object's character set (PS3.5 6.1.2.2)."""
PLAIN = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
SINGLE = frozenset({"LT", "ST", "UR", "UT"})
"""VRs with one value, where a backslash is text and leading blanks count (PS3.5 6.2)."""
NUMBERS = {"FD": "d", "FL": "f", "SL": "l", "SS": "h", "SV": "q", "UL": "L", "US": "H", "UV": "Q"}

_LEGIBLE = 1024


def values_of(vr: str, data: bytes, form: Form, charset: CharacterSet) -> tuple[str, ...]:
    """The values of an element with this VR; () when it is empty. Never fails: a value of the
    wrong length is shown as bytes are."""
    if not data:
        return ()
    if vr in TEXT:
        text = charset.decode(data, is_name=vr == "PN")
    elif vr in PLAIN:
        text = data.decode("latin-1")
    elif vr in NUMBERS or vr == "AT":
        return _numbers(vr, data, form)
    else:
        return (opaque(data) if vr == "UN" else f"<{len(data)} bytes>",)
    if vr in SINGLE:
        text = text.rstrip(" \0")
        return (text,) if text else ()
    if "\\" not in text:
        text = text.strip(" \0")
        return (text,) if text else ()
    return tuple([value.strip(" \0") for value in text.split("\\")])


def opaque(data: bytes) -> str:
    """What is to be seen of a value whose VR nobody knows: the text that it is, or its length."""
    return data.decode().strip(" \0") if is_legible(data) else f"<{len(data)} bytes>"


def is_legible(data: bytes) -> bool:
    """Whether bytes of unknown VR are a short text."""
    text = data[: _LEGIBLE + 1].rstrip(b" \0")
    return len(data) <= _LEGIBLE and text.isascii() and text.decode().isprintable()


def _numbers(vr: str, data: bytes, form: Form) -> tuple[str, ...]:
    code = form.order + (NUMBERS[vr] if vr != "AT" else "HH")
    if len(data) % struct.calcsize(code):
        return (opaque(data),)
    found = struct.iter_unpack(code, data)
    if vr == "AT":
        return tuple([f"{group:04X},{element:04X}" for group, element in found])
    if vr == "FL":
        return tuple([shortest(number) for (number,) in found])
    return tuple([str(number) for (number,) in found])


def shortest(number: float) -> str:
    """The shortest decimal that is this number in 32 bits: 0.1 rather than 0.10000000149."""
    for digits in range(6, 9):
        text = f"{number:.{digits}g}"
        try:
            if struct.unpack("<f", struct.pack("<f", float(text)))[0] == number:
                return str(float(text))
        except OverflowError:
            continue
    return str(float(f"{number:.9g}"))


@lru_cache(maxsize=1 << 14)
def standard_vr(tag: int) -> str | None:
    """The dictionary's VR, `US or SS` among them; None for a tag it does not have."""
    if tag & 0x10000:
        return None
    if not tag & 0xFFFF:
        return "UL"
    try:
        return dictionary_VR(tag)
    except KeyError:
        return None


@lru_cache(maxsize=1 << 14)
def private_vr(tag: int, creator: str) -> str | None:
    """The VR that pydicom's private dictionary has; the block in the tag does not matter."""
    try:
        return private_dictionary_VR(tag, creator)
    except KeyError:
        return None


def is_creator(tag: int) -> bool:
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF
