"""Headers of objects that reception has left in memory: the same facts as from the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.routing.headers import Header, identifiers, open_header
from router.store import DirectoryStore, Recent, Store, new_object_id
from rules.edits import apply_edits
from rules.encoded.data_set import MalformedDataSet
from rules.routes import match
from rules.tags import parse_path
from tests.router.routing.test_headers_from_afar import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    OFFSET,
    RULES,
    encoded,
    stored_object,
)

SYNTAXES = (EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG)
OBJECTS = {
    syntax: bytes(OFFSET) + encoded(syntax, header=5_000, tail=100, pixels=20_000)
    for syntax in SYNTAXES
}
PATHS = [
    parse_path(name)
    for name in (
        "SOPClassUID",
        "PatientID",
        "Rows",
        "StudyID",
        "0029,[US],01",
        "RequestAttributesSequence.StudyID",
        "PixelData",
        "FFFC,FFFC",
    )
]


def put(store: Store, content: bytes) -> str:
    object_id = new_object_id()
    with store.create(object_id) as writer:
        writer.write(content)
        writer.commit()
    return object_id


def facts(header: Header) -> list[object]:
    known: list[object] = [identifiers(header.attributes)]
    known += [header.facts.attributes.values(path) for path in PATHS]
    known += [header.facts.attributes.vr(path) for path in PATHS]
    known += [dispatch.route for dispatch in match(RULES, header.facts).dispatches]
    return known


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_in_memory_is_read_there_and_the_same(tmp_path: Path, syntax: str) -> None:
    content, kept = OBJECTS[syntax], DirectoryStore(tmp_path, recent=Recent())
    stored = stored_object(put(kept, content), content[OFFSET:], syntax)
    with open_header(DirectoryStore(tmp_path), stored) as header:
        expected, edited = facts(header), edits(header)
    kept.path_of(stored.id).unlink()
    with open_header(kept, stored) as header:
        assert facts(header) == expected
        assert edits(header) == edited


def test_nonsense_is_as_malformed_as_in_the_file(tmp_path: Path) -> None:
    content = bytes(OFFSET) + bytes(100) + b"\xff" * 200
    kept = DirectoryStore(tmp_path, recent=Recent())
    stored = stored_object(put(kept, content), content[OFFSET:], EXPLICIT)
    seen = []
    for store in (kept, DirectoryStore(tmp_path)):
        with open_header(store, stored) as header:
            assert identifiers(header.attributes).patient_id is None
            with pytest.raises(MalformedDataSet) as caught:
                match(RULES, header.facts)
            seen.append((caught.value.offset, caught.value.reason))
    assert len(set(seen)) == 1


def edits(header: Header) -> list[object]:
    (dispatch,) = match(RULES, header.facts).dispatches
    return list(apply_edits(dispatch.edits, header.editable, record=None).pieces)
