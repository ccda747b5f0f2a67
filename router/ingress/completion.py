"""The mark that says that a spooled file is whole.

A received object is written once, in place, without a rename. What tells a whole file from one
that a crash cut short is the mark in its preamble (128 bytes that PS3.10 7.1 leaves to the
application), written with the last bytes or after them: where the data set starts, how long it is
and its XXH3 checksum, which is compared before a file that a restart finds is believed. Files that
leave the router get a fresh preamble.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import xxhash

from router.store import StoredFile

PREAMBLE_LENGTH = 128
_MAGIC = b"DCMROUT1"
_MARK = struct.Struct("<8sQQ16s")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Offset and length of the data set in bytes, and its XXH3-128 as 16 bytes."""

    data_set_offset: int
    data_set_length: int
    checksum: bytes


def encode_mark(completion: Completion) -> bytes:
    """The bytes to write at the start of the file once the data set is written."""
    return _MARK.pack(
        _MAGIC, completion.data_set_offset, completion.data_set_length, completion.checksum
    )


def read_mark(preamble: bytes) -> Completion | None:
    """The mark, or None where the file was never completed."""
    if len(preamble) < _MARK.size:
        return None
    magic, offset, length, checksum = _MARK.unpack_from(preamble)
    if magic != _MAGIC:
        return None
    return Completion(data_set_offset=offset, data_set_length=length, checksum=checksum)


def is_whole(file: StoredFile, completion: Completion) -> bool:
    """Whether the file holds the data set that the mark promises, to the byte."""
    start, end = completion.data_set_offset, file.size
    if end - start != completion.data_set_length:
        return False
    digest = xxhash.xxh3_128()
    for offset in range(start, end, _CHUNK):
        digest.update(file.read_at(offset, _CHUNK))
    return digest.digest() == completion.checksum
