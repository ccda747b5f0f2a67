"""Command sets to bytes and back: group 0000 in implicit VR little endian (PS3.7 6.3 and annex E).

Unknown and retired elements are skipped. What is wrong with a command set is the DIMSE service
user's to refuse, so its errors abort with source 0.
"""

import dataclasses
import struct
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final, get_args

from router.dicom.commands import Command, Request, Response
from router.dicom.errors import LocalProtocolError, RemoteProtocolError
from router.dicom.reasons import AbortReason, AbortSource

NO_DATA_SET = 0x0101
"""Command Data Set Type that says that no data set follows (PS3.7 E.1)."""
DATA_SET = 0x0001

_HEADER = struct.Struct("<HHI")
_HEADER_LENGTH = _HEADER.size
_COMMAND_FIELD = 0x0100
_DATA_SET_TYPE = 0x0800
_Value = int | str | tuple[int, ...]


def encode_command(command: Command, has_data: bool) -> bytes:
    """Return the bytes of a command set; LocalProtocolError when a value does not fit."""
    layout = _LAYOUTS[command.COMMAND_FIELD]
    parts = []
    for element, name, form in layout.elements:
        if form is None:
            data_set_type = _WITH_DATA if has_data else _WITHOUT_DATA
            parts.append(layout.command_field if element == _COMMAND_FIELD else data_set_type)
            continue
        value = getattr(command, name)
        if value is None or value == ():
            continue
        try:
            encoded = form.encode(value)
        except (struct.error, ValueError) as error:
            raise LocalProtocolError(f"{type(command).__name__} {name}: {error}") from error
        parts.append(_HEADER.pack(0, element, len(encoded)) + encoded)
    body = b"".join(parts)
    return _HEADER.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


def decode_command(data: bytes | bytearray | memoryview) -> tuple[Command, bool]:
    """Return the command and whether a data set follows; RemoteProtocolError when it is none."""
    elements = _elements(bytes(data))
    layout = _LAYOUTS.get(_number(elements, _COMMAND_FIELD, "command field"))
    if layout is None:
        raise _refused("unknown command field")
    values: dict[str, _Value] = {}
    for element, name, form in layout.elements:
        field = elements.get(element)
        if field and form:
            try:
                values[name] = form.decode(field)
            except (struct.error, ValueError) as error:
                raise _refused(f"{layout.type.__name__} {name}: {error}") from error
    if not layout.required <= values.keys():
        missing = ", ".join(sorted(layout.required - values.keys()))
        raise _refused(f"{layout.type.__name__} without {missing}")
    has_data = _number(elements, _DATA_SET_TYPE, "command data set type") != NO_DATA_SET
    return layout.type(**values), has_data


def _elements(data: bytes) -> dict[int, bytes]:
    """Split a command set into element number -> value."""
    elements: dict[int, bytes] = {}
    at, end = 0, len(data)
    while at < end:
        start = at + _HEADER_LENGTH
        if start > end:
            raise _refused("command set ends inside an element")
        group, element, length = _HEADER.unpack_from(data, at)
        if group:
            raise _refused(f"element of group {group:04X} in a command set")
        at = start + length
        if at > end:
            raise _refused(f"element (0000,{element:04X}) longer than the command set")
        elements[element] = data[start:at]
    return elements


def _number(elements: Mapping[int, bytes], element: int, name: str) -> int:
    field = elements.get(element)
    if field is None or len(field) != 2:
        raise _refused(f"command set without a valid {name}")
    return int.from_bytes(field, "little")


