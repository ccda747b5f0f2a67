"""A stored object read over the network, by ranges: what is read next is on its way already.

Each range is a request of its own, bounded in time and repeated by itself, so that neither a
destination that takes minutes over an object nor a server that drops a connection spoils the rest.
"""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import obstore
from obstore.store import S3Store as Client

from router.store.port import Bytes, Closing, LocalFile
from router.store.s3_errors import translated

READ_BLOCK = 4 << 20
"""Bytes of one request. While a block is sent the next one is fetched: a reader holds two, and
most objects are read by a single request."""
IN_MEMORY = 16 << 20
"""An object that must be had whole, on this machine, takes memory up to here, then the disk."""


class RemoteFile(Closing):
    """An object of a bucket, open for reading by one thread. Opening it reads its first bytes."""

    is_local = False
    content = None

    def __init__(
        self, client: Client, key: str, *, readers: Executor, ahead: int, temporary: Path | None
    ) -> None:
        self._client = client
        self._key = key
        self._readers = readers
        self._temporary = temporary
        self._copy: LocalFile | None = None
        self._first, self.size = self._begin(max(1, ahead))

    def _begin(self, ahead: int) -> tuple[memoryview, int]:
        with translated("read"):
            try:
                found = obstore.get(self._client, self._key, options={"range": (0, ahead)})
            except obstore.exceptions.BaseError:
                # There is no first byte to be had of an empty object (HTTP 416).
                if obstore.head(self._client, self._key)["size"] == 0:
                    return memoryview(b""), 0
                raise
            return memoryview(found.bytes()).cast("B"), found.meta["size"]

    @property
    def fd(self) -> int:
        if self._copy is None:
            self._copy = self._fetch_whole()
        return self._copy.fd

    def fileno(self) -> int:
        return self.fd

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        if self._copy is not None:
            return self._copy.read_at(offset, length)
        if end <= len(self._first):
            return bytes(self._first[offset:end])
        return bytes(self._range(offset, end))

    def blocks(self, offset: int, length: int) -> Iterator[Bytes]:
        if self._copy is not None:
            yield from self._copy.blocks(offset, length)
            return
        end = min(offset + length, self.size)
        if offset < (known := min(len(self._first), end)):
            upcoming = self._upcoming(known, end)
            yield self._first[offset:known]
            offset = known
        else:
            upcoming = self._upcoming(offset, end)
        while upcoming is not None:
            block = upcoming.result()
            offset += len(block)
            upcoming = self._upcoming(offset, end)
            yield block

    def _upcoming(self, offset: int, end: int) -> Future[memoryview] | None:
        if offset >= end:
            return None
        return self._readers.submit(self._range, offset, min(offset + READ_BLOCK, end))

    def _range(self, start: int, end: int) -> memoryview:
        with translated("read"):
            data = obstore.get_range(self._client, self._key, start=start, end=end)
        return memoryview(data).cast("B")

    def _fetch_whole(self) -> LocalFile:
        if self.size <= IN_MEMORY:
            fd = os.memfd_create("fetched", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile(dir=self._temporary) as file:
                fd = os.dup(file.fileno())
        try:
            with os.fdopen(os.dup(fd), "wb") as file:
                for block in self.blocks(0, self.size):
                    file.write(block)
            return LocalFile(fd)
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        if self._copy is not None:
            self._copy.close()
