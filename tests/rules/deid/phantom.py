"""An object that holds every attribute of table E.1-1 at three depths, each with a value that is
found nowhere else, in the odd forms that real objects have."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.uid import CTImageStorage

from rules.deid.table import Row, row_of, rows
from rules.encoded.forms import BIG, EXPLICIT, IMPLICIT, Form
from rules.encoded.writing import encode_element, encode_item

SYNTAXES: Final = {
    "1.2.840.10008.1.2": IMPLICIT,
    "1.2.840.10008.1.2.1": EXPLICIT,
    "1.2.840.10008.1.2.2": BIG,
}
NEUTRAL: Final = (0x00189346, 0x52009229)
"""Sequences that the table does not name: CTDI Phantom Type Code, Shared Functional Groups."""
UNKNOWN_TO_PYDICOM: Final = {0x00081301: "SQ", 0x00081302: "SQ", 0x00081303: "SQ", 0x00081304: "SQ"}
JAPANESE: Final = "\x1b$B;3ED\x1b(B"
KOREAN: Final = "\x1b$)C\xb1\xe8"
NAMES: Final = {
    "": ("{token}^Kim^^Dr.", "latin-1"),
    "ISO_IR 100": ("M\u00fcller{token}^J\u00f6rg", "latin-1"),
    "ISO_IR 101": ("Nov\u00e1k{token}^Ji\u0159\u00ed", "iso8859_2"),
    "ISO_IR 144": ("\u041b\u044e{token}^\u0411", "iso8859_5"),
    "ISO_IR 126": ("\u0394\u03b9{token}^\u03a9", "iso8859_7"),
    "ISO_IR 127": ("\u0642\u0628{token}^\u0644", "iso8859_6"),
    "ISO_IR 138": ("\u05e9\u05e8{token}^\u05d3", "iso8859_8"),
    "ISO_IR 166": ("\u0e01\u0e02{token}^\u0e04", "tis_620"),
    "ISO_IR 13": ("\uff94\uff8f\uff80\uff9e{token}^\uff80", "shift_jis"),
    "ISO_IR 192": ("{token}\u5c71\u7530^Taro=\u5c71\u7530{token}^\u592a\u90ce={token}", "utf-8"),
    "GB18030": ("{token}\u738b^\u5c0f\u4e1c={token}\u738b", "gb18030"),
    "GBK": ("{token}\u738b^\u5c0f\u4e1c", "gbk"),
    "\\ISO 2022 IR 87": (
        f"Yamada{{token}}^Taro={JAPANESE}{{token}}^{JAPANESE}={{token}}", "latin-1",
    ),
    "\\ISO 2022 IR 149": (f"Kim{{token}}={KOREAN}{{token}}^={KOREAN}", "latin-1"),
    "ISO 2022 IR 6\\ISO 2022 IR 100": ("\x1b-A\xc4{token}^J", "latin-1"),
}  # fmt: skip
"""A name in each character set, and how to write it; escapes stand in it as bytes."""
FORMS: Final = 6
"""Ways in which values of a VR are written; `turn` of a phantom gives each attribute another."""


@dataclass(frozen=True)
class Planted:
    """One value: in which attribute, how deep, and the bytes that must not come out."""

    tag: int
    depth: int
    vr: str
    data: bytes
    row: Row | None = None


@dataclass
class Phantom:
    """`content` is the encoded data set."""

    syntax: str
    charset: str = ""
    turn: int = 0
    planted: list[Planted] = field(default_factory=list)
    content: bytes = b""
    _count: int = 0

    @property
    def form(self) -> Form:
        return SYNTAXES[self.syntax]

    def token(self) -> str:
        """Seven letters that stand nowhere else."""
        self._count += 1
        number, letters = self._count, ""
        for _ in range(4):
            number, digit = divmod(number, 20)
            letters += "BCDFGHJKLMNPQRSTVWXZ"[digit]
        return f"Qx{letters}q"

    def plant(self, tag: int, vr: str, depth: int, row: Row | None = None) -> bytes:
        """An encoded element with a value of its own."""
        if vr == "SQ":
            inner = self.plant_text(0x00080104, depth + 1, row, under=tag)
            data = encode_item(inner, self.form)
            return encode_element(tag, "SQ", data, self.form)
        data, told = self._value(vr)
        written = "UN" if self._count % 17 == 3 and vr in ("LO", "PN", "DA", "UI") else vr
        element = encode_element(tag, written, data, self.form)
        # What is short stands elsewhere by chance: the whole element must not.
        for one in told or [element]:
            if vr not in ("AT", "SQ"):
                self.planted.append(Planted(tag, depth, vr, one, row))
        return element

    def plant_text(self, tag: int, depth: int, row: Row | None, under: int) -> bytes:
        token = self.token()
        self.planted.append(Planted(under, depth, "SQ", token.encode(), row))
        data = token.encode() + b" " * (len(token) % 2)
        return encode_element(tag, "LO", data, self.form)

    def _value(self, vr: str) -> tuple[bytes, list[bytes]]:
        token, number = self.token(), self._count
        order, form = self.form.order, (number + self.turn) % FORMS

        match vr:
            case "PN":
                text, codec = NAMES[self.charset]
                name = text.format(token=token).encode(codec)
                many = (
                    name,
                    name + b"\\" + name,
                    b" " + name + b" ",
                    b"\\" + name,
                    name,
                    name + b"^",
                )
                return _even(many[form], b"\0" if form == 4 else b" "), [token.encode()]
            case "DA" | "DT" | "TM":
                return _moment(vr, number, form)
            case "UI":
                data = f"1.3.46.{880000 + number}.7".encode()
                many = (data, data + b"\\" + data + b".2", data, b"\\" + data, data, b" " + data)
                return _even(many[form], b" " if form == 2 else b"\0"), [data]
            case "AS":
                return f"{number % 1000:03}{'DWMY'[form % 4]}".encode(), []
            case "US" | "SS":
                return struct.pack(f"{order}H", number % 30000) * (1 + form % 3), []
            case "AT":
                return struct.pack(f"{order}HH", 0x0010, 0x0010), []
            case "FL" | "FD" | "UL" | "SL":
                code = {"FL": "f", "FD": "d", "UL": "L", "SL": "l"}[vr]
                value = 1999000000 + number * (4096 if vr == "FL" else 1)
                data = struct.pack(f"{order}{code}", value)
                return data * (1 + form % 3), [data]
            case _:
                text = _TEXTS.get(vr, "{token} and more").format(
                    token=token, TOKEN=token.upper(), number=number
                )
                return _text(vr, text, form)


_TEXTS: Final = {
    "DS": "91{number:07}",
    "IS": "91{number:07}",
    "CS": "{TOKEN}",
    "AE": "{TOKEN}",
    "SH": "{TOKEN}",
    "UR": "http://{token}.example/a",
    "OB": "{token}{token}",
    "OW": "{token}{token}",
    "UN": "{token}{token}",
}
_SINGLE: Final = frozenset({"LT", "ST", "UR", "UT", "OB", "OW", "UN"})
"""VRs whose values have no backslash between them (PS3.5 6.4)."""


def _text(vr: str, text: str, form: int) -> tuple[bytes, list[bytes]]:
    """As it is, twice, between blanks, behind nothing, with a zero, too long or in lines."""
    data, single = text.encode(), vr in _SINGLE
    if vr in ("OB", "OW", "UN"):
        return _even(data, b"\0"), [data]
    many = (
        data,
        data + (b"\r\n" if single else b"\\") + data,
        b"  " + data + b"   ",
        data + b"\\" if single else b"\\\\" + data,
        data,
        data + b" " * 70
        if single
        else data + b"\\and much that is too long for a value of this kind",
    )
    return _even(many[form], b"\0" if form == 4 else b" "), [data]


def _moment(vr: str, number: int, form: int) -> tuple[bytes, list[bytes]]:
    """Dates more than a year after the one before, so that none is moved to another."""
    day = date(1901, 1, 1) + timedelta(days=367 * number)
    dense, dotted, time = f"{day:%Y%m%d}", f"{day:%Y.%m.%d}", f"12{number % 60:02}{number // 60:02}"
    many = {
        "DA": (f"{dense}-{dense}", f"{dense}\\{dense}", f"{dense}-", dense, dotted, f"{day:%Y%m}"),
        "DT": (
            dense, f"{dense}1203", f"{dense}120301.{500000 + number}+0100", f"{day:%Y%m}",
            f"{day:%Y}", f"{dense}-{dense}1203",
        ),
        "TM": (
            f"{time}.{number:06}", time[:4], f"12:{time[2:4]}:{time[4:]}", f"{time}.{number:06}-",
            f"{time}.{number:06}\\{time}", f" {time}.{number:06}",
        ),
    }[vr]  # fmt: skip
    told = dense if dense in many[form] else dotted if dotted in many[form] else ""
    if vr == "TM":
        told = f"{time}.{number:06}" if "." in many[form] else ""
    return _even(many[form].encode(), b"\0" if form == 3 else b" "), [told.encode()] if told else []


def phantom(syntax: str, charset: str = "", turn: int = 0) -> Phantom:
    """Every attribute of the table in the data set, in an item, and in an item of an item."""
    made = Phantom(syntax, charset, turn)
    deepest = b"".join(_table(made, 2))
    middle = b"".join(_table(made, 1)) + _sequence(made, NEUTRAL[1], deepest, undefined=True)
    elements = dict(_by_tag(made))
    elements[NEUTRAL[0]] = _sequence(made, NEUTRAL[0], middle)
    elements |= _beside(made)
    made.content = b"".join(elements[tag] for tag in sorted(elements))
    return made


def _by_tag(made: Phantom) -> Iterator[tuple[int, bytes]]:
    form = made.form
    yield 0x00080016, encode_element(0x00080016, "UI", CTImageStorage.encode() + b"\0", form)
    if made.charset:
        yield 0x00080005, encode_element(0x00080005, "CS", _even(made.charset.encode()), form)
    for tag, row in sorted(rows().items()):
        if 0x0008 <= tag >> 16 < 0xFF00:
            yield tag, made.plant(tag, vr_of(tag), 0, row)


def _table(made: Phantom, depth: int) -> Iterator[bytes]:
    for tag, row in sorted(rows().items()):
        if 0x0008 <= tag >> 16 < 0xFF00:
            yield made.plant(tag, vr_of(tag), depth, row)


def _beside(made: Phantom) -> dict[int, bytes]:
    """Private groups, curves, overlays, attributes that nobody knows, what follows pixel data."""
    form, found = made.form, dict[int, bytes]()
    for tag, vr in (
        (0x00090010, "LO"), (0x00091001, "LO"), (0x00091002, "UN"), (0x00091003, "PN"),
        (0x00111001, "UN"), (0x50000010, "US"), (0x50003000, "OW"), (0x50020022, "LO"),
        (0x60003000, "OW"), (0x60004000, "LT"), (0x601E3000, "OW"), (0x00080999, "LO"),
        (0x00140104, "PN"), (0x00140102, "DA"), (0x7FE10010, "LO"), (0x7FE11001, "OB"),
        (0xFFFCFFFC, "OB"),
    ):  # fmt: skip
        found[tag] = made.plant(tag, vr, 0, None if tag >> 16 & 1 else row_of(tag))
    hidden = made.plant(0x00100010, "PN", 1) + made.plant(0x00400275, "SQ", 1)
    item = encode_item(hidden, form)
    found[0x00091010] = encode_element(0x00091010, "SQ" if form.implicit else "UN", item, form)
    if not form.implicit:
        inner = Phantom("1.2.840.10008.1.2", "", made.turn, made.planted, b"", made._count)
        un = inner.plant(0x00100020, "LO", 1) + inner.plant(0x0020000D, "UI", 1, rows()[0x0020000D])
        made._count = inner._count
        found[0x00189360] = encode_element(0x00189360, "UN", encode_item(un, IMPLICIT), form)
    found[0x00280010] = encode_element(0x00280010, "US", struct.pack(f"{form.order}H", 2), form)
    found[0x7FE00010] = encode_element(0x7FE00010, "OW", bytes(range(8)), form)
    return found


def _sequence(made: Phantom, tag: int, body: bytes, *, undefined: bool = False) -> bytes:
    form = made.form
    if not undefined:
        return encode_element(tag, "SQ", encode_item(body, form), form)
    head = form.plain.pack(tag >> 16, tag & 0xFFFF, 0xFFFFFFFF)
    if not form.implicit:
        head = form.short.pack(tag >> 16, tag & 0xFFFF, b"SQ", 0) + form.number.pack(0xFFFFFFFF)
    item = form.plain.pack(0xFFFE, 0xE000, 0xFFFFFFFF) + body + form.plain.pack(0xFFFE, 0xE00D, 0)
    return head + item + form.plain.pack(0xFFFE, 0xE0DD, 0)


def vr_of(tag: int) -> str:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return UNKNOWN_TO_PYDICOM.get(tag, "LO")


def _even(data: bytes, padding: bytes = b" ") -> bytes:
    return data + padding * (len(data) % 2)
