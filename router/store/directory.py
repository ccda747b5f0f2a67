"""A store in a folder: `<root>/<bucket>/<object id>.dcm`, no rename, one flush for each object.

A new file on ext4, xfs, btrfs or tmpfs is durable, its name included, with its own `fdatasync`;
on other file systems its folder is flushed too. A bucket's folder is flushed once, when made.
"""

import contextlib
import errno
import os
import threading
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from router.store.disk import (
    CACHE_WINDOW,
    NAMES_FOLLOW_DATA,
    CacheWindow,
    drop_cached,
    file_system_of,
    free_bytes,
    sync_folder,
)
from router.store.gathering import GatheringWriter, Place
from router.store.ids import BUCKET_DIGITS, bucket_of, is_object_id, new_object_id
from router.store.port import Aborting, Bytes, LocalFile, Store, StoreUnavailable
from router.store.recent import Recent, RecentFile

SUFFIX = ".dcm"

LARGE = 128 << 10
"""Bytes. Of a shorter file that need not be durable the system decides when it is written out: many
at once, which takes a third of the CPU time that asking for each one does."""

_AWAY = frozenset(
    {errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)
"""What the server of a shared folder is to blame for, and never one file of it."""

_IOV_MAX = os.sysconf("SC_IOV_MAX")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class DirectoryWriter(Aborting):
    """One new file of a directory store that other processes read: the page cache is where they
    meet."""

    __slots__ = ("_fd", "_folder", "_path", "_window", "size")

    def __init__(self, path: str, fd: int, folder: str | None, window: CacheWindow) -> None:
        """`folder` is flushed after the file where the file system needs it."""
        self._path = path
        self._fd = fd
        self._folder = folder
        self._window = window
        self.size = 0

    def write(self, data: Bytes) -> None:
        written = os.write(self._fd, data)
        self.size += written
        if written < len(data):
            self._write_rest(memoryview(data)[written:])

    def writev(self, pieces: Sequence[Bytes]) -> None:
        if len(pieces) > _IOV_MAX:
            self.writev(pieces[:_IOV_MAX])
            self.writev(pieces[_IOV_MAX:])
            return
        if not pieces:
            return
        written = os.writev(self._fd, pieces)
        self.size += written
        for piece in pieces:
            if written >= len(piece):
                written -= len(piece)
            else:
                self._write_rest(memoryview(piece)[written:])
                written = 0

    def write_at(self, offset: int, data: Bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._fd, rest, offset)
            rest = rest[written:]
            offset += written

    def commit(self, sync: bool = True) -> None:
        if sync:
            os.fdatasync(self._fd)
            if self._folder is not None:
                sync_folder(self._folder)
        elif self.size < LARGE:
            self._close()
            return
        else:
            drop_cached(self._fd)  # only begins to write them out, since they are dirty
        self._close()
        self._window.add(self._path, self.size)

    def abort(self) -> None:
        if self._fd >= 0:
            self._close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def _write_rest(self, rest: memoryview) -> None:
        while rest:
            written = os.write(self._fd, rest)
            self.size += written
            rest = rest[written:]

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)


