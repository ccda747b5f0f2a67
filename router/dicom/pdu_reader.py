"""The body of one whole PDU to its type (PS3.8 9.3). Finding where a PDU ends is pdu_stream's."""

from router.dicom.ae_title import decode_ae_title
from router.dicom.errors import RemoteProtocolError
from router.dicom.item_reader import (
    Fields,
    read_answered_context,
    read_proposed_context,
    read_user_information,
)
from router.dicom.limits import Limits
from router.dicom.pdu_writer import COMMAND, LAST
from router.dicom.pdus import (
    AAbort,
    AAssociateAc,
    AAssociateRj,
    AAssociateRq,
    AnsweredContext,
    AReleaseRp,
    AReleaseRq,
    ItemType,
    PDataTf,
    Pdu,
    PduType,
    PresentationDataValue,
    ProposedContext,
    UserInformation,
)
from router.dicom.reasons import AbortReason


def read_pdu(kind: int, body: bytes, limits: Limits) -> Pdu:
    """Return the PDU of type `kind` whose bytes after the six of its header are `body`."""
    match kind:
        case PduType.A_ASSOCIATE_RQ:
            return _associate_rq(body, limits)
        case PduType.A_ASSOCIATE_AC:
            return _associate_ac(body, limits)
        case PduType.A_ASSOCIATE_RJ:
            fields = Fields(body, "A-ASSOCIATE-RJ")
            fields.take(1)
            return AAssociateRj(
                result=fields.number(1), source=fields.number(1), reason=fields.number(1)
            )
        case PduType.P_DATA_TF:
            return _data_tf(body)
        case PduType.A_RELEASE_RQ:
            return AReleaseRq()
        case PduType.A_RELEASE_RP:
            return AReleaseRp()
        case PduType.A_ABORT:
            fields = Fields(body, "A-ABORT")
            fields.take(2)
            return AAbort(source=fields.number(1), reason=fields.number(1))
        case _:
            raise unrecognized_pdu(kind)


_OTHER_PROTOCOLS = {
    **dict.fromkeys(b"GHPO", ": this is HTTP, not DICOM (another port?)"),
    **dict.fromkeys((0x14, 0x15, 0x16), ": this is TLS, and DICOM without it was expected"),
}
"""What the first byte is of: the usual mistakes in a setting."""


def unrecognized_pdu(kind: int) -> RemoteProtocolError:
    """Return the error for a first byte that is no PDU type."""
    return RemoteProtocolError(
        f"unrecognized PDU type {kind:02X}H{_OTHER_PROTOCOLS.get(kind, '')}",
        abort_reason=AbortReason.UNRECOGNIZED_PDU,
    )


def _associate_rq(body: bytes, limits: Limits) -> AAssociateRq:
    fields = Fields(body, "A-ASSOCIATE-RQ")
    version, called, calling = _titles(fields)
    name = ""
    contexts: list[ProposedContext] = []
    information: UserInformation | None = None
    for kind, content in fields.items(limits.items):
        if kind == ItemType.PRESENTATION_CONTEXT_RQ:
            _check_count(len(contexts), limits)
            contexts.append(read_proposed_context(content, limits))
        elif kind == ItemType.APPLICATION_CONTEXT:
            name = _application_context_name(content)
        elif kind == ItemType.USER_INFORMATION:
            information = _once(information, read_user_information(content, limits))
    _check_identifiers([context.context_id for context in contexts])
    return AAssociateRq(
        called_ae_title=called,
        calling_ae_title=calling,
        presentation_contexts=tuple(contexts),
        user_information=_required(information),
        application_context_name=name,
        protocol_version=version,
    )


def _associate_ac(body: bytes, limits: Limits) -> AAssociateAc:
    fields = Fields(body, "A-ASSOCIATE-AC")
    version, called, calling = _titles(fields)
    name = ""
    contexts: list[AnsweredContext] = []
    information: UserInformation | None = None
    for kind, content in fields.items(limits.items):
        if kind == ItemType.PRESENTATION_CONTEXT_AC:
            _check_count(len(contexts), limits)
            contexts.append(read_answered_context(content, limits))
        elif kind == ItemType.APPLICATION_CONTEXT:
            name = _application_context_name(content)
        elif kind == ItemType.USER_INFORMATION:
            information = _once(information, read_user_information(content, limits))
    _check_identifiers([context.context_id for context in contexts])
    return AAssociateAc(
        called_ae_title=called,
        calling_ae_title=calling,
        presentation_contexts=tuple(contexts),
        user_information=_required(information),
        application_context_name=name,
        protocol_version=version,
    )


def _titles(fields: Fields) -> tuple[int, str, str]:
    version = fields.number(2)
    fields.take(2)
    called = decode_ae_title(fields.take(16))
    calling = decode_ae_title(fields.take(16))
    fields.take(32)
    return version, called, calling


def _application_context_name(content: bytes) -> str:
    return content.decode("latin-1").rstrip("\0 ")


def _check_count(count: int, limits: Limits) -> None:
    if count >= limits.presentation_contexts:
        raise RemoteProtocolError(f"more than {limits.presentation_contexts} presentation contexts")


def _check_identifiers(identifiers: list[int]) -> None:
    # Even identifiers are against PS3.8 9.3.2.2 but clear; the same one twice is not.
    if len(set(identifiers)) != len(identifiers):
        raise RemoteProtocolError("presentation context identifier used twice")


def _once(before: UserInformation | None, information: UserInformation) -> UserInformation:
    if before is not None:
        raise RemoteProtocolError("two user information items")
    return information


def _required(information: UserInformation | None) -> UserInformation:
    if information is None:
        raise RemoteProtocolError("no user information item")
    return information


def _data_tf(body: bytes) -> PDataTf:
    fields = Fields(body, "P-DATA-TF")
    values: list[PresentationDataValue] = []
    while fields.left:
        value = Fields(fields.take(fields.number(4)), "presentation data value")
        context_id = value.number(1)
        control = value.number(1)
        values.append(
            PresentationDataValue(
                context_id=context_id,
                is_command=bool(control & COMMAND),
                is_last=bool(control & LAST),
                data=value.rest(),
            )
        )
    return PDataTf(values=tuple(values))
