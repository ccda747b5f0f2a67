"""What `send` finds, and how it divides it over associations."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from router.cli.outbox import (
    Item,
    Unsendable,
    find_files,
    groups,
    read_item,
    request_for,
)
from router.dicom.part10 import FileMeta, encode_file_meta
from router.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN

META = FileMeta(
    media_storage_sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    media_storage_sop_instance_uid="1.2.3",
    transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
)


def an_item(number: int) -> Item:
    return Item(
        path=Path(str(number)),
        sop_class_uid=f"1.2.{number}",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        offset=0,
        size=0,
    )


def test_folders_are_searched_at_any_depth_in_order(tmp_path: Path):
    for name in ("b/2", "b/1", "a/x/3", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in find_files([tmp_path / "c", tmp_path])]
    assert found == ["c", "c", "a/x/3", "b/1", "b/2"]


def test_an_object_is_known_by_its_file_meta(tmp_path: Path):
    head = encode_file_meta(META)
    (tmp_path / "file").write_bytes(head + b"data set")
    item = read_item(tmp_path / "file")
    assert item.pair == (META.media_storage_sop_class_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    assert (item.offset, item.size) == (len(head), 8)


def test_long_file_meta_is_read_whole(tmp_path: Path):
    head = encode_file_meta(
        FileMeta(
            media_storage_sop_class_uid=META.media_storage_sop_class_uid,
            media_storage_sop_instance_uid="1.2.3",
            transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
            private_information_creator_uid="1.2.4",
            private_information=bytes(range(256)) * 60,
        )
    )
    (tmp_path / "file").write_bytes(head + b"data set")
    assert read_item(tmp_path / "file").offset == len(head)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text", "bad_meta"),
        (b"text" * 100, "not_dicom"),
        (encode_file_meta(META)[:140], "bad_meta"),
        (encode_file_meta(META).replace(b"1.2.3", b"../.."), "bad_meta"),
    ],
)
def test_what_is_no_object_is_told(tmp_path: Path, content: bytes, reason: str):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Unsendable) as caught:
        read_item(tmp_path / "file")
    assert caught.value.reason == reason


def test_a_dicomdir_is_no_object():
    with pytest.raises(Unsendable) as caught:
        read_item(Path(str(get_testdata_file("DICOMDIR"))))
    assert caught.value.reason == "directory"


def test_a_file_that_is_gone_is_told(tmp_path: Path):
    with pytest.raises(Unsendable) as caught:
        read_item(tmp_path / "gone")
    assert caught.value.reason == "unreadable"


@given(st.lists(st.integers(0, 40)), st.integers(1, 10))
def test_every_item_is_in_one_group_that_proposes_its_pair(numbers: list[int], most: int):
    items = [an_item(number) for number in numbers]
    made = groups(items, most)
    assert sorted(item.path for group in made for item in group.items) == sorted(
        item.path for item in items
    )
    pairs = [pair for group in made for pair in group.pairs]
    assert len(pairs) == len(set(pairs)) == len(set(numbers))
    for group in made:
        assert 0 < len(group.pairs) <= most
        assert {item.pair for item in group.items} == set(group.pairs)


def test_as_few_groups_as_possible():
    assert [len(group.pairs) for group in groups(map(an_item, range(300)))] == [128, 128, 44]


def test_each_pair_has_a_context_of_its_own():
    request = request_for([("1.2", "1.3"), ("1.2", "1.4")], calling="A", called="B")
    assert [
        (context.context_id, context.abstract_syntax, context.transfer_syntaxes)
        for context in request.presentation_contexts
    ] == [(1, "1.2", ("1.3",)), (3, "1.2", ("1.4",))]
