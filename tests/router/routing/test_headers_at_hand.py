"""Headers from the bytes that reception has left in memory: the same facts as from the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.routing.headers import Header, identifiers, open_header
from router.store import MemoryStore, Store, new_object_id
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


class Counting(MemoryStore):
    """A store that notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def open(self, object_id: str, *, ahead: int | None = None):
        self.opened.append(object_id)
        return super().open(object_id, ahead=ahead)


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
@given(data=st.data())
def test_wherever_the_head_ends_the_facts_are_those_of_the_file(
    syntax: str, data: st.DataObject
) -> None:
    content = OBJECTS[syntax]
    end = data.draw(st.integers(0, len(content)))
    store = MemoryStore()
    stored = stored_object(put(store, content), content[OFFSET:], syntax)
    with open_header(store, stored) as header:
        expected = facts(header)
    with open_header(store, stored, content[:end]) as header:
        assert facts(header) == expected


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_whole_object_is_not_fetched_again(syntax: str) -> None:
    content, store = OBJECTS[syntax], Counting()
    stored = stored_object(put(store, content), content[OFFSET:], syntax)
    with open_header(store, stored, content) as header:
        facts(header)
        (dispatch,) = match(RULES, header.facts).dispatches
        apply_edits(dispatch.edits, header.editable, record=None)
    assert not store.opened


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, JPEG])
def test_a_header_at_hand_suffices_until_pixels_or_edits_are_asked_for(syntax: str) -> None:
    content, store = OBJECTS[syntax], Counting()
    stored = stored_object(put(store, content), content[OFFSET:], syntax)
    with open_header(store, stored, content[: len(content) - 19_000]) as header:
        assert identifiers(header.attributes).patient_id == "0815"
        assert not store.opened
        assert header.facts.attributes.values(parse_path("PixelData")) is not None
        (dispatch,) = match(RULES, header.facts).dispatches
        edited = apply_edits(dispatch.edits, header.editable, record=None)
        assert edited.pieces
        assert store.opened == [stored.id]


@pytest.mark.parametrize("end", [OFFSET + 20, OFFSET + 100])
def test_nonsense_is_as_malformed_as_in_the_file(end: int) -> None:
    content = bytes(OFFSET) + bytes(100) + b"\xff" * 200
    store = MemoryStore()
    stored = stored_object(put(store, content), content[OFFSET:], EXPLICIT)
    seen = []
    for head in (None, content, content[:end]):
        with open_header(store, stored, head) as header:
            assert identifiers(header.attributes).patient_id is None
            with pytest.raises(MalformedDataSet) as caught:
                match(RULES, header.facts)
            seen.append((caught.value.offset, caught.value.reason))
    assert len(set(seen)) == 1
