"""A destination that answers queries: what it has is a list that a test may change."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue

from router.dicom.commands import CFindRq, CFindRsp
from router.dicom.events import AssociationRequested, CommandReceived, ReleaseRequested
from router.dicom.negotiation import Acceptance, negotiate
from router.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN
from router.net.acceptor import Acceptor
from router.net.connection import Connection
from router.net.services import data_set_of

HIERARCHY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
DEPTH = {"STUDY": 1, "SERIES": 2, "IMAGE": 3}


@dataclass
class Catalogue:
    """A Query SCP. `tells`: the keywords that it returns beside the unique keys; None: all.
    `refuses`: levels. `relational`: whether it answers without the levels above, refuses them, or
    hangs up."""

    entries: list[dict[str, object]] = field(default_factory=list)
    tells: frozenset[str] | None = None
    relational: str = "answers"
    heeds_keys: bool = True
    status: int = 0
    refuses: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.keys: set[str] = set()
        self.associations = 0

    def __enter__(self) -> Catalogue:
        self._acceptor = Acceptor(host="127.0.0.1", port=0, serve=self._serve)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._acceptor.close()

    @property
    def port(self) -> int:
        return self._acceptor.port

    def entry(self, uid: str) -> dict[str, object]:
        (found,) = [one for one in self.entries if one["SOPInstanceUID"] == uid]
        return found

    def _serve(self, connection: Connection) -> None:
        event = connection.next_event()
        if not isinstance(event, AssociationRequested):
            return
        self.associations += 1
        connection.association.accept(
            negotiate(event.request, Acceptance(abstract_syntaxes=lambda _: True))
        )
        while True:
            match connection.next_event():
                case CommandReceived(command=CFindRq() as command) as event:
                    syntax = connection.association.contexts[event.context_id].transfer_syntax
                    data = data_set_of(connection, event)
                    assert data is not None
                    asked = _read(data, implicit=syntax == IMPLICIT_VR_LITTLE_ENDIAN)
                    if not self._answer(connection, event.context_id, command, asked, syntax):
                        return
                case ReleaseRequested():
                    connection.association.release_response()
                case _:
                    return

    def _answer(
        self, connection: Connection, context: int, command: CFindRq, asked: Dataset, syntax: str
    ) -> bool:
        level = asked.QueryRetrieveLevel
        self.asked.append((level, str(asked.get("StudyInstanceUID", ""))))
        self.keys |= {element.keyword for element in asked}
        above = HIERARCHY[: DEPTH[level] - 1]
        status = self.status
        if level in self.refuses:
            status = 0xA900
        elif status:
            pass
        elif any(not asked.get(keyword) for keyword in above) and self.relational != "answers":
            if self.relational == "hangs up":
                connection.association.abort()
                return False
            status = 0xA900
        else:
            for found in self._matching(asked, level):
                data = _write(found, implicit=syntax == IMPLICIT_VR_LITTLE_ENDIAN)
                self._respond(connection, context, command, 0xFF00, data)
        self._respond(connection, context, command, status, None)
        return True

    def _respond(
        self,
        connection: Connection,
        context: int,
        command: CFindRq,
        status: int,
        data: bytes | None,
    ) -> None:
        response = CFindRsp(
            message_id_being_responded_to=command.message_id,
            affected_sop_class_uid=command.affected_sop_class_uid,
            status=status,
        )
        if data is None:
            connection.send_command(context, response)
        else:
            connection.send_command(context, response, data)

    def _matching(self, asked: Dataset, level: str) -> Iterator[Dataset]:
        unique = HIERARCHY[: DEPTH[level]]
        told: set[object] = set()
        for entry in list(self.entries):
            wanted = {word: _texts(asked.get(word)) for word in unique}
            if self.heeds_keys and any(
                values and str(entry[word]) not in values for word, values in wanted.items()
            ):
                continue
            if entry[unique[-1]] in told:
                continue
            told.add(entry[unique[-1]])
            found = Dataset()
            for element in asked:
                word = element.keyword
                if word in unique or self.tells is None or word in self.tells:
                    setattr(found, word, self._value(entry, word))
            found.QueryRetrieveLevel = level
            yield found

    def _value(self, entry: dict[str, object], word: str) -> object:
        if word == "NumberOfStudyRelatedInstances":
            study = entry["StudyInstanceUID"]
            return sum(one["StudyInstanceUID"] == study for one in self.entries)
        return entry.get(word, "" if word not in ("Rows", "Columns") else None)


def _texts(value: object) -> list[str]:
    if value is None or value == "":
        return []
    return [str(one) for one in value] if isinstance(value, MultiValue) else [str(value)]


def _read(data: bytes, *, implicit: bool) -> Dataset:
    syntax = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"
    head = Dataset()
    head.TransferSyntaxUID = syntax
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, head)
    return dcmread(io.BytesIO(bytes(128) + b"DICM" + buffer.getvalue() + data), force=True)


def _write(found: Dataset, *, implicit: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit
    write_dataset(buffer, found)
    return bytes(buffer.getvalue())
