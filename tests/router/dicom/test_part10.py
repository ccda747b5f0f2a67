"""File meta information: written for pydicom to read, read as others write it."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from router.dicom.errors import MalformedMeta, NotPart10, Part10Error, TruncatedMeta
from router.dicom.part10 import FileMeta, FileMetaForm, encode_file_meta, read_file_meta
from tests.router.dicom.material import CT, EXPLICIT, texts, titles, uids

PLAIN = FileMeta(
    media_storage_sop_class_uid=CT,
    media_storage_sop_instance_uid="1.2.3.4.5",
    transfer_syntax_uid=EXPLICIT,
)
FULL = FileMeta(
    media_storage_sop_class_uid=CT,
    media_storage_sop_instance_uid="1.2.3.4.5",
    transfer_syntax_uid=EXPLICIT,
    source_ae_title="SOURCE",
    sending_ae_title="CT01",
    receiving_ae_title="ROUTER",
    private_information_creator_uid="2.25.1",
    private_information=b'{"listener":"main"}',
)
FILES = Path(pydicom.data.__file__).parent / "test_files"  # no function, which may download more
TEST_FILES = sorted(path for path in FILES.rglob("*.dcm"))
DATA_SET = b"\x08\0\x05\0CS\x0a\0ISO_IR 100"

metas = st.builds(
    FileMeta,
    media_storage_sop_class_uid=uids,
    media_storage_sop_instance_uid=uids,
    transfer_syntax_uid=uids,
    implementation_class_uid=uids,
    implementation_version_name=st.none() | texts.filter(bool),
    source_ae_title=st.none() | titles.filter(bool),
    sending_ae_title=st.none() | titles.filter(bool),
    receiving_ae_title=st.none() | titles.filter(bool),
) | st.builds(
    FileMeta,
    media_storage_sop_class_uid=uids,
    media_storage_sop_instance_uid=uids,
    transfer_syntax_uid=uids,
    private_information_creator_uid=uids,
    private_information=st.binary(max_size=50).map(lambda data: data.rstrip(b"\0")),
)


@given(metas, st.binary(min_size=128, max_size=128))
def test_meta_information_reads_back_with_the_data_set_behind_it(
    meta: FileMeta, preamble: bytes
) -> None:
    head = encode_file_meta(meta, preamble)
    assert head.startswith(preamble + b"DICM")
    assert read_file_meta(head + DATA_SET) == (meta, len(head))
    assert read_file_meta(memoryview(head)) == (meta, len(head))


@given(metas, uids, st.none() | st.binary(max_size=50).map(lambda data: data.rstrip(b"\0")))
def test_a_form_serves_for_every_instance(
    meta: FileMeta, sop_instance_uid: str, private_information: bytes | None
) -> None:
    head = FileMetaForm(meta).encode(sop_instance_uid, private_information)
    creator = meta.private_information_creator_uid if private_information is not None else None
    read, offset = read_file_meta(head + DATA_SET)
    assert read == replace(
        meta,
        media_storage_sop_instance_uid=sop_instance_uid,
        private_information_creator_uid=creator,
        private_information=private_information,
    )
    assert offset == len(head)


def test_pydicom_reads_every_element() -> None:
    file = dcmread(BytesIO(encode_file_meta(FULL) + DATA_SET))
    assert file.SpecificCharacterSet == "ISO_IR 100"
    meta = file.file_meta
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == FULL.implementation_class_uid
    assert meta.ImplementationVersionName == "DICOM_ROUTER_01"
    assert meta.SourceApplicationEntityTitle == "SOURCE"
    assert meta.SendingApplicationEntityTitle == "CT01"
    assert meta.ReceivingApplicationEntityTitle == "ROUTER"
    assert meta.PrivateInformationCreatorUID == "2.25.1"
    assert meta.PrivateInformation == b'{"listener":"main"}\0'


def test_the_group_length_counts_what_follows_it() -> None:
    head = encode_file_meta(FULL)
    assert head[132:140] == b"\x02\0\0\0UL\x04\0"
    assert int.from_bytes(head[140:144], "little") == len(head) - 144


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)
def test_every_file_of_pydicoms_reads_as_pydicom_reads_it(path: Path) -> None:
    data = path.read_bytes()
    try:
        judge = dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, ValueError, OSError, EOFError, TypeError):
        judge = None
    try:
        meta, offset = read_file_meta(data[:65536])
    except Part10Error:
        has_meta = judge is not None and judge.preamble and "TransferSyntaxUID" in judge.file_meta
        assert not has_meta
        return
    assert judge is not None
    assert meta.transfer_syntax_uid == judge.file_meta.TransferSyntaxUID
    class_uid = str(judge.file_meta.get("MediaStorageSOPClassUID", ""))
    assert meta.media_storage_sop_class_uid == class_uid
    assert data[offset : offset + 2] != b"\x02\0"


def test_without_group_length_the_group_is_walked() -> None:
    head = encode_file_meta(FULL)
    without = head[:132] + head[144:]
    assert read_file_meta(without + DATA_SET) == (FULL, len(head) - 12)


@pytest.mark.parametrize("length", [0, 10, 100_000])
def test_a_wrong_group_length_does_not_matter(length: int) -> None:
    head = encode_file_meta(FULL)
    wrong = head[:140] + length.to_bytes(4, "little") + head[144:]
    assert read_file_meta(wrong + DATA_SET) == (FULL, len(head))


def test_a_group_in_implicit_vr_is_understood() -> None:
    element = b"\x02\0\x10\0" + (20).to_bytes(4, "little") + EXPLICIT.encode() + b"\0"
    head = bytes(128) + b"DICM" + element
    meta, offset = read_file_meta(head + DATA_SET)
    assert meta.transfer_syntax_uid == EXPLICIT
    assert meta.media_storage_sop_class_uid == ""
    assert offset == len(head)


def test_every_shorter_head_is_said_to_be_cut_off() -> None:
    head = encode_file_meta(FULL)
    for length in range(128, len(head)):
        with pytest.raises(TruncatedMeta):
            read_file_meta(head[:length])


@pytest.mark.parametrize(
    "data",
    [DATA_SET * 20, bytes(132), bytes(128) + b"DICX", b"\xff" * 500],
    ids=["bare data set", "zeros", "other prefix", "noise"],
)
def test_without_preamble_and_prefix_it_is_no_such_file(data: bytes) -> None:
    with pytest.raises(NotPart10):
        read_file_meta(data)


def test_without_a_transfer_syntax_the_data_set_cannot_be_read() -> None:
    with pytest.raises(MalformedMeta, match="no transfer syntax"):
        read_file_meta(bytes(128) + b"DICM" + DATA_SET)


def test_an_element_longer_than_any_is_malformed() -> None:
    huge = b"\x02\0\x02\x01OB\0\0\xff\xff\xff\x7f"
    with pytest.raises(MalformedMeta, match="0102"):
        read_file_meta(bytes(128) + b"DICM" + huge + DATA_SET)


@given(st.binary(max_size=200))
def test_any_bytes_read_or_say_why_not(noise: bytes) -> None:
    for data in (noise, bytes(128) + b"DICM" + noise, encode_file_meta(PLAIN) + noise):
        try:
            _, offset = read_file_meta(data)
        except Part10Error:
            continue
        assert offset <= len(data)


@pytest.mark.parametrize(
    "change",
    [
        {"media_storage_sop_instance_uid": "1" * 65},
        {"transfer_syntax_uid": "1.2.ä"},
        {"source_ae_title": "SEVENTEEN LETTERS"},
        {"sending_ae_title": "\N{GREEK SMALL LETTER ALPHA}"},
        {"private_information": bytes(70_000)},
    ],
    ids=["long uid", "foreign uid", "long title", "foreign title", "much private information"],
)
def test_what_does_not_fit_is_not_written(change: dict[str, object]) -> None:
    fields = {
        "media_storage_sop_class_uid": CT,
        "media_storage_sop_instance_uid": "1.2",
        "transfer_syntax_uid": EXPLICIT,
        **change,
    }
    with pytest.raises(MalformedMeta):
        encode_file_meta(FileMeta(**fields))  # type: ignore[arg-type]


def test_a_preamble_has_its_length() -> None:
    with pytest.raises(MalformedMeta, match="preamble"):
        encode_file_meta(PLAIN, b"short")
