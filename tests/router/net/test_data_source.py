"""Data sets from memory and files, in blocks."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.net import data_source
from router.net.data_source import (
    BlockReader,
    DataSource,
    FileSlice,
    Stream,
    even,
    length_of,
    longest_block,
)
from router.net.errors import DataSourceFailed


@pytest.fixture
def fd(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"0123456789")
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


def read(data: DataSource, scratch: int) -> list[bytes]:
    reader = BlockReader(data, bytearray(scratch))
    blocks, left = [], length_of(data)
    while left:
        blocks.append(bytes(reader.next_block()))
        left -= len(blocks[-1])
    return blocks


def test_an_odd_number_of_bytes_gets_a_padding_byte(fd):
    assert even(b"ab") == b"ab"
    assert b"".join(read(even(b"abc"), 0)) == b"abc\0"
    assert b"".join(read(even((b"a", FileSlice(fd, 0, 2))), 10)) == b"a01\0"
    assert even(b"") == b""


def test_memory_is_one_block():
    assert read(b"abc", 0) == [b"abc"]
    assert read(memoryview(b"abcd")[1:3], 0) == [b"bc"]


def test_a_file_is_read_in_blocks_of_the_scratch(fd):
    assert read(FileSlice(fd, 2, 7), 3) == [b"234", b"567", b"8"]


def test_pieces_come_in_order_and_empty_ones_not_at_all(fd):
    pieces = (b"head", FileSlice(fd, 0, 2), b"", FileSlice(fd, 5, 0), bytearray(b"tail"))
    assert length_of(pieces) == 10
    assert read(pieces, 8) == [b"head", b"01", b"tail"]


def test_only_a_file_block_after_a_file_block_overwrites(fd):
    reader = BlockReader((FileSlice(fd, 0, 2), b"memory", FileSlice(fd, 4, 2)), bytearray(8))
    assert not reader.overwrites()
    reader.next_block()
    assert not reader.overwrites()
    reader.next_block()
    assert reader.overwrites()
    reader.reuse()
    assert not reader.overwrites()


def test_scratch_is_for_files_and_bounded(fd):
    assert longest_block(b"x" * 100) == 0
    assert longest_block((b"x", FileSlice(fd, 0, 10))) == 10
    assert longest_block(FileSlice(fd, 0, 10**9)) == data_source.BLOCK_LENGTH


def test_a_file_cut_short_is_our_own_fault(fd):
    with pytest.raises(DataSourceFailed, match="shorter"):
        read(FileSlice(fd, 5, 10), 64)


def test_a_file_that_cannot_be_read_is_our_own_fault(fd, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(DataSourceFailed, match="cannot be read"):
            read(FileSlice(folder, 0, 10), 64)
    finally:
        os.close(folder)


def stream(*blocks: bytes, length: int | None = None, error: OSError | None = None) -> Stream:
    def begin() -> Iterator[bytes]:
        yield from blocks
        if error is not None:
            raise error

    return Stream(sum(map(len, blocks)) if length is None else length, begin)


def test_a_stream_is_handed_out_block_by_block_each_time_it_is_read():
    source = (b"head", stream(b"abc", b"de"), b"tail")
    assert length_of(source) == 13
    for _ in range(2):
        reader = BlockReader(source, bytearray(0))
        blocks = [bytes(reader.next_block()) for _ in range(4)]
        assert blocks == [b"head", b"abc", b"de", b"tail"]


def test_blocks_of_a_stream_are_not_gathered():
    reader = BlockReader((b"head", stream(b"abc", b"de", b"f")), bytearray(0))
    handed_out = []
    for _ in range(4):
        handed_out.append(reader.overwrites())
        reader.next_block()
    assert handed_out == [False, False, True, True]
    reader = BlockReader(stream(b"abc", b"de"), bytearray(0))
    reader.next_block()
    reader.reuse()
    assert not reader.overwrites()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (stream(b"abc", error=OSError(5, "gone"), length=4), "gone"),
        (stream(b"abc", length=4), "another length"),
        (stream(b"abc", b"de", length=4), "another length"),
    ],
)
def test_a_stream_that_ends_otherwise_than_it_should_is_told(source: Stream, words: str):
    reader = BlockReader(source, bytearray(0))
    reader.next_block()
    with pytest.raises(DataSourceFailed, match=words):
        reader.next_block()
