"""Files that left the window are out of the page cache, those in it are still there."""

import ctypes
import mmap
import os
from pathlib import Path

import pytest

from router.store import directory, disk, new_object_id
from router.store.directory import DirectoryStore

PAGE = mmap.PAGESIZE
SIZE = 64 * PAGE


def cached_pages(path: Path) -> int:
    """How many pages of the file are in the page cache (mincore(2))."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE) as content:
        length = len(content)
        found = (ctypes.c_ubyte * ((length + PAGE - 1) // PAGE))()
        address = ctypes.addressof(ctypes.c_char.from_buffer(content))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(length), found):
            raise OSError(ctypes.get_errno(), "mincore")
        return sum(flag & 1 for flag in found)


@pytest.mark.parametrize("sync", [True, False], ids=["durable", "not durable"])
def test_the_page_cache_holds_what_was_written_last(
    sync: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if disk.file_system_of(tmp_path) == "tmpfs":
        pytest.skip("a tmpfs is nothing but page cache")
    monkeypatch.setattr(directory, "CACHE_WINDOW", 2 * SIZE)
    store = DirectoryStore(tmp_path)
    ids = [new_object_id() for _ in range(6)]
    for object_id in ids:
        with store.create(object_id) as writer:
            writer.write(os.urandom(SIZE))
            writer.commit(sync=sync)
        if not sync:
            os.sync()  # what is dirty stays, until it was written out
    held = [cached_pages(store.path_of(object_id)) for object_id in ids]
    assert held[:4] == [0, 0, 0, 0]
    assert held[4:] == [SIZE // PAGE] * 2


def test_a_file_that_is_gone_leaves_the_window_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "CACHE_WINDOW", SIZE)
    store = DirectoryStore(tmp_path)
    for _ in range(3):
        object_id = new_object_id()
        with store.create(object_id) as writer:
            writer.write(bytes(SIZE))
            writer.commit()
        store.delete([object_id])
