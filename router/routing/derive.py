"""Writes a derived object: edits applied by splicing, pixel data copied by reference."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import xxhash

from router.dicom.part10 import FileMeta, encode_file_meta
from router.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from router.ledger import DerivedObject
from router.store import Spool, Writer
from rules.edits import Edited, EditFailed
from rules.encoded import EncodedDataSet, Piece, Slice, Source

_COPY = 1 << 20
"""Bytes copied at a time, so that memory does not grow with pixel data."""


def write_derived(spool: Spool, original: EncodedDataSet, edited: Edited) -> DerivedObject:
    """Put the edited object into the store, durably. OSError when the disk does not take it.

    The caller settles its id with the spool once the ledger knows it. EditFailed for edits of
    pixels.
    """
    if edited.pixel_edits:
        raise EditFailed("pixels cannot be changed here")
    meta = FileMeta(
        media_storage_sop_class_uid=edited.sop_class_uid,
        media_storage_sop_instance_uid=edited.sop_instance_uid,
        transfer_syntax_uid=edited.transfer_syntax_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
    )
    head = encode_file_meta(meta)
    object_id, writer = spool.begin()
    try:
        with writer:
            writer.write(head)
            checksum = _write_pieces(writer, original, edited.pieces)
            size = writer.size - len(head)
            writer.commit(sync=True)
    except OSError:
        spool.settled([object_id])
        raise
    return DerivedObject(
        id=object_id,
        sop_class_uid=edited.sop_class_uid,
        sop_instance_uid=edited.sop_instance_uid,
        transfer_syntax_uid=edited.transfer_syntax_uid,
        size=size,
        data_set_offset=len(head),
        checksum=checksum,
    )


def _write_pieces(writer: Writer, original: EncodedDataSet, pieces: Sequence[Piece]) -> str:
    digest = xxhash.xxh3_128()
    for piece in pieces:
        if not isinstance(piece, Slice):
            digest.update(piece)
            writer.write(piece)
            continue
        end = piece.offset + piece.length
        for offset in range(piece.offset, end, _COPY):
            with original.view(offset, min(_COPY, end - offset)) as part:
                digest.update(part)
                writer.write(part)
            _let_go(original.source, offset, min(_COPY, end - offset))
    return digest.hexdigest()


def _let_go(source: Source, offset: int, length: int) -> None:
    """Unmap what was read of a mapped file: it would count as our memory until the map is closed.

    Whatever is still looked at there is mapped again.
    """
    if isinstance(source, mmap.mmap) and length == _COPY:
        start = offset - offset % mmap.PAGESIZE
        source.madvise(mmap.MADV_DONTNEED, start, length)
