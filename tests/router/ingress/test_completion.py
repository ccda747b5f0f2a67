"""A spooled file is whole only if it carries the mark and every byte that the mark promises."""

from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash

from router.ingress.completion import (
    PREAMBLE_LENGTH,
    Completion,
    encode_mark,
    is_whole,
    read_mark,
)
from router.store import DirectoryStore, StoredFile, new_object_id

DATA = bytes(range(256)) * 9000
HEAD = bytes(PREAMBLE_LENGTH) + b"DICM and the meta group"
MARK = Completion(
    data_set_offset=len(HEAD), data_set_length=len(DATA), checksum=xxhash.xxh3_128_digest(DATA)
)


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[bytes], StoredFile]:
    def write(content: bytes) -> StoredFile:
        store = DirectoryStore(tmp_path / "store")
        object_id = new_object_id()
        with store.create(object_id) as writer:
            writer.write(content)
            writer.commit()
        return store.open(object_id)

    return write


def test_a_mark_comes_back_as_it_went() -> None:
    assert read_mark(encode_mark(MARK)) == MARK
    assert len(encode_mark(MARK)) <= PREAMBLE_LENGTH


@pytest.mark.parametrize("preamble", [b"", bytes(PREAMBLE_LENGTH), b"II*\0" * 32])
def test_another_preamble_is_no_mark(preamble: bytes) -> None:
    assert read_mark(preamble) is None


def test_a_whole_file_is_whole(stored: Callable[[bytes], StoredFile]) -> None:
    with stored(HEAD + DATA) as file:
        assert is_whole(file, MARK)


@pytest.mark.parametrize(
    "content",
    [HEAD + DATA[:-1], HEAD + DATA + b"x", HEAD + DATA[:-4096] + bytes(4096), HEAD, b""],
    ids=["cut short", "longer", "tail never written", "no data", "empty"],
)
def test_anything_else_is_not(content: bytes, stored: Callable[[bytes], StoredFile]) -> None:
    with stored(content) as file:
        assert not is_whole(file, MARK)
