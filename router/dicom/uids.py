"""Unique identifiers that code speaks of by name; pydicom's dictionary knows the rest."""

import re
from functools import cache
from typing import Final

# Ours, fixed for ever: 2.25 and a UUID drawn once (PS3.5 B.2).
IMPLEMENTATION_CLASS_UID: Final = "2.25.272800865391500293163026327602754899798"
IMPLEMENTATION_VERSION_NAME: Final = "DICOM_ROUTER_01"
PRIVATE_INFORMATION_CREATOR: Final = IMPLEMENTATION_CLASS_UID + ".1"
"""(0002,0100): says that (0002,0102) holds our JSON object, what only the network knew."""

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
VERIFICATION: Final = "1.2.840.10008.1.1"
STORAGE_COMMITMENT_PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
STORAGE_SERVICE_CLASS: Final = "1.2.840.10008.4.2"
MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

LONGEST_UID = 64

_COMPONENTS = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")

_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."


def is_valid_uid(uid: str) -> bool:
    """Return whether `uid` is well formed: at most 64 characters, numbers without leading zeros
    joined by dots (PS3.5 9.1)."""
    return len(uid) <= LONGEST_UID and _COMPONENTS.fullmatch(uid) is not None


@cache
def storage_sop_classes() -> frozenset[str]:
    """The standard's storage SOP classes that the dictionary has, retired ones included."""
    return frozenset(
        uid
        for uid, name in _sop_classes().items()
        if "Storage" in name and "Storage Commitment" not in name and uid != MEDIA_STORAGE_DIRECTORY
    )


def is_standard_storage(uid: str) -> bool:
    """Return whether `uid` is a storage SOP class of the standard, one newer than the dictionary
    included: nothing but the standard gets UIDs under its root for composite objects."""
    if uid in storage_sop_classes():
        return True
    return uid.startswith(_STORAGE_ROOT) and may_be_storage(uid) and is_valid_uid(uid)


def may_be_storage(uid: str) -> bool:
    """Return whether `uid` can be stored: a storage SOP class of the standard, or a class the
    dictionary does not know (private, or newer than the dictionary)."""
    return uid in storage_sop_classes() or not _sop_classes().get(uid)


def encode_uid(uid: str) -> bytes:
    """Return a UID as PDUs and items hold it, without padding; ValueError when not ISO 8859-1."""
    return uid.encode("latin-1")


def decode_uid(field: bytes | memoryview) -> str:
    """Return the UID in a field, without the padding (NUL, or spaces as some write) behind it."""
    return str(field, "latin-1").rstrip("\0 ")


@cache
def _sop_classes() -> dict[str, str]:
    """Names of the dictionary's SOP classes; some have none."""
    # All of pydicom comes with it, a quarter of a second that a command which only sends does
    # not wait for.
    from pydicom._uid_dict import UID_dictionary

    return {
        uid: name for uid, (name, kind, *_) in UID_dictionary.items() if kind.endswith("SOP Class")
    }