def _refused(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        message, abort_source=AbortSource.USER, abort_reason=AbortReason.NOT_SPECIFIED
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """How the value of one kind of field is encoded and decoded."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], _Value]


def _encode_number(value: int) -> bytes:
    return struct.pack("<H", value)


def _decode_number(field: bytes) -> int:
    if len(field) != 2:
        raise ValueError(f"{len(field)} bytes where 2 are expected")
    return int.from_bytes(field, "little")


def _encode_uid(value: str) -> bytes:
    encoded = value.encode("ascii")
    return encoded + b"\0" if len(encoded) % 2 else encoded


def _decode_uid(field: bytes) -> str:
    return field.decode("latin-1").rstrip("\0 ")


def _encode_title(value: str) -> bytes:
    encoded = value.encode("latin-1")
    if len(encoded) > 16:
        raise ValueError("an AE title has at most 16 characters")
    return encoded + b" " if len(encoded) % 2 else encoded


def _decode_text(field: bytes) -> str:
    return field.decode("latin-1").strip(" \0")


def _encode_comment(value: str) -> bytes:
    # For people to read, so cut to what LO allows rather than refused.
    encoded = value.encode("ascii", "replace")[:64]
    return encoded + b" " if len(encoded) % 2 else encoded


def _encode_tags(value: tuple[int, ...]) -> bytes:
    return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)


def _decode_tags(field: bytes) -> tuple[int, ...]:
    if len(field) % 4:
        raise ValueError(f"{len(field)} bytes are no list of tags")
    return tuple((group << 16) | element for group, element in struct.iter_unpack("<HH", field))


_NUMBER = _Form(_encode_number, _decode_number)
_UID = _Form(_encode_uid, _decode_uid)
_TITLE = _Form(_encode_title, _decode_text)
_COMMENT = _Form(_encode_comment, _decode_text)
_TAGS = _Form(_encode_tags, _decode_tags)

# Element numbers and forms of PS3.7 annex E, by field.
_FIELDS: Final[Mapping[str, tuple[int, _Form]]] = {
    "affected_sop_class_uid": (0x0002, _UID),
    "requested_sop_class_uid": (0x0003, _UID),
    "message_id": (0x0110, _NUMBER),
    "message_id_being_responded_to": (0x0120, _NUMBER),
    "move_destination": (0x0600, _TITLE),
    "priority": (0x0700, _NUMBER),
    "status": (0x0900, _NUMBER),
    "offending_element": (0x0901, _TAGS),
    "error_comment": (0x0902, _COMMENT),
    "error_id": (0x0903, _NUMBER),
    "affected_sop_instance_uid": (0x1000, _UID),
    "requested_sop_instance_uid": (0x1001, _UID),
    "event_type_id": (0x1002, _NUMBER),
    "attribute_identifier_list": (0x1005, _TAGS),
    "action_type_id": (0x1008, _NUMBER),
    "number_of_remaining_suboperations": (0x1020, _NUMBER),
    "number_of_completed_suboperations": (0x1021, _NUMBER),
    "number_of_failed_suboperations": (0x1022, _NUMBER),
    "number_of_warning_suboperations": (0x1023, _NUMBER),
    "move_originator_ae_title": (0x1030, _TITLE),
    "move_originator_message_id": (0x1031, _NUMBER),
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """One type's elements in ascending order; the two that no field holds have no form."""

    type: Callable[..., Command]
    elements: tuple[tuple[int, str, _Form | None], ...]
    required: frozenset[str]
    command_field: bytes


def _us_element(element: int, value: int) -> bytes:
    return struct.pack("<HHIH", 0, element, 2, value)


def _layout(command_type: type[Command]) -> _Layout:
    fields = dataclasses.fields(command_type)
    elements: list[tuple[int, str, _Form | None]] = [
        (_COMMAND_FIELD, "", None),
        (_DATA_SET_TYPE, "", None),
    ]
    for field in fields:
        element, form = _FIELDS[field.name]
        elements.append((element, field.name, form))
    return _Layout(
        type=command_type,
        elements=tuple(sorted(elements, key=itemgetter(0))),
        required=frozenset(f.name for f in fields if f.default is dataclasses.MISSING),
        command_field=_us_element(_COMMAND_FIELD, command_type.COMMAND_FIELD),
    )


_WITH_DATA = _us_element(_DATA_SET_TYPE, DATA_SET)
_WITHOUT_DATA = _us_element(_DATA_SET_TYPE, NO_DATA_SET)
COMMAND_TYPES: Final[tuple[type[Command], ...]] = get_args(Request) + get_args(Response)
_LAYOUTS: Final[Mapping[int, _Layout]] = {
    command_type.COMMAND_FIELD: _layout(command_type) for command_type in COMMAND_TYPES
}
