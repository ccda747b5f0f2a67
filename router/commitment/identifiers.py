"""Identifiers of queries at IMAGE level: what we ask, and the instance in an answer."""

from router.commitment.data_sets import NotUnderstood, Writer, value_of
from router.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN, decode_uid, is_valid_uid
from rules.encoded import EncodedDataSet, MalformedDataSet

SOP_INSTANCE_UID = 0x00080018
QUERY_LEVEL = 0x00080052
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E


def encode_identifier(study_uid: str, series_uid: str, transfer_syntax_uid: str) -> bytes:
    """Ask for the SOP instance UIDs of a series."""
    write = Writer(explicit=transfer_syntax_uid != IMPLICIT_VR_LITTLE_ENDIAN)
    return (
        write.uid(SOP_INSTANCE_UID, "")
        + write.element(QUERY_LEVEL, "CS", b"IMAGE ")
        + write.uid(STUDY_INSTANCE_UID, study_uid)
        + write.uid(SERIES_INSTANCE_UID, series_uid)
    )


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
