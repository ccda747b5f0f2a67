"""Names and groups of the UIDs that rules may write by name, from pydicom's dictionary."""

from __future__ import annotations

import re
from functools import cache

from pydicom._uid_dict import UID_dictionary

UID_FORM = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
LONGEST = 64  # characters, PS3.5 9.1

# Syntaxes whose pixel data is native; all others, private ones too, are taken as compressed.
NATIVE = frozenset(
    {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.20",
        "1.2.840.113619.5.2",
    }
)


def is_uid(text: str) -> bool:
    return len(text) <= LONGEST and UID_FORM.fullmatch(text) is not None


def name_of(uid: str) -> str:
    """The name of a UID, or the UID itself where it has none."""
    entry = UID_dictionary.get(uid)
    return entry[0] if entry else uid


def uid_named(text: str, category: str) -> str | None:
    """The UID for a UID, name, keyword or group (an object's group is one of its keys)."""
    if is_uid(text) or (category == "SOP Class" and text in GROUPS):
        return text
    return _names(category).get(_folded(text))


@cache
def groups_of(uid: str) -> tuple[str, ...]:
    """The groups a SOP class belongs to: image, sr, pr, rt, encapsulated."""
    entry = UID_dictionary.get(uid)
    if entry is None or entry[1] != "SOP Class":
        return ()
    return tuple(group for group, form in GROUPS.items() if form.search(entry[0]))


def _folded(text: str) -> str:
    """`CT Image Storage` and `CTImageStorage` are the same name; so is `ct image storage`."""
    return re.sub(r"[^a-z0-9]", "", text.casefold())


@cache
def _names(category: str) -> dict[str, str]:
    """Names and keywords; without what stands in parentheses or after a colon, if that is clear."""
    names: dict[str, str] = {}
    shorter: dict[str, set[str]] = {}
    for uid, (name, kind, _info, _retired, keyword) in UID_dictionary.items():
        if kind == category:
            names[_folded(name)] = names[_folded(keyword)] = uid
            shorter.setdefault(_folded(re.sub(r"\(.*?\)|:.*", "", name)), set()).add(uid)
    clear = {name: uids.pop() for name, uids in shorter.items() if len(uids) == 1}
    return {**clear, **names}


# image: whatever holds pixels but a dose; sr: whatever is a content tree.
GROUPS = {
    "image": re.compile(
        r"Image Storage\b|^Enhanced US Volume|^Segmentation Storage|^Parametric Map"
        r"|^Ophthalmic Thickness Map|^Corneal Topography Map|B-scan Volume Analysis"
    ),
    "sr": re.compile(r"\bSR Storage\b|^Key Object Selection|^Procedure Log|^Macular Grid"),
    "pr": re.compile(r"Presentation State Storage"),
    "rt": re.compile(
        r"\bRT\b.*Storage|^(?:C-Arm Photon|Tomotherapeutic|Robotic).*Radiation.*Storage"
    ),
    "encapsulated": re.compile(r"^Encapsulated .*Storage"),
}

NAMES: tuple[str, ...] = tuple(
    name for name, kind, *_ in UID_dictionary.values() if kind in ("SOP Class", "Transfer Syntax")
)
