"""PDUs to bytes (PS3.8 9.3). What cannot be written is a LocalProtocolError."""

import struct
from typing import assert_never

from router.dicom.ae_title import encode_ae_title
from router.dicom.errors import LocalProtocolError
from router.dicom.item_writer import (
    write_answered_context,
    write_item,
    write_proposed_context,
    write_user_information,
)
from router.dicom.pdus import (
    AAbort,
    AAssociateAc,
    AAssociateRj,
    AAssociateRq,
    AReleaseRp,
    AReleaseRq,
    ItemType,
    PDataTf,
    Pdu,
    PduType,
    PresentationDataValue,
)
from router.dicom.uids import encode_uid

# A P-DATA-TF with one presentation data value: type, length; item length, context, control.
DATA_HEADER = struct.Struct(">BxIIBB")
FRAGMENT_HEADER = struct.Struct(">IBB")

# Message control header (PS3.8 E.2).
COMMAND = 1
LAST = 2


def write_pdu(pdu: Pdu) -> bytes:
    """Return the bytes of a PDU; LocalProtocolError when a field does not fit its place."""
    try:
        return _write(pdu)
    except (struct.error, ValueError) as error:
        raise LocalProtocolError(f"{type(pdu).__name__}: {error}") from error


def data_header(context_id: int, length: int, control: int) -> bytes:
    """Return the 12 bytes before a fragment of `length` bytes that has a P-DATA-TF for itself."""
    return DATA_HEADER.pack(PduType.P_DATA_TF, length + 6, length + 2, context_id, control)


def _write(pdu: Pdu) -> bytes:
    match pdu:
        case AAssociateRq():
            return _associate_rq(pdu)
        case AAssociateAc():
            return _associate_ac(pdu)
        case AAssociateRj():
            return _framed(PduType.A_ASSOCIATE_RJ, bytes([0, pdu.result, pdu.source, pdu.reason]))
        case PDataTf():
            return _framed(PduType.P_DATA_TF, b"".join(map(_fragment, pdu.values)))
        case AReleaseRq():
            return _framed(PduType.A_RELEASE_RQ, bytes(4))
        case AReleaseRp():
            return _framed(PduType.A_RELEASE_RP, bytes(4))
        case AAbort():
            return _framed(PduType.A_ABORT, bytes([0, 0, pdu.source, pdu.reason]))
        case _:
            assert_never(pdu)


def _framed(kind: PduType, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def _associate_fields(pdu: AAssociateRq | AAssociateAc) -> bytes:
    return (
        struct.pack(">Hxx", pdu.protocol_version)
        + encode_ae_title(pdu.called_ae_title)
        + encode_ae_title(pdu.calling_ae_title)
        + bytes(32)
        + write_item(ItemType.APPLICATION_CONTEXT, encode_uid(pdu.application_context_name))
    )


def _associate_rq(pdu: AAssociateRq) -> bytes:
    contexts = b"".join(map(write_proposed_context, pdu.presentation_contexts))
    body = _associate_fields(pdu) + contexts + write_user_information(pdu.user_information)
    return _framed(PduType.A_ASSOCIATE_RQ, body)


def _associate_ac(pdu: AAssociateAc) -> bytes:
    contexts = b"".join(map(write_answered_context, pdu.presentation_contexts))
    body = _associate_fields(pdu) + contexts + write_user_information(pdu.user_information)
    return _framed(PduType.A_ASSOCIATE_AC, body)


def _fragment(value: PresentationDataValue) -> bytes:
    control = (COMMAND if value.is_command else 0) | (LAST if value.is_last else 0)
    return FRAGMENT_HEADER.pack(len(value.data) + 2, value.context_id, control) + value.data
