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
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Source
from rules.facts import Attributes, Facts, FileFacts, SourceFacts, Values
from rules.tags import AttributePath, parse_path

_STUDY = parse_path("StudyInstanceUID")
_SERIES = parse_path("SeriesInstanceUID")
_PATIENT = parse_path("PatientID")
_ACCESSION = parse_path("AccessionNumber")

_READ_AHEAD = 64 << 10
"""Bytes read before the file is mapped: a page that must come from the disk while the map is
looked at would stop every thread of this process, not only this one."""

_PIXEL_GROUP = 0x7FE0
_SHORTEST = 8  # bytes of an element

_UID_LENGTH = 64
_TEXT_LENGTH = 64


class Header:
    """A stored object's data set, readable as far as it is not damaged, and its facts.

    `editable` is the data set; `attributes` are the same as long as nothing else is asked for than
    rules do, and need not be fetched whole: of an object in a store elsewhere they have no pixels
    and nothing that lies behind encapsulated ones.
    """

    __slots__ = ("_file", "_head", "_maps", "_store", "_stored", "_whole", "attributes", "facts")

    def __init__(self, store: Store, stored: StoredObject, head: bytes | None = None) -> None:
        """`head`: the file's first bytes, where they are at hand. OSError if the store does not
        have the rest and it is needed."""
        self._store = store
        self._stored = stored
        self._head = head
        self._file: StoredFile | None = None
        self._maps: list[mmap.mmap] = []
        self._whole: EncodedDataSet | None = None
        try:
            self.attributes: Attributes = self._at_hand() or self._partial() or self.editable
        except BaseException:
            self.close()
            raise
        self.facts = _facts(self.attributes, stored, self._user)

    @property
    def editable(self) -> EncodedDataSet:
        """The data set to apply edits to. OSError if the store does not give it."""
        if self._whole is None:
            file = self._opened()
            file.read_at(0, _READ_AHEAD)
            self._whole = self._mapped(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return self._whole

    def close(self) -> None:
        """Unmap the object."""
        for content in self._maps:
            # An error on its way up still has views in its traceback: the last of them unmaps it.
            with suppress(BufferError):
                content.close()
        if self._file is not None:
            self._file.close()

    def _opened(self) -> StoredFile:
        if self._file is None:
            self._file = self._store.open(self._stored.id, ahead=FIRST)
        return self._file

    def _user(self) -> str | None:
        """Who the sender said it is: only the file knows. None where it says nothing."""
        offset = self._stored.data_set_offset
        head = self._head
        if head is None or len(head) < offset:
            head = self._opened().read_at(0, offset)
        try:
            meta, _ = read_file_meta(head[:offset])
        except Part10Error:
            return None
        if meta.private_information_creator_uid != PRIVATE_INFORMATION_CREATOR:
            return None
        user = json.loads(meta.private_information or b"{}").get("user")
        return user if isinstance(user, str) else None

    def _at_hand(self) -> Attributes | None:
        """What the head gives, if that is the object or has the whole header."""
        head, stored = self._head, self._stored
        if head is None:
            return None
        if len(head) == stored.data_set_offset + stored.size:
            self._whole = self._read(head)
            return self._whole
        with suppress(MalformedDataSet):
            beginning = self._read(head)
            beginning.root.complete()
            # It has come to pixel data, and not by chance to something that looks like an end.
            if len(head) - beginning.root.position >= _SHORTEST:
                return _Beginning(beginning, lambda: self.editable)
        return None

    def _partial(self) -> EncodedDataSet | None:
        file = self._opened()
        if file.is_local:
            return None
        stored = self._stored
        partial = read_partial(file, stored.transfer_syntax_uid, stored.data_set_offset)
        if partial is None:
            return None
        data_set = self._mapped(partial.content)
        if partial.encapsulated_at is not None:
            data_set.root.ends[partial.encapsulated_at] = file.size
        return data_set

    def _mapped(self, content: mmap.mmap) -> EncodedDataSet:
        self._maps.append(content)
        return self._read(content)

    def _read(self, content: Source) -> EncodedDataSet:
        stored = self._stored
        return EncodedDataSet.read(
            content, stored.transfer_syntax_uid, offset=stored.data_set_offset
        )


class _Beginning:
    """The attributes before pixel data, and those behind once they are asked for."""

    __slots__ = ("_header", "_whole")

    def __init__(self, header: EncodedDataSet, whole: Callable[[], EncodedDataSet]) -> None:
        self._header = header
        self._whole = whole

    def values(self, path: AttributePath) -> Values | None:
        return self._with(path).values(path)

    def vr(self, path: AttributePath) -> str | None:
        return self._with(path).vr(path)

    def _with(self, path: AttributePath) -> EncodedDataSet:
        return self._header if path.steps[0].group < _PIXEL_GROUP else self._whole()


@contextmanager
def open_header(store: Store, stored: StoredObject, head: bytes | None = None) -> Iterator[Header]:
    """Present the object to the rules; `head`: its file's first bytes, where they are at hand.
    OSError if the store does not have it."""
    header = Header(store, stored, head)
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
