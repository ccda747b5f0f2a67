"""How the same name, date or text may be written elsewhere, and in which bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Final
from unicodedata import combining, normalize

from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary

_CODECS: Final = (
    "utf-8", "latin-1", "iso8859_2", "iso8859_5", "iso8859_7", "iso8859_6", "iso8859_8",
    "iso8859_9", "tis_620", "shift_jis", "euc_jp", "euc_kr", "gb18030", "gbk", "iso2022_jp",
    "cp1252", "utf-16-le", "utf-16-be",
)  # fmt: skip
_ESCAPES: Final = re.compile(rb"\x1b[$(),\-./]+[A-Z@]")
_WORDS: Final = re.compile(r"[^\W\d_]+")
_MAKERS: Final = frozenset({
    "siemens", "philips", "toshiba", "canon", "hitachi", "samsung", "fujifilm", "agfa", "hologic",
    "varian", "elekta", "kodak", "carestream", "konica", "minolta", "mindray", "esaote",
    "shimadzu", "healthcare", "medical", "systems", "general", "electric", "male", "female",
    "left", "right", "head", "neck", "chest", "abdomen", "pelvis", "spine", "knee", "brain",
    "thorax", "axial", "sagittal", "coronal", "routine", "anonymized", "anonymous", "unknown",
    "none", "test",
})  # fmt: skip


@cache
def common_words() -> frozenset[str]:
    """Words that name no one by themselves: those of the standard's own names, of makers, of the
    body. In lower case."""
    names = [entry[2] for entry in DicomDictionary.values()]
    names += [entry[0] for entry in UID_dictionary.values()]
    words = {word.casefold() for name in names for word in _WORDS.findall(name)}
    return frozenset(words) | _MAKERS


def variants(word: str) -> frozenset[str]:
    """The same name as others spell it: without accents, and umlauts as two letters or as one."""
    found = {_plain(word)}
    for pairs in (_UMLAUTS, tuple((two, one) for one, two in _UMLAUTS)):
        spelled = word
        for old, new in pairs:
            spelled = spelled.replace(old, new).replace(old.upper(), new.upper())
            spelled = spelled.replace(old.capitalize(), new.capitalize())
        found |= {spelled, _plain(spelled)}
    return frozenset(found) - {word, ""}


def _plain(word: str) -> str:
    """Without accents; of a script whose marks make other letters, as it is."""
    taken_apart = normalize("NFKD", word)
    if not any(map(str.isascii, taken_apart)):
        return word
    return "".join(char for char in taken_apart if not combining(char))


_UMLAUTS: Final = (
    ("\u00e4", "ae"), ("\u00f6", "oe"), ("\u00fc", "ue"), ("\u00df", "ss"), ("\u00f8", "oe"),
    ("\u00e5", "aa"), ("\u00e6", "ae"),
)  # fmt: skip


def is_without_blanks(word: str) -> bool:
    """Whether the word is of a script that is written without blanks between words: Chinese,
    Japanese, Korean, Thai."""
    return any(_UNSPACED.match(char) for char in word)


_UNSPACED: Final = re.compile("[\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def joined_names(name: str) -> Iterator[str]:
    """Family and given name in one word, as such scripts write them, of each representation."""
    for group in name.split("="):
        parts = [part.strip() for part in group.split("^")[:2] if part.strip()]
        if len(parts) > 1 and is_without_blanks(group):
            yield "".join(parts)
            yield "".join(reversed(parts))


def parts_of_name(name: str) -> list[str]:
    """The words of a person's name, of all its representations (PS3.5 6.2.1)."""
    return [word for word in re.split(r"[\^=\s,;/()]+", name) if word.strip(".-'")]


def spellings_of_name(name: str) -> Iterator[str]:
    """The whole of a name as it is written in texts, first name first and last."""
    for group in name.split("="):
        parts = [part for part in group.split("^")[:3] if part.strip()]
        if len(parts) > 1:
            family, given = parts[0].strip(), parts[1].strip()
            yield from (f"{family}^{given}", f"{family} {given}", f"{given} {family}")
            yield from (f"{family}, {given}", f"{family},{given}", f"{given}^{family}")
            yield from (f"{family}_{given}", f"{given}_{family}", f"{given}.{family}")


_DATE: Final = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
_EARLIEST: Final = 1901
"""What is older is a dummy: nobody alive was born, and nothing made, before."""


def dates_in(text: str) -> list[date]:
    """The full dates of DA and DT values, of both ends of a range."""
    found = []
    for part in re.split(r"\\|(?<=\d)-(?=\d{8})", text):
        match = _DATE.match(part.strip())
        if match is None:
            continue
        try:
            day = date(*map(int, match.groups()))
        except ValueError:
            continue
        if day.year >= _EARLIEST:
            found.append(day)
    return found


def spellings_of_date(day: date) -> Iterator[str]:
    """The day as machines and people write it."""
    year, month, number = f"{day.year:04}", f"{day.month:02}", f"{day.day:02}"
    yield year + month + number
    for sign in "-./":
        yield sign.join((year, month, number))
        yield sign.join((number, month, year))
        yield sign.join((month, number, year))
    names = _MONTHS[day.month - 1]
    for name in (names, names[:3]):
        yield from (f"{number} {name} {year}", f"{number}-{name}-{year}", f"{number}{name}{year}")
        yield from (f"{name} {day.day}, {year}", f"{day.day} {name} {year}")


_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def written(text: str) -> frozenset[bytes]:
    """The text in the bytes of every character set that has it; letters A to Z in lower case."""
    if text.isascii():
        plain = text.lower()
        return frozenset({plain.encode(), plain.encode("utf-16-le")})
    found = set()
    for spelled in {text, text.upper(), text.lower()}:
        for codec in _CODECS:
            try:
                found.add(_ESCAPES.sub(b"", spelled.encode(codec)).lower())
            except UnicodeEncodeError:
                continue
    return frozenset(found)
