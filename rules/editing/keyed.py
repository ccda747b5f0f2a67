"""Carries out `hash`, `new_uid` and `shift_dates` on a draft."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

from rules.editing.schema_keyed import Hashing, Renumbering, Shifting
from rules.editing.shifting import NoDate, shifted
from rules.encoded.draft import Draft, EditFailed
from rules.encoded.values import is_creator
from rules.resources import Key, KeyUnknown
from rules.tags import AttributePath, Tag

DICOM_ROOT = "1.2.840.10008."
"""UIDs below it have one meaning for all the world: classes, syntaxes, well-known instances."""
NAMING = frozenset(
    {
        0x0008001A, 0x0008001B, 0x00080016, 0x00080062, 0x0008010C, 0x0008010D, 0x00080117,
        0x00080118, 0x00081150, 0x0008115A, 0x00083002, 0x00041510, 0x00041512, 0x0004151A,
        0x00280304, 0x04000010, 0x00020010,
    }
)  # fmt: skip
"""Attributes that name classes, syntaxes and code systems, also those of vendors."""


def hash_values(draft: Draft, hashing: Hashing) -> None:
    """Every value by the pseudonym that it has under the key; values of several attributes that
    are the same stay the same."""

    for path in hashing.tag:
        for level in draft.at(path.steps[:-1]):
            _change(level, path.tag, lambda text: pseudonym(hashing.secret, text, hashing.length))


def pseudonym(key: Key | None, value: str, length: int) -> str:
    """Capitals and digits that stand for the value under the key."""
    digest = base64.b32encode(_digest(key, "hash", value.strip()))
    return digest.decode("ascii")[:length]


def renumber(draft: Draft, renumbering: Renumbering) -> None:
    """UIDs of the key in place of those that are there."""
    for level, tag in _chosen(draft, renumbering.tag, renumbering.except_, frozenset({"UI"})):
        if tag.number not in NAMING:
            _change(level, tag, lambda uid: new_uid(renumbering.secret, uid))


def new_uid(key: Key | None, value: str) -> str:
    """A UID below 2.25 (PS3.5 B.2) from the first 128 bits of a keyed digest; one that DICOM
    defines as it is."""
    if value.startswith(DICOM_ROOT):
        return value
    number = int.from_bytes(_digest(key, "uid", value)[:16], "big")
    return f"2.25.{number}"


def shift_dates(draft: Draft, shifting: Shifting) -> None:
    """All dates by the same number of days. EditFailed for a value that is no date."""
    days = shifting.days if shifting.days is not None else _keyed_days(draft, shifting)
    chosen = _chosen(draft, shifting.tag, shifting.except_, frozenset({"DA", "DT"}))
    for level, tag in chosen:
        vr = level.vr_at(level.number(tag) or 0)
        try:
            _change(level, tag, lambda value, vr=vr: shifted(vr, value, days))  # type: ignore[misc]
        except NoDate:
            raise EditFailed(f"{tag} is no date that can be moved") from None


def _keyed_days(draft: Draft, shifting: Shifting) -> int:
    """1 to `within` days back, never none."""
    found = [level.values(shifting.by.tag) for level in draft.at(shifting.by.steps[:-1])]
    who = "\\".join(value for values in found for value in values or ())
    if not who:
        raise EditFailed(f"{shifting.by} is absent or empty")
    return days_back(shifting.secret, who, shifting.within)


def days_back(key: Key | None, who: str, within: int) -> int:
    """From -1 to -`within`, the same for the same `who`."""
    number = int.from_bytes(_digest(key, "days", who)[:8], "big")
    return -1 - number % within


def _chosen(
    draft: Draft,
    paths: tuple[AttributePath, ...],
    spared: tuple[AttributePath, ...],
    vrs: frozenset[str],
) -> Iterator[tuple[Draft, Tag]]:
    """The attributes that are named, or all of these VRs at every level; without the spared."""
    but = {
        (id(level), level.number(path.tag))
        for path in spared
        for level in draft.at(path.steps[:-1])
    }
    if paths:
        named = [(level, path.tag) for path in paths for level in draft.at(path.steps[:-1])]
    else:
        every = [(level, number) for level, number, vr in draft.every() if vr in vrs]
        named = [(level, Tag(number >> 16, number & 0xFFFF)) for level, number in every]
    for level, tag in named:
        number = level.number(tag)
        if number is not None and not is_creator(number) and (id(level), number) not in but:
            yield level, tag


def _change(level: Draft, tag: Tag, change: Callable[[str], str]) -> None:
    values = level.values(tag)
    if values and any(values):
        level.write_text(tag, "\\".join(change(value) if value else "" for value in values))


def _digest(key: Key | None, purpose: str, text: str) -> bytes:
    assert key is not None  # the models see to it
    try:
        return key.digest(purpose, text)
    except KeyUnknown as unknown:
        raise EditFailed(str(unknown)) from None
