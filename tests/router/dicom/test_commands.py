"""Command sets to bytes and back: by ourselves, and judged by pynetdicom and pydicom."""

import dataclasses
from io import BytesIO

import pytest
from hypothesis import given
from pydicom.dataset import Dataset
from pynetdicom import dimse_messages
from pynetdicom.dsutils import decode, encode

from router.dicom.command_sets import COMMAND_TYPES, NO_DATA_SET, decode_command, encode_command
from router.dicom.commands import (
    CEchoRq,
    CEchoRsp,
    Command,
    CStoreRq,
    CStoreRsp,
    NActionRsp,
    NGetRq,
)
from router.dicom.errors import LocalProtocolError, RemoteProtocolError
from router.dicom.uids import VERIFICATION
from tests.router.dicom.material import commands

KEYWORDS = {
    "message_id": "MessageID",
    "message_id_being_responded_to": "MessageIDBeingRespondedTo",
    "error_id": "ErrorID",
    "affected_sop_class_uid": "AffectedSOPClassUID",
    "affected_sop_instance_uid": "AffectedSOPInstanceUID",
    "requested_sop_class_uid": "RequestedSOPClassUID",
    "requested_sop_instance_uid": "RequestedSOPInstanceUID",
    "event_type_id": "EventTypeID",
    "action_type_id": "ActionTypeID",
    "move_originator_ae_title": "MoveOriginatorApplicationEntityTitle",
    "move_originator_message_id": "MoveOriginatorMessageID",
}


def keyword(name: str) -> str:
    """Return the keyword of PS3.7 annex E of a field."""
    return KEYWORDS.get(name) or "".join(part.capitalize() for part in name.split("_"))


def data_set(data: bytes) -> Dataset:
    return decode(BytesIO(data), is_implicit_vr=True, is_little_endian=True)


@given(commands)
def test_a_command_reads_back_with_and_without_a_data_set(command: Command) -> None:
    for has_data in (True, False):
        assert decode_command(encode_command(command, has_data)) == (command, has_data)


@given(commands)
def test_pydicom_reads_every_field_and_writes_the_same_bytes(command: Command) -> None:
    data = encode_command(command, has_data=False)
    judge = data_set(data)
    assert judge.CommandField == command.COMMAND_FIELD
    assert judge.CommandDataSetType == NO_DATA_SET
    assert judge.CommandGroupLength == len(data) - 12
    assert encode(judge, is_implicit_vr=True, is_little_endian=True) == data
    present = {
        keyword(f.name)
        for f in dataclasses.fields(command)
        if getattr(command, f.name) not in (None, ())
    }
    always = {"CommandGroupLength", "CommandField", "CommandDataSetType"}
    assert {element.keyword for element in judge} == present | always


@pytest.mark.parametrize("command_type", COMMAND_TYPES)
def test_pynetdicom_knows_each_message_by_the_same_number(command_type: type[Command]) -> None:
    name, _ = dimse_messages._MESSAGE_TYPES[command_type.COMMAND_FIELD]
    assert name.replace("-", "").upper() == command_type.__name__.upper()
    allowed = set(dimse_messages._COMMAND_SET_KEYWORDS[name])
    fields = {keyword(field.name) for field in dataclasses.fields(command_type)}
    # Failure details that PS3.7 annex C lists and it leaves out of its lists.
    assert fields - allowed <= {
        "OffendingElement",
        "ErrorComment",
        "ErrorID",
        "AttributeIdentifierList",
    }


def test_every_message_of_the_standard_has_a_type() -> None:
    assert len(COMMAND_TYPES) == 23
    assert len({command_type.COMMAND_FIELD for command_type in COMMAND_TYPES}) == 23


def test_the_bytes_of_an_echo() -> None:
    command = CEchoRq(message_id=1, affected_sop_class_uid=VERIFICATION)
    assert encode_command(command, has_data=False).hex(" ", 4) == (
        "00000000 04000000 38000000 00000200 12000000 312e322e 3834302e 31303030 382e312e "
        "31000000 00010200 00003000 00001001 02000000 01000000 00080200 00000101"
    )


def test_unknown_and_retired_elements_are_skipped() -> None:
    data = encode_command(CEchoRsp(message_id_being_responded_to=1, status=0), has_data=False)
    retired = b"\0\0\x10\x51\x04\0\0\0ABCD" + b"\0\0\x01\0\0\0\0\0"
    assert decode_command(data + retired)[0] == CEchoRsp(message_id_being_responded_to=1, status=0)


