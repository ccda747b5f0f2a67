"""The header of an object that lies in a store elsewhere, read without its pixels.

A map of the object's length is filled in only where the header is, and behind native pixel data:
all that rules look at. Pages that nobody touches take no memory. Where that is not enough (a very
long header, a deflated data set) the object must be had whole.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from dataclasses import dataclass

from router.store import StoredFile
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.encoded.forms import DEFLATED, UNDEFINED, Head, read_head

FIRST = 128 << 10
"""Bytes of the first request: the headers of nearly all objects. Some makers' private elements
and long functional groups take a second one."""
MOST = 4 << 20
"""A header that is longer is not worth being read apart from its object."""
_HEAD = 16
"""Bytes before a value, at most."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A map with holes. `encapsulated_at`: where the value of encapsulated pixel data begins;
    only a walk through it would tell where it ends, so it counts as the rest of the object."""

    content: mmap.mmap
    encapsulated_at: int | None = None


def read_partial(
    file: StoredFile, transfer_syntax_uid: str, data_set_offset: int
) -> Partial | None:
    """None where the object must be had whole. OSError if the store does not give it."""
    if transfer_syntax_uid == DEFLATED or not file.size:
        return None
    content = mmap.mmap(-1, file.size)
    known = 0
    for length in (FIRST, MOST):
        known += _fill(content, file, known, length)
        if known == file.size:
            return Partial(content)
        pixels = _pixels(content, known, transfer_syntax_uid, data_set_offset)
        if pixels is None:
            continue
        if pixels.length == UNDEFINED:
            return Partial(content, pixels.value)
        behind = max(known, pixels.value + pixels.length)
        if file.size - behind > MOST:
            break
        _fill(content, file, behind, file.size)
        return Partial(content)
    content.close()
    return None


def _fill(content: mmap.mmap, file: StoredFile, start: int, end: int) -> int:
    data = file.read_at(start, end - start)
    content[start : start + len(data)] = data
    return len(data)


def _pixels(
    content: mmap.mmap, known: int, transfer_syntax_uid: str, data_set_offset: int
) -> Head | None:
    """The head of the pixel data; None if it does not lie within the `known` bytes."""
    with memoryview(content) as whole, whole[:known] as head:
        root = EncodedDataSet.read(head, transfer_syntax_uid, data_set_offset).root
        with suppress(MalformedDataSet):
            root.complete()
            if root.position + _HEAD <= known:
                return read_head(head, root.position, known, root.form)
    return None