class DirectoryStore:
    """Files in a folder, one sub-folder for each bucket."""

    def __init__(
        self,
        root: Path,
        *,
        sync_folders: bool | None = None,
        passing: bool = False,
        recent: Recent | None = None,
    ) -> None:
        """Makes `root` if need be. `sync_folders`: None asks the file system's kind.

        `passing`: files are gone as soon as they have come, to a store elsewhere. An emptied folder
        then stays as long as it is the newest one's turn. `recent`: what this process writes it
        reads, too, itself; objects are found there, until the last store has deleted them.
        """
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        if sync_folders is None:
            sync_folders = file_system_of(root) not in NAMES_FOLLOW_DATA
        self._sync_folders = sync_folders
        stat = os.stat(root)
        self._identity = (stat.st_dev, stat.st_ino)
        self._window = CacheWindow(CACHE_WINDOW)
        self._made: set[str] = set()
        self._passing = passing
        self._recent = recent
        self._place = None if recent is None else Place(recent=recent, window=self._window)
        self._emptied: dict[str, str] = {}
        self._making = threading.Lock()

    def path_of(self, object_id: str) -> Path:
        """Where an object's file is, or would be. ValueError for what is no id."""
        return Path(self._path(object_id))

    def create(self, object_id: str) -> DirectoryWriter | GatheringWriter:
        path = self._path(object_id)
        bucket = bucket_of(object_id)
        folder = os.path.dirname(path)
        if bucket not in self._made:
            self._make_bucket(bucket, folder)
        try:
            fd = os.open(path, _NEW, 0o640)
        except FileNotFoundError:  # an emptied bucket was removed since, or all of it is away
            self._make_bucket(bucket, folder)
            fd = os.open(path, _NEW, 0o640)
        synced = folder if self._sync_folders else None
        if self._place is not None:
            return GatheringWriter(self._place, object_id, path, fd, synced)
        return DirectoryWriter(path, fd, synced, self._window)

    def adopt(self, object_id: str, source: Store) -> bool:
        """By a second name for the file, where both stores lie on one file system and mount."""
        if not isinstance(source, DirectoryStore):
            return False
        path = self._path(object_id)
        try:
            self._link(source._path(object_id), path, bucket_of(object_id))
        except FileExistsError:
            raise
        except OSError:  # another file system, mostly; whatever else it is, copying will tell
            return False
        try:
            size = self._sync_linked(path)
        except OSError:
            os.unlink(path)
            raise
        self._window.add(path, size)
        return True

    def open(self, object_id: str, *, ahead: int | None = None) -> LocalFile | RecentFile:
        if self._recent is not None and (content := self._recent.find(object_id)) is not None:
            return RecentFile(content, partial(self._open, object_id))
        return self._open(object_id)

    def _open(self, object_id: str) -> LocalFile:
        try:
            return LocalFile(os.open(self._path(object_id), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            self._check_mounted()
            raise
        except OSError as error:
            if error.errno in _AWAY:
                raise StoreUnavailable(error.errno, error.strerror) from None
            raise

    def delete(self, object_ids: Iterable[str]) -> int:
        deleted = missed = 0
        folders: dict[str, str] = {}
        object_ids = list(object_ids)
        for object_id in object_ids:
            path = self._path(object_id)
            try:
                os.unlink(path)
            except FileNotFoundError:
                missed += 1
            else:
                deleted += 1
                folders[bucket_of(object_id)] = os.path.dirname(path)
        if missed:
            self._check_mounted()
        if self._recent is not None and not self._passing:
            self._recent.forget(object_ids)
        if self._passing:
            folders = self._of_the_past(folders)
        for bucket, folder in folders.items():
            self._remove_if_empty(bucket, folder)
        return deleted

    def _of_the_past(self, folders: dict[str, str]) -> dict[str, str]:
        now = bucket_of(new_object_id())
        with self._making:
            self._emptied |= folders
            past = {name: folder for name, folder in self._emptied.items() if name < now}
            for bucket in past:
                del self._emptied[bucket]
        return past

    def free_bytes(self) -> int:
        return free_bytes(self.root)

    def buckets(self) -> list[str]:
        return sorted(name for name in os.listdir(self.root) if _is_bucket(name))

    def ids_in(self, bucket: str) -> list[str]:
        if not _is_bucket(bucket):
            return []
        try:
            names = os.listdir(self.root / bucket)
        except FileNotFoundError:
            return []
        stems = (name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX))
        return sorted(stem for stem in stems if is_object_id(stem))

    def _check_mounted(self) -> None:
        """A shared folder that is not mounted any more looks empty: no object is missing then."""
        try:
            stat = os.stat(self.root)
        except OSError as error:
            raise StoreUnavailable(error.errno, "the store's folder is away") from None
        if (stat.st_dev, stat.st_ino) != self._identity:
            raise StoreUnavailable(errno.ESTALE, "the store's folder is another than at the start")

    def _path(self, object_id: str) -> str:
        if not is_object_id(object_id):
            raise ValueError("not an object id")
        return f"{self.root}/{object_id[:BUCKET_DIGITS]}/{object_id}{SUFFIX}"

    def _link(self, source: str, path: str, bucket: str) -> None:
        if bucket not in self._made:
            self._make_bucket(bucket, os.path.dirname(path))
        try:
            os.link(source, path)
        except FileNotFoundError:  # an emptied bucket was removed since, or all of it is away
            self._make_bucket(bucket, os.path.dirname(path))
            os.link(source, path)

    def _sync_linked(self, path: str) -> int:
        """Make file and name durable; its size. The name changes the file's own entry, which is
        why its fsync covers both where that of a new file does; fdatasync would pass it over."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
            size = os.fstat(fd).st_size
        finally:
            os.close(fd)
        if self._sync_folders:
            sync_folder(os.path.dirname(path))
        return size

    def _make_bucket(self, bucket: str, folder: str) -> None:
        self._check_mounted()
        with self._making:
            os.makedirs(folder, mode=0o750, exist_ok=True)
            sync_folder(str(self.root))
            self._made.add(bucket)

    def _remove_if_empty(self, bucket: str, folder: str) -> None:
        with self._making, contextlib.suppress(OSError):
            os.rmdir(folder)  # refused unless empty
            self._made.discard(bucket)


def _is_bucket(name: str) -> bool:
    return len(name) == BUCKET_DIGITS and is_object_id(name + "0" * (32 - BUCKET_DIGITS))
