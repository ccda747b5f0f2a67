"""DIMSE messages: one frozen type per command set (PS3.7 9.3, 10.3 and annex E).

Fields are the keywords of PS3.7 annex E in snake case. Whether a data set follows is not part of
a command: `encode_command` takes it and `decode_command` returns it. A field of `None` or `()` is
an element that is not there. Tags in lists are numbers, 0xGGGGEEEE.
"""

from dataclasses import dataclass
from typing import ClassVar

MEDIUM = 0x0000
HIGH = 0x0001
LOW = 0x0002
"""Priorities (PS3.7 E.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CStoreRq:
    """C-STORE-RQ (PS3.7 9.3.1.1)."""

    COMMAND_FIELD: ClassVar = 0x0001
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    priority: int = MEDIUM
    move_originator_ae_title: str | None = None
    move_originator_message_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CStoreRsp:
    """C-STORE-RSP (PS3.7 9.3.1.2)."""

    COMMAND_FIELD: ClassVar = 0x8001
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str | None = None
    affected_sop_instance_uid: str | None = None
    offending_element: tuple[int, ...] = ()
    error_comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CFindRq:
    """C-FIND-RQ (PS3.7 9.3.2.1)."""

    COMMAND_FIELD: ClassVar = 0x0020
    message_id: int
    affected_sop_class_uid: str
    priority: int = MEDIUM


@dataclass(frozen=True, slots=True, kw_only=True)
class CFindRsp:
    """C-FIND-RSP (PS3.7 9.3.2.2)."""

    COMMAND_FIELD: ClassVar = 0x8020
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str | None = None
    offending_element: tuple[int, ...] = ()
    error_comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CGetRq:
    """C-GET-RQ (PS3.7 9.3.3.1)."""

    COMMAND_FIELD: ClassVar = 0x0010
    message_id: int
    affected_sop_class_uid: str
    priority: int = MEDIUM


@dataclass(frozen=True, slots=True, kw_only=True)
class CGetRsp:
    """C-GET-RSP (PS3.7 9.3.3.2)."""

    COMMAND_FIELD: ClassVar = 0x8010
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str | None = None
    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    offending_element: tuple[int, ...] = ()
    error_comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CMoveRq:
    """C-MOVE-RQ (PS3.7 9.3.4.1)."""

    COMMAND_FIELD: ClassVar = 0x0021
    message_id: int
    affected_sop_class_uid: str
    move_destination: str
    priority: int = MEDIUM


@dataclass(frozen=True, slots=True, kw_only=True)
class CMoveRsp:
    """C-MOVE-RSP (PS3.7 9.3.4.2)."""

    COMMAND_FIELD: ClassVar = 0x8021
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str | None = None
    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    offending_element: tuple[int, ...] = ()
    error_comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CEchoRq:
    """C-ECHO-RQ (PS3.7 9.3.5.1)."""

    COMMAND_FIELD: ClassVar = 0x0030
    message_id: int
    affected_sop_class_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CEchoRsp:
    """C-ECHO-RSP (PS3.7 9.3.5.2)."""

    COMMAND_FIELD: ClassVar = 0x8030
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str | None = None
    error_comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CCancelRq:
    """C-CANCEL-RQ of a C-FIND, C-GET or C-MOVE (PS3.7 9.3.2.3)."""

    COMMAND_FIELD: ClassVar = 0x0FFF
    message_id_being_responded_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NEventReportRq:
    """N-EVENT-REPORT-RQ (PS3.7 10.3.1.1)."""

    COMMAND_FIELD: ClassVar = 0x0100
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    event_type_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NGetRq:
    """N-GET-RQ (PS3.7 10.3.2.1)."""

    COMMAND_FIELD: ClassVar = 0x0110
    message_id: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    attribute_identifier_list: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NSetRq:
    """N-SET-RQ (PS3.7 10.3.3.1)."""

    COMMAND_FIELD: ClassVar = 0x0120
    message_id: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NActionRq:
    """N-ACTION-RQ (PS3.7 10.3.4.1)."""

    COMMAND_FIELD: ClassVar = 0x0130
    message_id: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    action_type_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NCreateRq:
    """N-CREATE-RQ (PS3.7 10.3.5.1); without an instance UID the performer makes one."""

    COMMAND_FIELD: ClassVar = 0x0140
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NDeleteRq:
    """N-DELETE-RQ (PS3.7 10.3.6.1)."""

    COMMAND_FIELD: ClassVar = 0x0150
    message_id: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizedRsp:
    """What all DIMSE-N responses have; the last four tell of a failure (PS3.7 annex C)."""

    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str | None = None
    affected_sop_instance_uid: str | None = None
    error_comment: str | None = None
    error_id: int | None = None
    offending_element: tuple[int, ...] = ()
    attribute_identifier_list: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NEventReportRsp(NormalizedRsp):
    """N-EVENT-REPORT-RSP (PS3.7 10.3.1.2)."""

    COMMAND_FIELD: ClassVar = 0x8100
    event_type_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NGetRsp(NormalizedRsp):
    """N-GET-RSP (PS3.7 10.3.2.2)."""

    COMMAND_FIELD: ClassVar = 0x8110


@dataclass(frozen=True, slots=True, kw_only=True)
class NSetRsp(NormalizedRsp):
    """N-SET-RSP (PS3.7 10.3.3.2)."""

    COMMAND_FIELD: ClassVar = 0x8120


@dataclass(frozen=True, slots=True, kw_only=True)
class NActionRsp(NormalizedRsp):
    """N-ACTION-RSP (PS3.7 10.3.4.2)."""

    COMMAND_FIELD: ClassVar = 0x8130
    action_type_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NCreateRsp(NormalizedRsp):
    """N-CREATE-RSP (PS3.7 10.3.5.2)."""

    COMMAND_FIELD: ClassVar = 0x8140


@dataclass(frozen=True, slots=True, kw_only=True)
class NDeleteRsp(NormalizedRsp):
    """N-DELETE-RSP (PS3.7 10.3.6.2)."""

    COMMAND_FIELD: ClassVar = 0x8150


CompositeRq = CStoreRq | CFindRq | CGetRq | CMoveRq | CEchoRq | CCancelRq
CompositeRsp = CStoreRsp | CFindRsp | CGetRsp | CMoveRsp | CEchoRsp
NormalizedRq = NEventReportRq | NGetRq | NSetRq | NActionRq | NCreateRq | NDeleteRq
NormalizedResponse = NEventReportRsp | NGetRsp | NSetRsp | NActionRsp | NCreateRsp | NDeleteRsp
Request = CompositeRq | NormalizedRq
Response = CompositeRsp | NormalizedResponse
Command = Request | Response
