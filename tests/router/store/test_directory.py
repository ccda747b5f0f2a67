"""What only a store in a folder does: paths, flushes, file systems."""

import errno
import os
import resource
import tempfile
import threading
from pathlib import Path

import pytest

from router.store import DirectoryStore, StoreUnavailable, bucket_of, new_object_id
from router.store.disk import NAMES_FOLLOW_DATA, file_system_of


def test_a_file_lies_in_its_buckets_folder(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    object_id = "0199aaaa" + "7" * 24
    with store.create(object_id) as writer:
        writer.write(b"data")
        writer.commit()
    path = tmp_path / "0199aaaa" / f"{object_id}.dcm"
    assert path.read_bytes() == b"data"
    assert store.path_of(object_id) == path
    assert path.stat().st_mode & 0o007 == 0


def test_an_emptied_bucket_is_removed_and_made_again(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    object_id = new_object_id()
    for _ in range(2):
        with store.create(object_id) as writer:
            writer.commit()
        assert len(list(tmp_path.iterdir())) == 1
        store.delete([object_id])
        assert list(tmp_path.iterdir()) == []


def test_a_bucket_removed_by_another_process_is_made_again(tmp_path: Path):
    ours, theirs = DirectoryStore(tmp_path), DirectoryStore(tmp_path)
    first, second = "0199aaaa" + "1" * 24, "0199aaaa" + "2" * 24
    with ours.create(first) as writer:
        writer.commit()
    theirs.delete([first])
    with ours.create(second) as writer:
        writer.commit()
    assert theirs.ids_in("0199aaaa") == [second]


def spooled(folder: Path, data: bytes) -> tuple[DirectoryStore, str]:
    """A store with one file, as a spool has it."""
    spool, object_id = DirectoryStore(folder), new_object_id()
    with spool.create(object_id) as writer:
        writer.write(data)
        writer.commit()
    return spool, object_id


def test_a_file_is_adopted_without_being_written_again(tmp_path: Path):
    spool, object_id = spooled(tmp_path / "spool", b"received")
    store = DirectoryStore(tmp_path / "store", sync_folders=True)
    assert store.adopt(object_id, spool)
    assert store.path_of(object_id).samefile(spool.path_of(object_id))
    with pytest.raises(FileExistsError):
        store.adopt(object_id, spool)
    assert spool.delete([object_id]) == 1
    assert store.path_of(object_id).read_bytes() == b"received"


def test_an_adopted_file_is_flushed_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spool, object_id = spooled(tmp_path / "spool", b"received")
    store = DirectoryStore(tmp_path / "store", sync_folders=True)
    flushed: list[Path] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{fd}")))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    assert store.adopt(object_id, spool)
    path = store.path_of(object_id)
    assert flushed == [store.root, path, path.parent]


def test_what_cannot_be_flushed_is_not_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spool, object_id = spooled(tmp_path / "spool", b"received")
    store = DirectoryStore(tmp_path / "store")
    store.create(new_object_id()).commit()  # the bucket is there

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        store.adopt(object_id, spool)
    assert not store.path_of(object_id).exists()
    assert spool.path_of(object_id).exists()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system at hand")
def test_a_file_of_another_file_system_is_not_adopted(tmp_path: Path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        spool, object_id = spooled(Path(other), b"received")
        assert os.stat(other).st_dev != os.stat(tmp_path).st_dev
        store = DirectoryStore(tmp_path)
        assert not store.adopt(object_id, spool)
        assert store.ids_in(bucket_of(object_id)) == []


def test_a_bucket_removed_by_another_process_is_made_again_for_what_is_adopted(tmp_path: Path):
    spool, object_id = spooled(tmp_path / "spool", b"received")
    ours, theirs = DirectoryStore(tmp_path / "store"), DirectoryStore(tmp_path / "store")
    assert ours.adopt(object_id, spool)
    theirs.delete([object_id])
    assert ours.adopt(object_id, spool)
    assert theirs.ids_in(bucket_of(object_id)) == [object_id]


def test_what_is_not_ours_is_not_listed(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "0199aaaa").mkdir()
    (tmp_path / "0199aaaa" / "notes.txt").write_text("hello")
    (tmp_path / "0199aaaa" / "short.dcm").write_text("hello")
    assert store.buckets() == ["0199aaaa"]
    assert store.ids_in("0199aaaa") == []


def test_files_of_an_earlier_process_are_found(tmp_path: Path):
    object_id = new_object_id()
    with DirectoryStore(tmp_path).create(object_id) as writer:
        writer.write(b"data")
        writer.commit()
    with DirectoryStore(tmp_path).open(object_id) as stored:
        assert stored.read_at(0, 4) == b"data"


@pytest.mark.parametrize("sync_folders", [True, False, None])
def test_a_commit_works_with_and_without_flushing_the_folder(tmp_path: Path, sync_folders):
    store = DirectoryStore(tmp_path, sync_folders=sync_folders)
    object_id = new_object_id()
    with store.create(object_id) as writer:
        writer.write(b"data")
        writer.commit(sync=True)
    assert store.ids_in(object_id[:8]) == [object_id]


def test_the_file_system_is_known_by_name():
    assert file_system_of(Path("/proc")) == "proc"
    assert file_system_of(Path("/nowhere/at/all")) == ""
    assert "nfs" not in NAMES_FOLLOW_DATA


def test_a_full_disk_is_an_error_and_leaves_no_file(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    object_id = new_object_id()
    writer = store.create(object_id)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._fd)
    os.close(full)
    with pytest.raises(OSError, match="space") as caught:
        writer.write(b"data")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="space"):
        writer.writev([b"data", b"data"])
    writer.abort()
    assert store.ids_in(object_id[:8]) == []


def test_a_short_write_is_never_silent(tmp_path: Path):
    """The limit on a file's size cuts a write short; going on with the rest fails."""
    store = DirectoryStore(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.create(new_object_id()) as writer, store.create(new_object_id()) as other:
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, hard))
        try:
            with pytest.raises(OSError, match="large") as caught:
                writer.writev([bytes([n]) * 50_000 for n in range(3)])
            assert caught.value.errno == errno.EFBIG
            assert writer.size == 120_000
            with pytest.raises(OSError, match="large"):
                other.write(b"z" * 150_000)
            assert other.size == 120_000
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_many_threads_write_at_once(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    ids: list[str] = []

    def work() -> None:
        for _ in range(20):
            object_id = new_object_id()
            with store.create(object_id) as writer:
                writer.write(object_id.encode())
                writer.commit(sync=False)
            ids.append(object_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [object_id for bucket in store.buckets() for object_id in store.ids_in(bucket)]
    assert found == sorted(ids)
    for object_id in found:
        with store.open(object_id) as stored:
            assert stored.read_at(0, 32) == object_id.encode()


def test_a_folder_that_is_another_one_now_is_away_and_not_empty(tmp_path: Path):
    root = tmp_path / "mounted"
    store = DirectoryStore(root)
    kept = new_object_id()
    with store.create(kept) as writer:
        writer.commit()
    root.rename(tmp_path / "elsewhere")
    for there in (False, True):
        if there:
            root.mkdir()
        with pytest.raises(StoreUnavailable):
            store.open(kept)
        with pytest.raises(StoreUnavailable):
            store.delete([kept])
        with pytest.raises(StoreUnavailable):
            store.create(new_object_id())
        assert not there or list(root.iterdir()) == []
    root.rmdir()
    (tmp_path / "elsewhere").rename(root)
    store.open(kept).close()


def test_the_newest_folder_of_a_spool_stays_though_it_is_empty(tmp_path: Path):
    store = DirectoryStore(tmp_path, passing=True)
    old, new = "0199aaaa" + "1" * 24, new_object_id()
    for object_id in (old, new):
        with store.create(object_id) as writer:
            writer.commit()
    store.delete([old, new])
    assert store.buckets() == [bucket_of(new)]
