"""The port behind which the bytes lie. Keys are object ids, values are whole Part 10 files.

Every store raises OSError and its subclasses, nothing else: FileExistsError for an id that is
taken, FileNotFoundError for one that is not there, ENOSPC for a full disk, StoreUnavailable when
it is away (which says nothing of the object), ValueError for what is no id at all. A file is
written once, from its start; only its head may be written over before the commit. What was not
committed may be found after a crash, whole or in part.
"""

import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Protocol, Self

Bytes = bytes | bytearray | memoryview

BLOCK = 1 << 20
"""Bytes of a local file that are read at once."""


class StoreUnavailable(OSError):
    """The store is away, or does not take us for who we are. Whatever was asked may be asked
    again later: nobody knows what became of it, and no object is to blame."""


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
        """Write over bytes that are already there. A remote store refuses (ESPIPE) once they
        have left for it; what is received is written to a local one for that reason."""

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


class Aborting(ABC):
    """A writer whose `with` block aborts at its end what was not committed."""

    __slots__ = ()

    @abstractmethod
    def abort(self) -> None:
        """Close and remove the file; harmless after a commit or an abort."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()


class StoredFile(Protocol):
    """A committed file, open for reading, by one thread at a time."""

    @property
    def size(self) -> int:
        """Bytes in the file."""

    @property
    def is_local(self) -> bool:
        """Whether the bytes lie on this machine: a descriptor is then at hand, reads are cheap."""

    @property
    def content(self) -> memoryview | None:
        """All bytes of the file, where they are in memory anyway; None where they are not. Good
        beyond `close`, for as long as somebody holds it."""

    @property
    def fd(self) -> int:
        """A descriptor of the file, for mmap and pread; its position is nobody's.

        A remote file is fetched whole into a temporary one first: for what needs all of it.
        """

    def fileno(self) -> int:
        """The same as `fd`."""

    def read_at(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer only at the end of the file."""

    def blocks(self, offset: int, length: int) -> Iterator[Bytes]:
        """These bytes one block after the other, never all at once, read ahead where that takes
        time. A block is the caller's. It ends early where the file does."""

    def close(self) -> None:
        """Give everything back; harmless when done twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Closing(ABC):
    """What a `with` block closes at its end."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Give everything back; harmless when done twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class LocalFile(Closing):
    """A stored file behind a descriptor."""

    __slots__ = ("fd", "size")

    is_local = True
    content: memoryview | None = None

    def __init__(self, fd: int) -> None:
        """Takes over the descriptor `fd`."""
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def fileno(self) -> int:
        return self.fd

    def read_at(self, offset: int, length: int) -> bytes:
        data = os.pread(self.fd, length, offset)
        if len(data) == length or offset + len(data) >= self.size:
            return data
        pieces = [data]
        missing = min(length, self.size - offset) - len(data)
        while missing > 0 and (data := os.pread(self.fd, missing, offset + length - missing)):
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def blocks(self, offset: int, length: int) -> Iterator[Bytes]:
        end = offset + length
        while offset < end and (block := self.read_at(offset, min(BLOCK, end - offset))):
            yield block
            offset += len(block)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@contextmanager
def mapped(file: StoredFile) -> Iterator[memoryview | mmap.mmap]:
    """All bytes of a file, to be looked at in places, without any of them being copied. OSError if
    the store does not give them."""
    if file.content is not None:
        yield file.content
        return
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        yield content
    finally:
        # An error on its way up may still have views in its traceback: the last of them unmaps it.
        with suppress(BufferError):
            content.close()


class Store(Protocol):
    """Keeps files by object id. Safe to use from many threads."""

    def create(self, object_id: str) -> Writer:
        """A new file. FileExistsError if the id is taken, where that can be known for nothing;
        a remote store takes the same bytes again instead, and readers see one of the two, whole."""

    def adopt(self, object_id: str, source: "Store") -> bool:
        """Take over another store's file, whole and of the same id, without its bytes being written
        again; with True they and the name survive a power cut, whatever becomes of the source's.
        False where that cannot be, and nothing was done. FileExistsError if the id is taken."""

    def open(self, object_id: str, *, ahead: int | None = None) -> StoredFile:
        """A file to read. FileNotFoundError if it is not there.

        `ahead`: bytes from its start that will be read first, so that a remote store fetches them
        with the same request; None for as much as one request is good for.
        """

    def delete(self, object_ids: Iterable[str]) -> int:
        """Remove the files; how many there were, as far as the store tells. What is gone already
        is passed over."""

    def free_bytes(self) -> int:
        """Room left for new files, in bytes; sys.maxsize where nobody can say."""

    def buckets(self) -> list[str]:
        """The buckets in use, oldest first."""

    def ids_in(self, bucket: str) -> list[str]:
        """The ids in one bucket, oldest first; none if there is no such bucket."""
