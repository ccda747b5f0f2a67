"""Bytes to the items of A-ASSOCIATE PDUs (PS3.8 9.3.2 and 9.3.3, PS3.7 D.3.3).

Lengths are checked, reserved bytes ignored, unknown items skipped; anything else that is wrong is
a RemoteProtocolError.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from router.dicom.errors import RemoteProtocolError
from router.dicom.limits import SMALLEST_MAX_LENGTH, Limits
from router.dicom.pdus import (
    AnsweredContext,
    AsyncOperations,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    ItemType,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from router.dicom.uids import decode_uid

_ITEM_HEADER = struct.Struct(">BxH")
# A request has hundreds of these two; comparing with a member of an enumeration takes its time.
_ABSTRACT_SYNTAX = int(ItemType.ABSTRACT_SYNTAX)
_TRANSFER_SYNTAX = int(ItemType.TRANSFER_SYNTAX)


class Fields:
    """Takes fixed and counted fields, in order, from the content of one item."""

    __slots__ = ("_at", "_content", "_name")

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._content) - self._at

    def take(self, length: int) -> bytes:
        """Return the next `length` bytes."""
        end = self._at + length
        if end > len(self._content):
            raise RemoteProtocolError(f"{self._name}: length beyond its end")
        taken = self._content[self._at : end]
        self._at = end
        return taken

    def number(self, length: int) -> int:
        """Return the next `length` bytes as a big-endian number."""
        return int.from_bytes(self.take(length), "big")

    def counted(self) -> bytes:
        """Return the next field that is preceded by two bytes of length."""
        return self.take(self.number(2))

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(self.left)

    def items(self, most: int) -> Iterator[tuple[int, bytes]]:
        """Yield (type, content) of each item to the end; more than `most` are refused."""
        count = 0
        while self.left:
            count += 1
            if count > most:
                raise RemoteProtocolError(f"{self._name}: more than {most} items")
            kind, length = _ITEM_HEADER.unpack(self.take(_ITEM_HEADER.size))
            yield kind, self.take(length)


def read_proposed_context(content: bytes, limits: Limits) -> ProposedContext:
    """Read the content of a presentation context item of a request."""
    fields = Fields(content, "presentation context")
    context_id = fields.number(1)
    fields.take(3)
    abstract_syntax: str | None = None
    transfer_syntaxes: list[str] = []
    for kind, syntax in fields.items(limits.transfer_syntaxes + 1):
        if kind == _ABSTRACT_SYNTAX:
            abstract_syntax = decode_uid(syntax)
        elif kind == _TRANSFER_SYNTAX:
            transfer_syntaxes.append(decode_uid(syntax))
    if abstract_syntax is None:
        raise RemoteProtocolError("presentation context without abstract syntax")
    return ProposedContext(
        context_id=context_id,
        abstract_syntax=abstract_syntax,
        transfer_syntaxes=tuple(transfer_syntaxes),
    )


def read_answered_context(content: bytes, limits: Limits) -> AnsweredContext:
    """Read the content of a presentation context item of an acceptance."""
    fields = Fields(content, "presentation context")
    context_id = fields.number(1)
    fields.take(1)
    result = fields.number(1)
    fields.take(1)
    transfer_syntax = ""
    for kind, syntax in fields.items(limits.transfer_syntaxes + 1):
        if kind == _TRANSFER_SYNTAX:
            transfer_syntax = decode_uid(syntax)
    return AnsweredContext(context_id=context_id, result=result, transfer_syntax=transfer_syntax)


@dataclass(slots=True)
class _Gathered:
    """User information while its sub-items come in; of single ones the last counts."""

    max_length: int = 0
    class_uid: str = ""
    version_name: str | None = None
    async_operations: AsyncOperations | None = None
    roles: list[RoleSelection] = field(default_factory=list)
    extended: list[ExtendedNegotiation] = field(default_factory=list)
    common_extended: list[CommonExtendedNegotiation] = field(default_factory=list)
    identity: UserIdentity | None = None
    identity_response: bytes | None = None

    def add(self, kind: int, content: bytes) -> None:
        match kind:
            case ItemType.MAXIMUM_LENGTH:
                self.max_length = _max_length(content)
            case ItemType.IMPLEMENTATION_CLASS_UID:
                self.class_uid = decode_uid(content)
            case ItemType.ASYNC_OPERATIONS_WINDOW:
                self.async_operations = _async_operations(content)
            case ItemType.ROLE_SELECTION:
                self.roles.append(_role_selection(content))
            case ItemType.IMPLEMENTATION_VERSION_NAME:
                self.version_name = content.decode("latin-1").strip(" \0")
            case ItemType.EXTENDED_NEGOTIATION:
                self.extended.append(_extended_negotiation(content))
            case ItemType.COMMON_EXTENDED_NEGOTIATION:
                self.common_extended.append(_common_extended_negotiation(content))
            case ItemType.USER_IDENTITY_RQ:
                self.identity = _user_identity(content)
            case ItemType.USER_IDENTITY_AC:
                response = Fields(content, "user identity response")
                self.identity_response = response.counted()
            case _:
                pass  # PS3.8 9.3.1: items unknown to the receiver are ignored


def read_user_information(content: bytes, limits: Limits) -> UserInformation:
    """Read the content of a user information item."""
    gathered = _Gathered()
    for kind, item in Fields(content, "user information").items(limits.user_items):
        gathered.add(kind, item)
    return UserInformation(
        max_length=gathered.max_length,
        implementation_class_uid=gathered.class_uid,
        implementation_version_name=gathered.version_name,
        async_operations=gathered.async_operations,
        role_selections=tuple(gathered.roles),
        extended_negotiations=tuple(gathered.extended),
        common_extended_negotiations=tuple(gathered.common_extended),
        user_identity=gathered.identity,
        user_identity_response=gathered.identity_response,
    )


def _max_length(content: bytes) -> int:
    length = Fields(content, "maximum length").number(4)
    if 0 < length < SMALLEST_MAX_LENGTH:
        raise RemoteProtocolError(f"a maximum length of {length} bytes leaves no room for data")
    return length


def _async_operations(content: bytes) -> AsyncOperations:
    fields = Fields(content, "asynchronous operations window")
    return AsyncOperations(invoked=fields.number(2), performed=fields.number(2))


def _role_selection(content: bytes) -> RoleSelection:
    fields = Fields(content, "role selection")
    return RoleSelection(
        sop_class_uid=decode_uid(fields.counted()),
        scu_role=fields.number(1) == 1,
        scp_role=fields.number(1) == 1,
    )


def _extended_negotiation(content: bytes) -> ExtendedNegotiation:
    fields = Fields(content, "extended negotiation")
    return ExtendedNegotiation(
        sop_class_uid=decode_uid(fields.counted()),
        application_information=fields.rest(),
    )


def _common_extended_negotiation(content: bytes) -> CommonExtendedNegotiation:
    fields = Fields(content, "common extended negotiation")
    sop_class_uid = decode_uid(fields.counted())
    service_class_uid = decode_uid(fields.counted())
    related = Fields(fields.counted(), "related general SOP classes")
    return CommonExtendedNegotiation(
        sop_class_uid=sop_class_uid,
        service_class_uid=service_class_uid,
        related_general_sop_class_uids=tuple(map(decode_uid, _counted_fields(related))),
    )


def _counted_fields(fields: Fields) -> Iterator[bytes]:
    while fields.left:
        yield fields.counted()


def _user_identity(content: bytes) -> UserIdentity:
    fields = Fields(content, "user identity")
    return UserIdentity(
        identity_type=fields.number(1),
        response_requested=fields.number(1) == 1,
        primary=fields.counted(),
        secondary=fields.counted() if fields.left else b"",  # some leave out its length
    )
