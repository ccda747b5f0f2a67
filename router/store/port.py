"""The port behind which the bytes lie. Keys are object ids, values are whole Part 10 files.

Every store raises OSError and its subclasses, nothing else: FileExistsError for an id that is
taken, FileNotFoundError for one that is not there, ENOSPC for a full disk, ValueError for what is
no id at all. A file is written once, from its start; only its head may be written over before the
commit. What was not committed may be found after a crash, whole or in part.
"""

import os
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Protocol, Self

Bytes = bytes | bytearray | memoryview


class Writer(Protocol):
    """One new file. Commit it or abort it; leaving its `with` block uncommitted aborts it."""

    @property
    def size(self) -> int:
        """Bytes written so far."""

    def write(self, data: Bytes) -> None:
        """Append all of `data`."""

    def writev(self, pieces: Sequence[Bytes]) -> None:
        """Append all the pieces, in as few system calls as they allow."""

    def write_at(self, offset: int, data: Bytes) -> None:
        """Write over bytes that are already there."""

    def commit(self, sync: bool = True) -> None:
        """Close the file. With `sync`, bytes and name survive a power cut when this returns."""

    def abort(self) -> None:
        """Close and remove the file; harmless after a commit or an abort."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class StoredFile:
    """A committed file, open for reading: a descriptor for sendfile, mmap and pread."""

    __slots__ = ("fd", "size")

    def __init__(self, fd: int) -> None:
        """Takes over the descriptor `fd`."""
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def fileno(self) -> int:
        """The descriptor; its position is nobody's, so read with offsets."""
        return self.fd

    def read_at(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer only at the end of the file."""
        data = os.pread(self.fd, length, offset)
        if len(data) == length or offset + len(data) >= self.size:
            return data
        pieces = [data]
        missing = min(length, self.size - offset) - len(data)
        while missing > 0 and (data := os.pread(self.fd, missing, offset + length - missing)):
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def close(self) -> None:
        """Give the descriptor back; harmless when done twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Store(Protocol):
    """Keeps files by object id. Safe to use from many threads."""

    def create(self, object_id: str) -> Writer:
        """A new file. FileExistsError if the id is taken."""

    def open(self, object_id: str) -> StoredFile:
        """A file to read. FileNotFoundError if it is not there."""

    def delete(self, object_ids: Iterable[str]) -> int:
        """Remove the files; how many there were. What is gone already is passed over."""

    def free_bytes(self) -> int:
        """Room left for new files, in bytes."""

    def buckets(self) -> list[str]:
        """The buckets in use, oldest first."""

    def ids_in(self, bucket: str) -> list[str]:
        """The ids in one bucket, oldest first; none if there is no such bucket."""
