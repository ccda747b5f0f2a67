"""Data sets from memory and files, in blocks."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.net.data_source import (
    BLOCK_LENGTH,
    BlockReader,
    DataSource,
    FileSlice,
    Stream,
)
from router.net.errors import DataSourceFailed


@pytest.fixture
def fd(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"0123456789")
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


def reader_of(data: DataSource) -> BlockReader:
    reader = BlockReader()
    reader.begin(data)
    return reader


def read(data: DataSource) -> list[bytes]:
    reader = BlockReader()
    blocks, left = [], reader.begin(data)
    while left:
        blocks.append(bytes(reader.next_block()))
        left -= len(blocks[-1])
    return blocks


def test_an_odd_number_of_bytes_gets_a_padding_byte(fd):
    assert b"".join(read(b"ab")) == b"ab"
    assert b"".join(read(b"abc")) == b"abc\0"
    assert b"".join(read((b"a", FileSlice(fd, 0, 2)))) == b"a01\0"
    assert read(b"") == []


def test_memory_is_one_block():
    assert read(b"abcd") == [b"abcd"]
    assert read(memoryview(b"abcd")[1:3]) == [b"bc"]
    assert read(memoryview(b"abcd").cast("H")) == [b"abcd"]


def test_a_file_is_read_in_blocks(fd, tmp_path):
    assert read(FileSlice(fd, 2, 8)) == [b"23456789"]
    with (tmp_path / "long").open("wb+") as file:
        file.truncate(BLOCK_LENGTH + 2)
        blocks = read(FileSlice(file.fileno(), 0, BLOCK_LENGTH + 2))
    assert list(map(len, blocks)) == [BLOCK_LENGTH, 2]


def test_pieces_come_in_order_and_empty_ones_not_at_all(fd):
    pieces = (b"head", FileSlice(fd, 0, 2), b"", FileSlice(fd, 5, 0), bytearray(b"tail"))
    assert BlockReader().begin(pieces) == 10
    assert read(pieces) == [b"head", b"01", b"tail"]


def test_one_source_comes_after_another_whatever_is_left_of_it(fd):
    reader = reader_of((FileSlice(fd, 0, 2), FileSlice(fd, 2, 2)))
    assert bytes(reader.next_block()) == b"01"
    assert reader.begin((FileSlice(fd, 4, 6), b"tail")) == 10
    assert not reader.overwrites()
    assert [bytes(reader.next_block()) for _ in range(2)] == [b"456789", b"tail"]


def test_only_a_file_block_after_a_file_block_overwrites(fd):
    reader = reader_of((FileSlice(fd, 0, 2), b"memory", FileSlice(fd, 4, 2)))
    assert not reader.overwrites()
    reader.next_block()
    assert not reader.overwrites()
    reader.next_block()
    assert reader.overwrites()
    reader.reuse()
    assert not reader.overwrites()


def test_a_file_cut_short_is_our_own_fault(fd):
    with pytest.raises(DataSourceFailed, match="shorter"):
        read(FileSlice(fd, 5, 10))


def test_a_file_that_cannot_be_read_is_our_own_fault(fd, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(DataSourceFailed, match="cannot be read"):
            read(FileSlice(folder, 0, 10))
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
    for _ in range(2):
        assert read(source) == [b"head", b"abc", b"de", b"tail", b"\0"]


def test_blocks_of_a_stream_are_not_gathered():
    reader = reader_of((b"head", stream(b"abc", b"de", b"f")))
    handed_out = []
    for _ in range(4):
        handed_out.append(reader.overwrites())
        reader.next_block()
    assert handed_out == [False, False, True, True]
    reader = reader_of(stream(b"abc", b"de"))
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
    reader = reader_of(source)
    reader.next_block()
    with pytest.raises(DataSourceFailed, match=words):
        reader.next_block()
