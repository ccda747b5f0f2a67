"""Values that mean nothing, for what must not be empty: valid ones, by VR."""

from __future__ import annotations

from typing import Final

from rules.encoded.draft import Value
from rules.encoded.forms import Form
from rules.encoded.values import NUMBERS
from rules.encoded.writing import pack_numbers

WORD: Final = b"ANONYMIZED"
TEXTS: Final = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"), WORD),
    "AS": b"000Y",
    "DA": b"19000101",
    "DS": b"0 ",
    "DT": b"19000101000000",
    "IS": b"0 ",
    "PN": b"Anonymized",
    "TM": b"000000",
    "UR": b"urn:anonymized",
}
_SIZES: Final = {"AT": 4, "OB": 2, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def dummy(vr: str, form: Form) -> Value:
    """A value of this VR; an empty one of a VR that nobody knows."""
    if vr in TEXTS:
        return Value(vr, TEXTS[vr])
    if vr in NUMBERS:
        return Value(vr, pack_numbers(vr, ["0"], form.order))
    return Value(vr, b"\0" * _SIZES.get(vr, 0))
