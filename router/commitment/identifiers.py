"""Identifiers of queries (PS3.4 C.6): what we ask, and what an answer shows of an object."""

from collections.abc import Iterable, Mapping

from router.commitment.data_sets import NotUnderstood, Writer, value_of
from router.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN, decode_uid, is_valid_uid
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.tags import parse_path

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
ACCESSION_NUMBER = 0x00080050
QUERY_LEVEL = 0x00080052
PATIENT_ID = 0x00100020
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
INSTANCE_NUMBER = 0x00200013
STUDY_RELATED_SERIES = 0x00201206
STUDY_RELATED_INSTANCES = 0x00201208
SERIES_RELATED_INSTANCES = 0x00201209
NUMBER_OF_FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011

KEYWORDS = {
    SOP_CLASS_UID: "SOPClassUID",
    ACCESSION_NUMBER: "AccessionNumber",
    PATIENT_ID: "PatientID",
    STUDY_INSTANCE_UID: "StudyInstanceUID",
    SERIES_INSTANCE_UID: "SeriesInstanceUID",
    INSTANCE_NUMBER: "InstanceNumber",
    NUMBER_OF_FRAMES: "NumberOfFrames",
    ROWS: "Rows",
    COLUMNS: "Columns",
}
"""What is compared, as people call it."""

IMAGE_KEYS = (INSTANCE_NUMBER, NUMBER_OF_FRAMES, ROWS, COLUMNS)
"""What an object's header tells and a query at IMAGE level may, too."""
STUDY_KEYS = (ACCESSION_NUMBER, PATIENT_ID)

_VRS = {
    QUERY_LEVEL: "CS",
    ACCESSION_NUMBER: "SH",
    PATIENT_ID: "LO",
    INSTANCE_NUMBER: "IS",
    STUDY_RELATED_SERIES: "IS",
    STUDY_RELATED_INSTANCES: "IS",
    SERIES_RELATED_INSTANCES: "IS",
    NUMBER_OF_FRAMES: "IS",
    ROWS: "US",
    COLUMNS: "US",
}

Values = Mapping[int, str]
"""Tag to value as text; an attribute that is not there, or cannot be read, has no entry."""


def encode_identifier(
    level: str, known: Values, transfer_syntax_uid: str, *, wanted: Iterable[int] = ()
) -> bytes:
    """Ask at this level for what has the `known` values; `wanted`: what else is to be told."""
    write = Writer(explicit=transfer_syntax_uid != IMPLICIT_VR_LITTLE_ENDIAN)
    keys = {**dict.fromkeys(wanted, ""), **known, QUERY_LEVEL: level}
    return b"".join(_key(write, tag, keys[tag]) for tag in sorted(keys))


def _key(write: Writer, tag: int, value: str) -> bytes:
    vr = _VRS.get(tag, "UI")
    if vr == "UI":
        return write.uid(tag, value)
    return write.element(tag, vr, value.encode("ascii") + b" " * (len(value) % 2))


def read_identifier(data: bytes, transfer_syntax_uid: str) -> str:
    """The SOP instance UID of an answer; NotUnderstood where there is none."""
    try:
        level = EncodedDataSet.read(data, transfer_syntax_uid).root
        uid = decode_uid(value_of(level, SOP_INSTANCE_UID)).strip()
    except MalformedDataSet as error:
        raise NotUnderstood(f"malformed identifier: {error}") from None
    if not is_valid_uid(uid):
        raise NotUnderstood("no SOP Instance UID")
    return uid


def read_values(data: bytes, transfer_syntax_uid: str, tags: Iterable[int]) -> dict[int, str]:
    """What an answer says of these attributes; NotUnderstood for what is no data set."""
    try:
        return values_of(EncodedDataSet.read(data, transfer_syntax_uid), tags)
    except MalformedDataSet as error:
        raise NotUnderstood(f"malformed identifier: {error}") from None


def values_of(data_set: EncodedDataSet, tags: Iterable[int]) -> dict[int, str]:
    """These attributes of a data set, empty ones included; MalformedDataSet where it is damaged
    before the last of them."""
    found: dict[int, str] = {}
    for tag in tags:
        values = data_set.values(_PATHS[tag])
        if values is not None:
            found[tag] = values[0].strip(" \0") if values else ""
    return found


_PATHS = {
    tag: parse_path(f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
    for tag in (*KEYWORDS, *_VRS, SOP_INSTANCE_UID)
}
