"""Writes a derived object: edits applied by splicing, pixel data by reference or changed."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import xxhash

from router.dicom.part10 import FileMeta, encode_file_meta
from router.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from router.ledger import DerivedObject, Identifiers
from router.store import Spool, Writer
from router.transcoding.errors import CannotTranscode
from router.transcoding.parts import Part, blocks_of
from router.transcoding.transcoder import Transcoded, Transcoder
from rules.edits import Edited, EditFailed
from rules.encoded.data_set import EncodedDataSet, Slice, Source

_COPY = 1 << 20
"""Bytes copied at a time, so that memory does not grow with pixel data."""


def derive(
    spool: Spool, transcoder: Transcoder, original: EncodedDataSet, edited: Edited
) -> DerivedObject:
    """Put the edited object into the store, its pixels changed if that is among the edits.

    EditFailed where pixels cannot be changed so, OSError when the disk does not take the object.
    The caller settles its id with the spool once the ledger knows it.
    """
    known_as = Identifiers(
        study_instance_uid=edited.study_instance_uid or None,
        series_instance_uid=edited.series_instance_uid or None,
        patient_id=edited.patient_id or None,
        accession_number=edited.accession_number or None,
    )
    if not edited.pixel_edits:
        return _write(spool, original, edited, edited.pieces, known_as)
    try:
        with transcoder.edited(original, edited) as transcoded:
            return _write(spool, transcoded.source, transcoded, transcoded.parts, known_as)
    except CannotTranscode as error:
        raise EditFailed(str(error)) from None


def _write(
    spool: Spool,
    original: EncodedDataSet,
    edited: Edited | Transcoded,
    parts: Sequence[Part],
    known_as: Identifiers,
) -> DerivedObject:
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
            checksum = _write_parts(writer, original, parts)
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
        identifiers=known_as,
    )


def _write_parts(writer: Writer, original: EncodedDataSet, parts: Sequence[Part]) -> str:
    digest = xxhash.xxh3_128()
    for piece in parts:
        if not isinstance(piece, Slice):
            for block in blocks_of(original, [piece]):
                digest.update(block)
                writer.write(block)
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
