"""Text in the character sets of DICOM (PS3.3 C.12.1.1.2, PS3.5 6.1): decoding and encoding.

Decoding always gives something to compare with (a replacement character for what cannot be
read). Encoding gives exactly the text or raises Unencodable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

ESCAPE = b"\x1b"


class Unencodable(Exception):
    """The character set lacks a character of the text (which is not named: it may be a name)."""


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """The sets an object's texts are in: the first is in force at the start of every value."""

    terms: tuple[str, ...]
    codecs: tuple[str, ...]
    is_known: bool

    @property
    def _extends(self) -> bool:
        return self.codecs[0] not in _ALONE

    @property
    def _initial(self) -> str:
        """What the first set is read with: bytes outside the default repertoire as Latin-1."""
        return "latin_1" if self.codecs[0] == "ascii" else self.codecs[0]

    def decode(self, data: bytes, *, is_name: bool = False) -> str:
        """`data` may hold several values; `is_name`: ^ and = end a code extension, too."""
        if ESCAPE not in data or not self._extends:
            return data.decode("ascii" if data.isascii() else self._initial, "replace")
        delimiters = _NAME_DELIMITERS if is_name else _TEXT_DELIMITERS
        return "".join(self._decode_extended(data, delimiters))

    def encode(self, text: str, *, is_name: bool = False) -> bytes:
        """Bytes that decode to exactly this text, or Unencodable."""
        if text.isascii() and "\x1b" not in text:
            return text.encode("ascii")
        if not self.is_known or "\x1b" in text:
            raise Unencodable
        encoded = self._encode(text, _NAME_DELIMITERS if is_name else _TEXT_DELIMITERS)
        if self.decode(encoded, is_name=is_name) != text:
            raise Unencodable
        return encoded

    def _decode_extended(self, data: bytes, delimiters: bytes) -> Iterator[str]:
        initial = self._initial
        for fragment in _FRAGMENT.findall(data):
            escape = next((code for code in _CODECS_BY_ESCAPE if fragment.startswith(code)), b"")
            codec = _CODECS_BY_ESCAPE.get(escape, initial)
            text = fragment[len(escape) :]
            if codec in _SEVEN_BIT:
                # Two bytes of seven bits each: a byte that looks like a delimiter is none.
                yield (escape + text).decode(codec, "replace")
                continue
            end = next((at for at, byte in enumerate(text) if byte in delimiters), len(text))
            yield text[:end].decode(codec, "replace")
            yield text[end:].decode(initial, "replace")

    def _encode(self, text: str, delimiters: bytes) -> bytes:
        try:
            if self.codecs[0] != "shift_jis":
                return text.encode(self.codecs[0])
        except UnicodeEncodeError:
            pass
        if len(self.codecs) == 1 and self.codecs[0] != "shift_jis":
            raise Unencodable
        pieces = re.split("([" + re.escape(delimiters.decode()) + "])", text)
        return b"".join(self._encode_run(piece) for piece in pieces)

    def _encode_run(self, run: str) -> bytes:
        """A text between delimiters, each stretch of it in the first set that has it."""
        encoded, current, stretch = b"", self.codecs[0], ""
        for character in run:
            if not _has(current, character):
                encoded += self._escaped(current, stretch, is_first=not encoded)
                current = next((codec for codec in self.codecs if _has(codec, character)), "")
                stretch = ""
                if not current:
                    raise Unencodable
            stretch += character
        return encoded + self._escaped(current, stretch, is_first=not encoded)

    def _escaped(self, codec: str, text: str, *, is_first: bool) -> bytes:
        if not text:
            return b""
        encoded = text.encode(codec)
        if codec in _SEVEN_BIT or (is_first and codec == self.codecs[0]):
            return encoded  # Python's codec writes the escapes there and back by itself
        return _ESCAPES[codec] + encoded


@lru_cache(maxsize=256)
def character_set(terms: tuple[str, ...]) -> CharacterSet:
    """The set that Specific Character Set names; none: the default repertoire.

    One that is not known is read as Latin-1, as what is most often meant, and never written.
    """
    terms = terms or ("",)
    known = [_CODECS.get(term) for term in terms]
    codecs = tuple(dict.fromkeys(codec or "latin_1" for codec in known))
    # Sets that know no code extensions are no extensions either (PS3.5 6.1.2.5.4).
    codecs = codecs[:1] + tuple(codec for codec in codecs[1:] if codec not in _ALONE)
    return CharacterSet(terms, codecs, None not in known)


def _has(codec: str, character: str) -> bool:
    try:
        encoded = character.encode(codec)
    except UnicodeEncodeError:
        return False
    return codec != "shift_jis" or len(encoded) == 1


_CODECS = {
    **dict.fromkeys(("", "ISO_IR 6", "ISO 2022 IR 6"), "ascii"),
    **dict.fromkeys(("ISO_IR 13", "ISO 2022 IR 13"), "shift_jis"),
    **dict.fromkeys(("ISO_IR 100", "ISO 2022 IR 100"), "latin_1"),
    **dict.fromkeys(("ISO_IR 101", "ISO 2022 IR 101"), "iso8859_2"),
    **dict.fromkeys(("ISO_IR 109", "ISO 2022 IR 109"), "iso8859_3"),
    **dict.fromkeys(("ISO_IR 110", "ISO 2022 IR 110"), "iso8859_4"),
    **dict.fromkeys(("ISO_IR 126", "ISO 2022 IR 126"), "iso8859_7"),
    **dict.fromkeys(("ISO_IR 127", "ISO 2022 IR 127"), "iso8859_6"),
    **dict.fromkeys(("ISO_IR 138", "ISO 2022 IR 138"), "iso8859_8"),
    **dict.fromkeys(("ISO_IR 144", "ISO 2022 IR 144"), "iso8859_5"),
    **dict.fromkeys(("ISO_IR 148", "ISO 2022 IR 148"), "iso8859_9"),
    **dict.fromkeys(("ISO_IR 166", "ISO 2022 IR 166"), "tis_620"),
    **dict.fromkeys(("ISO_IR 203", "ISO 2022 IR 203"), "iso8859_15"),
    "ISO 2022 IR 87": "iso2022_jp",
    "ISO 2022 IR 159": "iso2022_jp_2",
    "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 58": "gb2312",
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
_ALONE = frozenset({"utf_8", "gb18030", "gbk"})
_SEVEN_BIT = frozenset({"iso2022_jp", "iso2022_jp_2"})
_ESCAPES = {
    "ascii": b"\x1b(B",
    "latin_1": b"\x1b-A",
    "iso8859_2": b"\x1b-B",
    "iso8859_3": b"\x1b-C",
    "iso8859_4": b"\x1b-D",
    "iso8859_7": b"\x1b-F",
    "iso8859_6": b"\x1b-G",
    "iso8859_8": b"\x1b-H",
    "iso8859_5": b"\x1b-L",
    "iso8859_9": b"\x1b-M",
    "tis_620": b"\x1b-T",
    "iso8859_15": b"\x1b-b",
    "shift_jis": b"\x1b)I",
    "euc_kr": b"\x1b$)C",
    "gb2312": b"\x1b$)A",
    "iso2022_jp": b"\x1b$B",
    "iso2022_jp_2": b"\x1b$(D",
}
_CODECS_BY_ESCAPE = {escape: codec for codec, escape in _ESCAPES.items()} | {
    b"\x1b(B": "latin_1",
    b"\x1b(J": "shift_jis",
}
_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_TEXT_DELIMITERS = b"\\\r\n\t\f"
_NAME_DELIMITERS = b"\\^="
