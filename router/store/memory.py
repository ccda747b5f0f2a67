"""A store in memory: the same promises as the others, kept until the process ends."""

import errno
import os
import threading
from collections.abc import Iterable, Sequence

from router.store.ids import bucket_of, is_object_id
from router.store.port import Aborting, Bytes, LocalFile, Store


class MemoryWriter(Aborting):
    """One new file of a memory store."""

    def __init__(self, store: "MemoryStore", object_id: str) -> None:
        self._store = store
        self._object_id = object_id
        self._data = bytearray()
        self._open = True

    @property
    def size(self) -> int:
        return len(self._data)

    def write(self, data: Bytes) -> None:
        if len(data) > self._store.free_bytes() - len(self._data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._data += data

    def writev(self, pieces: Sequence[Bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def write_at(self, offset: int, data: Bytes) -> None:
        self._data[offset : offset + len(data)] = data

    def commit(self, sync: bool = True) -> None:
        self._store._keep(self._object_id, bytes(self._data))
        self._open = False

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._store.delete([self._object_id])


class MemoryStore:
    """Files in a dictionary; an open one is a descriptor like any other (memfd)."""

    def __init__(self, capacity: int = 1 << 30) -> None:
        """`capacity`: bytes that all files together may take."""
        self._capacity = capacity
        self._files: dict[str, bytes] = {}
        self._used = 0
        self._lock = threading.Lock()

    def create(self, object_id: str) -> MemoryWriter:
        if not is_object_id(object_id):
            raise ValueError("not an object id")
        with self._lock:
            if object_id in self._files:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            self._files[object_id] = b""
        return MemoryWriter(self, object_id)

    def adopt(self, object_id: str, source: Store) -> bool:
        return False

    def open(self, object_id: str, *, ahead: int | None = None) -> LocalFile:
        if not is_object_id(object_id):
            raise ValueError("not an object id")
        with self._lock:
            data = self._files.get(object_id)
        if data is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        fd = os.memfd_create("stored", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(data)
        return LocalFile(fd)

    def delete(self, object_ids: Iterable[str]) -> int:
        deleted = 0
        with self._lock:
            for object_id in object_ids:
                if not is_object_id(object_id):
                    raise ValueError("not an object id")
                data = self._files.pop(object_id, None)
                if data is not None:
                    self._used -= len(data)
                    deleted += 1
        return deleted

    def free_bytes(self) -> int:
        return max(0, self._capacity - self._used)

    def buckets(self) -> list[str]:
        with self._lock:
            return sorted({bucket_of(object_id) for object_id in self._files})

    def ids_in(self, bucket: str) -> list[str]:
        with self._lock:
            return sorted(found for found in self._files if bucket_of(found) == bucket)

    def _keep(self, object_id: str, data: bytes) -> None:
        with self._lock:
            self._used += len(data) - len(self._files.get(object_id, b""))
            self._files[object_id] = data
