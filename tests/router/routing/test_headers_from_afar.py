"""Headers of objects in a bucket: the same facts as from a file, by one or two short requests."""

import io
import zlib
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from router.ledger import ObjectState, StoredObject
from router.routing.headers import identifiers, open_header
from router.store import MemoryStore, Store, new_object_id
from router.store.s3 import S3Store
from rules.edits import apply_edits
from rules.loading import rules_of_texts
from rules.routes import match
from tests.s3_server import Proxy, place, settings

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
OFFSET = 300
PIXELS = 6 << 20
RULES = rules_of_texts(
    {
        "r.yaml": "routes: [{name: all, when: {Modality: CT, PixelData: {present: true}},"
        " edits: [{set: {PatientID: ANON}}, {remove: [private]}], record: false, send_to: [pacs]}]"
    },
    destinations=("pacs",),
)


def encoded(syntax: str, *, header: int = 0, tail: int = 0, pixels: int = PIXELS) -> bytes:
    data_set = Dataset()
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data_set.SOPInstanceUID = "2.25.4711"
    data_set.Modality = "CT"
    data_set.PatientID = "0815"
    data_set.StudyInstanceUID = "2.25.1"
    data_set.Rows = data_set.Columns = 32
    data_set.BitsAllocated = 16
    if header:
        data_set.private_block(0x0029, "US", create=True).add_new(1, "OB", bytes(header))
    if syntax == JPEG:
        data_set.PixelData = encapsulate([bytes(pixels // 2), bytes(pixels // 2)])
        data_set["PixelData"].VR = "OB"
        data_set["PixelData"].is_undefined_length = True
    else:
        data_set.PixelData = bytes(pixels)
        data_set["PixelData"].VR = "OW"
    if tail:
        data_set.add_new(0xFFFCFFFC, "OB", bytes(tail))
    buffer = io.BytesIO()
    pydicom.dcmwrite(
        buffer,
        data_set,
        implicit_vr=syntax == IMPLICIT,
        little_endian=syntax != BIG,
        enforce_file_format=False,
    )
    data = buffer.getvalue()
    if syntax == DEFLATED:
        squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = squeeze.compress(data) + squeeze.flush()
    return data


def stored_object(object_id: str, data: bytes, syntax: str) -> StoredObject:
    known: dict[str, Any] = dict.fromkeys(StoredObject._fields)
    known |= {
        "id": object_id,
        "received_at": 1_700_000_000_000,
        "state": ObjectState.RECEIVED,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "sop_instance_uid": "2.25.4711",
        "transfer_syntax_uid": syntax,
        "size": len(data),
        "data_set_offset": OFFSET,
    }
    return StoredObject(**known)


def put(store: Store, object_id: str, data: bytes) -> None:
    with store.create(object_id) as writer:
        writer.write(bytes(OFFSET) + data)
        writer.commit()


@pytest.fixture
def bucket(s3_proxy: Proxy) -> Iterator[S3Store]:
    store = S3Store(place(new_object_id()), settings(s3_proxy.endpoint))
    yield store
    store.close()


CASES = {
    "explicit": (encoded(EXPLICIT), EXPLICIT, 1),
    "implicit": (encoded(IMPLICIT), IMPLICIT, 1),
    "big endian": (encoded(BIG), BIG, 1),
    "small": (encoded(EXPLICIT, pixels=500_000), EXPLICIT, 1),
    "with a long header": (encoded(EXPLICIT, header=300_000), EXPLICIT, 2),
    "with something behind the pixels": (encoded(EXPLICIT, tail=1000), EXPLICIT, 2),
    "encapsulated": (encoded(JPEG), JPEG, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_the_facts_are_those_of_the_file_and_cost_little(
    case: str, bucket: S3Store, s3_proxy: Proxy
):
    data, syntax, requests = CASES[case]
    object_id = new_object_id()
    put(bucket, object_id, data)
    s3_proxy.requests.clear()
    with open_header(bucket, stored_object(object_id, data, syntax)) as header:
        verdict = match(RULES, header.facts)
        assert [dispatch.route for dispatch in verdict.dispatches] == ["all"]
        assert identifiers(header.attributes).patient_id == "0815"
    gets = [one for one in s3_proxy.requests if one.startswith("GET")]
    assert len(gets) == requests, gets


@pytest.mark.parametrize("case", [*CASES, "deflated", "with a header beyond measure"])
def test_edits_are_those_of_the_file(case: str, bucket: S3Store):
    more = {
        "deflated": (encoded(DEFLATED, tail=10), DEFLATED, 0),
        "with a header beyond measure": (encoded(EXPLICIT, header=5 << 20), EXPLICIT, 0),
    }
    data, syntax, _ = (CASES | more)[case]
    object_id, near = new_object_id(), MemoryStore()
    pieces: list[bytes] = []
    for store in (near, bucket):
        put(store, object_id, data)
        with open_header(store, stored_object(object_id, data, syntax)) as header:
            (dispatch,) = match(RULES, header.facts).dispatches
            edited = apply_edits(dispatch.edits, header.editable, record=None)
            parts = (
                piece
                if isinstance(piece, bytes)
                else bytes(header.editable.view(piece.offset, piece.length))
                for piece in edited.pieces
            )
            pieces.append(b"".join(parts))
    assert pieces[0] == pieces[1]
    assert syntax == DEFLATED or b"ANON" in pieces[0]


def test_nonsense_is_malformed_from_afar_too(bucket: S3Store):
    data = bytes(100) + b"\xff" * 200_000
    object_id = new_object_id()
    near = MemoryStore()
    seen = []
    for store in (near, bucket):
        put(store, object_id, data)
        with open_header(store, stored_object(object_id, data, EXPLICIT)) as header:
            seen.append(identifiers(header.attributes))
    assert seen[0] == seen[1]
