"""The header of a stored object, as rules see it; pixel data is never read."""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from router.dicom.errors import Part10Error
from router.dicom.part10 import read_file_meta
from router.dicom.uids import PRIVATE_INFORMATION_CREATOR
from router.ledger import Identifiers, StoredObject
from router.routing.partial import FIRST, read_partial
from router.store import Store, StoredFile
from rules.encoded import EncodedDataSet, MalformedDataSet
from rules.facts import Facts, FileFacts, SourceFacts
from rules.tags import AttributePath, parse_path

_STUDY = parse_path("StudyInstanceUID")
_SERIES = parse_path("SeriesInstanceUID")
_PATIENT = parse_path("PatientID")
_ACCESSION = parse_path("AccessionNumber")

_READ_AHEAD = 64 << 10
"""Bytes read before the file is mapped: a page that must come from the disk while the map is
looked at would stop every thread of this process, not only this one."""

_UID_LENGTH = 64
_TEXT_LENGTH = 64


class Header:
    """A stored object's data set, readable as far as it is not damaged, and its facts.

    Of an object in a store elsewhere `data_set` has no pixels and nothing that lies behind
    encapsulated ones; `editable` has all, and fetches it if need be.
    """

    __slots__ = ("_file", "_maps", "_stored", "_whole", "data_set", "facts")

    def __init__(self, file: StoredFile, stored: StoredObject) -> None:
        self._file = file
        self._stored = stored
        self._maps: list[mmap.mmap] = []
        self._whole: EncodedDataSet | None = None
        self.data_set = self._partial() or self.editable
        self.facts = _facts(self.data_set, stored, self._user)

    @property
    def editable(self) -> EncodedDataSet:
        """The data set to apply edits to. OSError if the store does not give it."""
        if self._whole is None:
            self._file.read_at(0, _READ_AHEAD)
            self._whole = self._read(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        return self._whole

    def close(self) -> None:
        """Unmap the object."""
        for content in self._maps:
            # An error on its way up still has views in its traceback: the last of them unmaps it.
            with suppress(BufferError):
                content.close()

    def _user(self) -> str | None:
        """Who the sender said it is: only the file knows. None where it says nothing."""
        try:
            meta, _ = read_file_meta(self._file.read_at(0, self._stored.data_set_offset))
        except Part10Error:
            return None
        if meta.private_information_creator_uid != PRIVATE_INFORMATION_CREATOR:
            return None
        user = json.loads(meta.private_information or b"{}").get("user")
        return user if isinstance(user, str) else None

    def _partial(self) -> EncodedDataSet | None:
        if self._file.is_local:
            return None
        stored = self._stored
        partial = read_partial(self._file, stored.transfer_syntax_uid, stored.data_set_offset)
        if partial is None:
            return None
        data_set = self._read(partial.content)
        if partial.encapsulated_at is not None:
            data_set.root.ends[partial.encapsulated_at] = self._file.size
        return data_set

    def _read(self, content: mmap.mmap) -> EncodedDataSet:
        self._maps.append(content)
        stored = self._stored
        return EncodedDataSet.read(
            content, stored.transfer_syntax_uid, offset=stored.data_set_offset
        )


@contextmanager
def open_header(store: Store, stored: StoredObject) -> Iterator[Header]:
    """Map the file and present it to the rules. OSError if the store does not have it."""
    with store.open(stored.id, ahead=FIRST) as file:
        header = Header(file, stored)
        try:
            yield header
        finally:
            header.close()


def _facts(data_set: EncodedDataSet, stored: StoredObject, user: Callable[[], str | None]) -> Facts:
    return Facts(
        attributes=data_set,
        source=SourceFacts(
            calling_ae_title=stored.calling_ae_title or "",
            called_ae_title=stored.called_ae_title or "",
            address=stored.peer_address or "",
            listener=stored.listener or "",
            tls_subject=stored.tls_subject,
            user=user,
        ),
        file=FileFacts(
            sop_class_uid=stored.sop_class_uid,
            transfer_syntax_uid=stored.transfer_syntax_uid,
            size=stored.size,
        ),
        received=datetime.fromtimestamp(stored.received_at / 1000, UTC),
    )


def identifiers(data_set: EncodedDataSet) -> Identifiers:
    """What a person looks an object up by; what cannot be read is None."""
    return Identifiers(
        study_instance_uid=_first(data_set, _STUDY, _UID_LENGTH),
        series_instance_uid=_first(data_set, _SERIES, _UID_LENGTH),
        patient_id=_first(data_set, _PATIENT, _TEXT_LENGTH),
        accession_number=_first(data_set, _ACCESSION, _TEXT_LENGTH),
    )


def _first(data_set: EncodedDataSet, path: AttributePath, most: int) -> str | None:
    try:
        values = data_set.values(path)
    except MalformedDataSet:
        return None
    # Longer than the standard allows: kept as far as the column goes, to be found by its start.
    return values[0][:most] if values and values[0] else None
