"""The header of a stored object, as rules see it; pixel data is never read."""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime

from router.dicom.errors import Part10Error
from router.dicom.part10 import read_file_meta
from router.dicom.uids import PRIVATE_INFORMATION_CREATOR
from router.ledger import Identifiers, StoredObject
from router.routing.partial import FIRST, read_partial
from router.store import Store, mapped
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Source
from rules.facts import Attributes, Facts, FileFacts, SourceFacts
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

    `editable` is the data set; `attributes` are the same as long as nothing else is asked for than
    rules do, and need not be fetched whole: of an object in a store elsewhere they have no pixels
    and nothing that lies behind encapsulated ones.
    """

    __slots__ = ("_closing", "_file", "_store", "_stored", "_whole", "attributes", "facts")

    def __init__(self, store: Store, stored: StoredObject) -> None:
        """OSError if the store does not have the object."""
        self._store = store
        self._stored = stored
        self._whole: EncodedDataSet | None = None
        self._closing = ExitStack()
        self._file = self._closing.enter_context(store.open(stored.id, ahead=FIRST))
        try:
            self.attributes: Attributes = self._partial() or self.editable
        except BaseException:
            self.close()
            raise
        self.facts = _facts(self.attributes, stored, self._user)

    @property
    def editable(self) -> EncodedDataSet:
        """The data set to apply edits to. OSError if the store does not give it."""
        if self._whole is None:
            if self._file.content is None:
                self._file.read_at(0, _READ_AHEAD)
            self._whole = self._read(self._closing.enter_context(mapped(self._file)))
        return self._whole

    def close(self) -> None:
        """Unmap the object."""
        self._closing.close()

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
        file = self._file
        if file.is_local:
            return None
        stored = self._stored
        partial = read_partial(file, stored.transfer_syntax_uid, stored.data_set_offset)
        if partial is None:
            return None
        self._closing.callback(_unmap, partial.content)
        data_set = self._read(partial.content)
        if partial.encapsulated_at is not None:
            data_set.root.ends[partial.encapsulated_at] = file.size
        return data_set

    def _read(self, content: Source) -> EncodedDataSet:
        stored = self._stored
        return EncodedDataSet.read(
            content, stored.transfer_syntax_uid, offset=stored.data_set_offset
        )


def _unmap(content: mmap.mmap) -> None:
    # An error on its way up still has views in its traceback: the last of them unmaps it.
    with suppress(BufferError):
        content.close()


@contextmanager
def open_header(store: Store, stored: StoredObject) -> Iterator[Header]:
    """Present the object to the rules. OSError if the store does not have it."""
    header = Header(store, stored)
    try:
        yield header
    finally:
        header.close()


def _facts(attributes: Attributes, stored: StoredObject, user: Callable[[], str | None]) -> Facts:
    return Facts(
        attributes=attributes,
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


def identifiers(attributes: Attributes) -> Identifiers:
    """What a person looks an object up by; what cannot be read is None."""
    return Identifiers(
        study_instance_uid=_first(attributes, _STUDY, _UID_LENGTH),
        series_instance_uid=_first(attributes, _SERIES, _UID_LENGTH),
        patient_id=_first(attributes, _PATIENT, _TEXT_LENGTH),
        accession_number=_first(attributes, _ACCESSION, _TEXT_LENGTH),
    )


def _first(attributes: Attributes, path: AttributePath, most: int) -> str | None:
    try:
        values = attributes.values(path)
    except MalformedDataSet:
        return None
    # Longer than the standard allows: kept as far as the column goes, to be found by its start.
    return values[0][:most] if values and values[0] else None
