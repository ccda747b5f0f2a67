"""Items of A-ASSOCIATE PDUs to bytes (PS3.8 9.3.2 and 9.3.3, PS3.7 D.3.3)."""

import struct
from collections.abc import Iterable

from router.dicom.errors import LocalProtocolError
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
from router.dicom.uids import encode_uid

LONGEST_ITEM = 0xFFFF


def write_item(kind: ItemType, content: bytes) -> bytes:
    """Return an item: type, reserved byte, two bytes of length, content."""
    if len(content) > LONGEST_ITEM:
        raise LocalProtocolError(
            f"{kind.name} item of {len(content)} bytes: at most {LONGEST_ITEM}"
        )
    return struct.pack(">BxH", kind, len(content)) + content


def write_proposed_context(context: ProposedContext) -> bytes:
    """Return the item of one proposed presentation context."""
    content = struct.pack(">Bxxx", context.context_id)
    content += write_item(ItemType.ABSTRACT_SYNTAX, encode_uid(context.abstract_syntax))
    for uid in context.transfer_syntaxes:
        content += write_item(ItemType.TRANSFER_SYNTAX, encode_uid(uid))
    return write_item(ItemType.PRESENTATION_CONTEXT_RQ, content)


def write_answered_context(context: AnsweredContext) -> bytes:
    """Return the item that answers one presentation context."""
    content = struct.pack(">BxBx", context.context_id, context.result)
    content += write_item(ItemType.TRANSFER_SYNTAX, encode_uid(context.transfer_syntax))
    return write_item(ItemType.PRESENTATION_CONTEXT_AC, content)


def write_user_information(information: UserInformation) -> bytes:
    """Return the user information item with its sub-items in ascending order of type."""
    return write_item(ItemType.USER_INFORMATION, b"".join(_sub_items(information)))


def _sub_items(information: UserInformation) -> Iterable[bytes]:
    yield write_item(ItemType.MAXIMUM_LENGTH, struct.pack(">I", information.max_length))
    class_uid = encode_uid(information.implementation_class_uid)
    yield write_item(ItemType.IMPLEMENTATION_CLASS_UID, class_uid)
    if information.async_operations is not None:
        yield _async_operations(information.async_operations)
    yield from map(_role_selection, information.role_selections)
    if information.implementation_version_name is not None:
        name = information.implementation_version_name.encode("latin-1")
        yield write_item(ItemType.IMPLEMENTATION_VERSION_NAME, name)
    yield from map(_extended_negotiation, information.extended_negotiations)
    yield from map(_common_extended_negotiation, information.common_extended_negotiations)
    if information.user_identity is not None:
        yield _user_identity(information.user_identity)
    if information.user_identity_response is not None:
        response = _counted(information.user_identity_response)
        yield write_item(ItemType.USER_IDENTITY_AC, response)


def _async_operations(window: AsyncOperations) -> bytes:
    content = struct.pack(">HH", window.invoked, window.performed)
    return write_item(ItemType.ASYNC_OPERATIONS_WINDOW, content)


def _role_selection(role: RoleSelection) -> bytes:
    content = _counted(encode_uid(role.sop_class_uid)) + bytes([role.scu_role, role.scp_role])
    return write_item(ItemType.ROLE_SELECTION, content)


def _extended_negotiation(item: ExtendedNegotiation) -> bytes:
    content = _counted(encode_uid(item.sop_class_uid)) + item.application_information
    return write_item(ItemType.EXTENDED_NEGOTIATION, content)


def _common_extended_negotiation(item: CommonExtendedNegotiation) -> bytes:
    related = b"".join(_counted(encode_uid(u)) for u in item.related_general_sop_class_uids)
    content = _counted(encode_uid(item.sop_class_uid)) + _counted(
        encode_uid(item.service_class_uid)
    )
    return write_item(ItemType.COMMON_EXTENDED_NEGOTIATION, content + _counted(related))


def _user_identity(identity: UserIdentity) -> bytes:
    content = bytes([identity.identity_type, identity.response_requested])
    content += _counted(identity.primary) + _counted(identity.secondary)
    return write_item(ItemType.USER_IDENTITY_RQ, content)


def _counted(content: bytes) -> bytes:
    if len(content) > LONGEST_ITEM:
        raise LocalProtocolError(f"field of {len(content)} bytes: at most {LONGEST_ITEM}")
    return struct.pack(">H", len(content)) + content
