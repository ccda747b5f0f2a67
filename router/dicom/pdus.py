"""What travels between two upper layers: one frozen type per PDU and item (PS3.8 9.3, PS3.7 D.3).

Types carry no behaviour. AE titles are without padding, UIDs without NULs, lengths in bytes.
"""

import enum
from dataclasses import dataclass, field

from router.dicom.reasons import ContextResult
from router.dicom.uids import (
    APPLICATION_CONTEXT,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)


class PduType(enum.IntEnum):
    """First byte of a PDU (PS3.8 9.3.1)."""

    A_ASSOCIATE_RQ = 1
    A_ASSOCIATE_AC = 2
    A_ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    A_RELEASE_RQ = 5
    A_RELEASE_RP = 6
    A_ABORT = 7


class ItemType(enum.IntEnum):
    """First byte of an item or sub-item (PS3.8 9.3.2, PS3.7 D.3.3)."""

    APPLICATION_CONTEXT = 0x10
    PRESENTATION_CONTEXT_RQ = 0x20
    PRESENTATION_CONTEXT_AC = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    ASYNC_OPERATIONS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION_NAME = 0x55
    EXTENDED_NEGOTIATION = 0x56
    COMMON_EXTENDED_NEGOTIATION = 0x57
    USER_IDENTITY_RQ = 0x58
    USER_IDENTITY_AC = 0x59


class IdentityType(enum.IntEnum):
    """What a user identity consists of (PS3.7 D.3.3.7.1)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS_TICKET = 3
    SAML_ASSERTION = 4
    JSON_WEB_TOKEN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedContext:
    """One presentation context of a request (PS3.8 9.3.2.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredContext:
    """The answer to one presentation context (PS3.8 9.3.3.2)."""

    context_id: int
    result: int = ContextResult.ACCEPTANCE
    transfer_syntax: str = ""  # not significant unless accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncOperations:
    """How many operations may be outstanding each way; 0 is unlimited (PS3.7 D.3.3.3)."""

    invoked: int = 1
    performed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSelection:
    """Which roles the association's requestor takes for one SOP class (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    scu_role: bool
    scp_role: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedNegotiation:
    """Application information of one SOP class, as its service class defines it (PS3.7 D.3.3.5)."""

    sop_class_uid: str
    application_information: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonExtendedNegotiation:
    """The service class and the general SOP classes a SOP class belongs to (PS3.7 D.3.3.6)."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserIdentity:
    """Who the requestor says he is; never shown in `repr` (PS3.7 D.3.3.7.1)."""

    identity_type: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    response_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInformation:
    """All user information of a request or an acceptance (PS3.7 D.3.3); unknown items are dropped.

    `max_length` is the longest P-DATA-TF its sender wants to get, 0 for any. A request may hold
    common extended negotiations and a user identity, an acceptance a user identity response.
    """

    max_length: int = 0
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str | None = IMPLEMENTATION_VERSION_NAME
    async_operations: AsyncOperations | None = None
    role_selections: tuple[RoleSelection, ...] = ()
    extended_negotiations: tuple[ExtendedNegotiation, ...] = ()
    common_extended_negotiations: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AAssociateRq:
    """A request for an association (PS3.8 9.3.2)."""

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AAssociateAc:
    """The acceptance of an association (PS3.8 9.3.3); its titles repeat the request's."""

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[AnsweredContext, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AAssociateRj:
    """The rejection of an association (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationDataValue:
    """A fragment of a command set or a data set (PS3.8 9.3.5.1, annex E.2)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PDataTf:
    """Fragments of messages (PS3.8 9.3.5); an association streams them and builds no such type."""

    values: tuple[PresentationDataValue, ...]


@dataclass(frozen=True, slots=True)
class AReleaseRq:
    """A request for release (PS3.8 9.3.6)."""


@dataclass(frozen=True, slots=True)
class AReleaseRp:
    """The answer to a request for release (PS3.8 9.3.7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AAbort:
    """The end of an association without agreement (PS3.8 9.3.8)."""

    source: int = 0
    reason: int = 0


Pdu = AAssociateRq | AAssociateAc | AAssociateRj | PDataTf | AReleaseRq | AReleaseRp | AAbort