def test_a_wrong_group_length_does_not_matter() -> None:
    data = encode_command(CEchoRsp(message_id_being_responded_to=1, status=0), has_data=False)
    assert decode_command(data[12:]) == decode_command(data[:8] + b"\xff\0\0\0" + data[12:])


def test_an_empty_element_is_an_absent_one() -> None:
    data = encode_command(CEchoRsp(message_id_being_responded_to=1, status=0), has_data=False)
    command, _ = decode_command(data + b"\0\0\x02\x09\0\0\0\0" + b"\0\0\x02\0\0\0\0\0")
    assert command == CEchoRsp(message_id_being_responded_to=1, status=0)


def test_any_data_set_type_but_one_means_a_data_set() -> None:
    data = encode_command(CEchoRsp(message_id_being_responded_to=1, status=0), has_data=False)
    for kind in (0x0000, 0x0001, 0x0102, 0xFEFE):
        assert decode_command(data.replace(b"\x01\x01", kind.to_bytes(2, "little")))[1]


def test_uids_with_spaces_for_padding_are_read() -> None:
    command = CEchoRq(message_id=1, affected_sop_class_uid="1.2.3.4")
    data = encode_command(command, has_data=False).replace(b"1.2.3.4\0", b"1.2.3.4 ")
    assert decode_command(data)[0] == command


def test_an_error_comment_is_cut_to_what_fits() -> None:
    response = CStoreRsp(message_id_being_responded_to=1, status=0xC000, error_comment="ä" * 100)
    decoded, _ = decode_command(encode_command(response, has_data=False))
    assert isinstance(decoded, CStoreRsp)
    assert decoded.error_comment == "?" * 64


@pytest.mark.parametrize(
    "command",
    [
        CEchoRq(message_id=65536, affected_sop_class_uid="1.2"),
        CEchoRq(message_id=-1, affected_sop_class_uid="1.2"),
        CEchoRq(message_id=1, affected_sop_class_uid="ä"),
        NGetRq(
            message_id=1,
            requested_sop_class_uid="1.2",
            requested_sop_instance_uid="1.2",
            attribute_identifier_list=(1 << 32,),
        ),
        CStoreRq(
            message_id=1,
            affected_sop_class_uid="1.2",
            affected_sop_instance_uid="1.3",
            move_originator_ae_title="SEVENTEEN LETTERS",
        ),
    ],
)
def test_what_does_not_fit_is_our_mistake(command: Command) -> None:
    with pytest.raises(LocalProtocolError):
        encode_command(command, has_data=False)


def element(number: int, value: bytes) -> bytes:
    return b"\0\0" + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


ECHO = element(0x0100, b"\x30\0") + element(0x0110, b"\x01\0") + element(0x0800, b"\x01\x01")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "command field"),
        (b"\0" * 7, "inside an element"),
        (element(0x0100, b"\x30\0")[:-1], "longer than"),
        (element(0x0100, b"\x30"), "command field"),
        (element(0x0100, b"\x99\x99"), "unknown command field"),
        (ECHO, "without affected_sop_class_uid"),
        (ECHO[:-10] + element(0x0002, b"1.2\0"), "data set type"),
        (ECHO[:10] + element(0x0110, b"\x01\0\0\0") + ECHO[20:], "message_id"),
        (b"\x08\0" + ECHO[2:], "group 0008"),
        (
            element(0x0100, b"\x30\x81") + element(0x0120, b"\x01\0") + element(0x0900, b"\0\0")
            + element(0x0901, b"\0\0\0") + element(0x0800, b"\x01\x01"),
            "tags",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_command_set_is_theirs(data: bytes, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words) as caught:
        decode_command(data)
    assert caught.value.abort_source == 0


def test_responses_carry_what_tells_of_a_failure() -> None:
    response = NActionRsp(
        message_id_being_responded_to=3,
        status=0x0119,
        error_comment="class and instance do not fit",
        error_id=4,
        attribute_identifier_list=(0x00081195,),
        action_type_id=1,
    )
    judge = data_set(encode_command(response, has_data=True))
    assert judge.AttributeIdentifierList == 0x00081195
    assert judge.ErrorID == 4
    assert judge.ActionTypeID == 1
