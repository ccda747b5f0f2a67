"""Files gathered in memory: every length, past the page cache and through it."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.store import DirectoryStore, Recent, new_object_id
from router.store.disk import file_system_of
from router.store.gathering import BLOCK, LEAST, SLOW_IN_A_ROW, PastCache
from router.store.recent import BUFFER
from tests.router.store.test_cache_window import cached_pages

LENGTHS = st.sampled_from(
    [0, 1, BLOCK, LEAST - 1, LEAST, LEAST + 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 5]
)


def written(store: DirectoryStore, pieces: list[bytes], mark: bytes, *, sync: bool) -> str:
    object_id = new_object_id()
    with store.create(object_id) as writer:
        writer.writev(pieces)
        writer.write_at(0, mark)
        assert writer.size == sum(map(len, pieces))
        writer.commit(sync=sync)
    return object_id


@given(
    lengths=st.lists(LENGTHS | st.integers(0, 300_000), min_size=1, max_size=4),
    mark=st.binary(max_size=64),
    sync=st.booleans(),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_file_and_memory_hold_what_was_written(
    tmp_path: Path, lengths: list[int], mark: bytes, sync: bool
) -> None:
    recent = Recent()
    store = DirectoryStore(tmp_path, recent=recent)
    pieces = [os.urandom(length) for length in lengths]
    expected = b"".join(pieces)
    mark = mark[: len(expected)]
    object_id = written(store, pieces, mark, sync=sync)
    expected = mark + expected[len(mark) :]
    assert store.path_of(object_id).read_bytes() == expected
    with store.open(object_id) as file:
        assert file.size == len(expected)
        assert file.read_at(0, file.size) == expected
        assert b"".join(file.blocks(3, len(expected))) == expected[3:]
        assert os.pread(file.fd, 10, 0) == expected[:10]
    kept = recent.find(object_id)
    assert (kept is None) == (len(expected) > BUFFER)


def test_the_mark_goes_over_what_is_on_the_disk_and_what_is_not_yet(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, recent=Recent())
    object_id, data = new_object_id(), os.urandom(BUFFER + 100)
    with store.create(object_id) as writer:
        writer.write(data)
        writer.write_at(BUFFER - 4, b"12345678")
        writer.commit()
    expected = data[: BUFFER - 4] + b"12345678" + data[BUFFER + 4 :]
    assert store.path_of(object_id).read_bytes() == expected


@pytest.mark.parametrize("sync", [True, False], ids=["durable", "not durable"])
def test_a_long_file_is_not_in_the_page_cache(tmp_path: Path, sync: bool) -> None:
    if file_system_of(tmp_path) not in ("ext4", "xfs"):
        pytest.skip("only known of these file systems")
    store = DirectoryStore(tmp_path, recent=Recent())
    object_id = written(store, [os.urandom(LEAST * 3)], b"", sync=sync)
    assert cached_pages(store.path_of(object_id)) == 0


def test_where_it_is_refused_the_page_cache_takes_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As file systems do that take the flag and then refuse to write so."""
    refused: list[int] = []
    write = os.write

    def refusing(fd: int, data: memoryview) -> int:
        if len(data) % BLOCK == 0 and not refused:
            refused.append(len(data))
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return write(fd, data)

    monkeypatch.setattr(os, "write", refusing)
    store = DirectoryStore(tmp_path, recent=Recent())
    for data in (os.urandom(LEAST + 7), os.urandom(LEAST * 2 + 7)):
        object_id = written(store, [data], b"", sync=True)
        assert store.path_of(object_id).read_bytes() == data
    assert len(refused) == 1


def test_a_full_disk_is_told_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = DirectoryStore(tmp_path, recent=(recent := Recent()))
    object_id = new_object_id()
    with monkeypatch.context() as patched, store.create(object_id) as writer:
        patched.setattr(os, "write", full)
        writer.write(bytes(LEAST))
        with pytest.raises(OSError, match="No space"):
            writer.commit()
    assert not store.path_of(object_id).exists()
    assert recent.find(object_id) is None


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10_000]))
    store = DirectoryStore(tmp_path, recent=Recent())
    data = os.urandom(LEAST * 2 + 3)
    object_id = written(store, [data], b"", sync=True)
    assert store.path_of(object_id).read_bytes() == data


def test_a_slow_disk_is_left_to_the_page_cache_for_a_while() -> None:
    past_cache = PastCache()
    for _ in range(SLOW_IN_A_ROW):
        assert past_cache.wanted(LEAST, sync=False)
        past_cache.took(LEAST, seconds=1.0)
    assert not past_cache.wanted(LEAST, sync=False)
    assert past_cache.wanted(LEAST, sync=True)  # whose sender waits for the disk anyway
    assert not past_cache.wanted(LEAST - 1, sync=True)
