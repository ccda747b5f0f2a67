"""Which fragments make which frame: by tables, by their number, by their first bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydicom.encaps import generate_frames

from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.encoded.encapsulated import (
    SEQUENCE_DELIMITER,
    CannotSplit,
    encode_fragment_head,
    encode_offset_table,
    frames_of,
)
from rules.encoded.level import Element
from rules.encoded.pictures import pixel_element

EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_START = b"\xff\xd8\xff\xe0"


def pixel_data(table: list[int], fragments: list[bytes]) -> tuple[bytes, Element]:
    body = b"".join(encode_fragment_head(len(one)) + one for one in fragments)
    head = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
    data = head + encode_offset_table(table) + body + SEQUENCE_DELIMITER
    element = pixel_element(EncodedDataSet.read(data, EXPLICIT))
    assert element is not None
    return data, element


def frames(table: list[int], fragments: list[bytes], count: int, extended=()) -> list[bytes]:
    data, element = pixel_data(table, fragments)
    found = frames_of(data, element, count, extended)
    return [b"".join(data[p.offset : p.offset + p.length] for p in frame) for frame in found]


FRAMES = some.lists(
    some.lists(
        some.binary(min_size=2, max_size=20).map(lambda b: b[: len(b) // 2 * 2]), min_size=1
    ),
    min_size=1,
    max_size=6,
)


@given(FRAMES)
def test_tables_tell_frames_of_several_fragments_apart(parts: list[list[bytes]]):
    fragments = [one for frame in parts for one in frame]
    offsets, position = [], 0
    for frame in parts:
        offsets.append(position)
        position += sum(8 + len(one) for one in frame)
    wanted = [b"".join(frame) for frame in parts]
    assert frames(offsets, fragments, len(parts)) == wanted
    assert frames([], fragments, len(parts), offsets) == wanted
    data, element = pixel_data(offsets, fragments)
    judged = generate_frames(data[element.value : element.stop], number_of_frames=len(parts))
    assert list(judged) == wanted


def test_one_frame_has_all_fragments_and_as_many_as_frames_one_each():
    assert frames([], [b"ab", b"cd"], 1) == [b"abcd"]
    assert frames([], [b"ab", b"cd"], 2) == [b"ab", b"cd"]


def test_a_table_that_contradicts_the_fragments_is_ignored():
    assert frames([0, 7], [b"ab", b"cd"], 2) == [b"ab", b"cd"]
    assert frames([0, 10, 99], [b"ab", b"cd"], 2) == [b"ab", b"cd"]


def test_without_a_table_the_start_of_a_codestream_begins_a_frame():
    one, two = JPEG_START + b"ab", JPEG_START + b"cd"
    assert frames([], [one, b"ef", b"gh", two], 2) == [one + b"efgh", two]


@pytest.mark.parametrize("fragments", [[], [b"ab", b"cd", b"ef"], [b"ab", JPEG_START, JPEG_START]])
def test_where_nothing_tells_them_apart_it_is_said(fragments: list[bytes]):
    with pytest.raises(CannotSplit):
        frames([], fragments, 2)


def test_what_is_no_fragment_is_malformed():
    data, element = pixel_data([], [b"ab"])
    for at, new in ((element.value + 8, b"\x10\x00\x10\x00"), (element.value + 12, b"\xff\0\0\0")):
        broken = data[:at] + new + data[at + 4 :]
        with pytest.raises(MalformedDataSet):
            frames_of(broken, element, 1)


def test_offsets_beyond_32_bits_leave_the_table_empty():
    assert encode_offset_table([0, 1 << 32]) == struct.pack("<HHL", 0xFFFE, 0xE000, 0)
