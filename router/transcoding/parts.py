"""What a changed object consists of, one part after the other, without holding it in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from router.net.data_source import FileSlice
from rules.encoded.data_set import EncodedDataSet, Piece, Slice

Part: TypeAlias = Piece | FileSlice
"""New bytes, a range of the object as it came, or a range of a file without a name."""

BLOCK = 1 << 20


def length_of(parts: Iterable[Part]) -> int:
    """How many bytes the parts have together."""
    return sum(len(part) if isinstance(part, bytes) else part.length for part in parts)


def blocks_of(source: EncodedDataSet, parts: Iterable[Part]) -> Iterator[bytes]:
    """The bytes of the parts in blocks of at most 1 MiB, but for those that are in memory.
    OSError where a file does not have them."""
    for part in parts:
        if isinstance(part, bytes):
            yield part
            continue
        end = part.offset + part.length
        for offset in range(part.offset, end, BLOCK):
            length = min(BLOCK, end - offset)
            if isinstance(part, Slice):
                with source.view(offset, length) as view:
                    yield bytes(view)
            else:
                yield _read(part.fd, offset, length)


def _read(fd: int, offset: int, length: int) -> bytes:
    gathered = b""
    while len(gathered) < length:
        data = os.pread(fd, length - len(gathered), offset + len(gathered))
        if not data:
            raise OSError("a file without a name is shorter than it was")
        gathered += data
    return gathered
