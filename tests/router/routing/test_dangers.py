"""What de-identification does not let pass: held, dropped or looked for, and told in the trace."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from router.ledger import ObjectState
from router.ledger.queries import trace
from router.routing.batch import Policy, Routing
from rules.loading import rules_of_texts
from tests.programs import missing
from tests.router.routing.test_batch import House

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
NAME = "MUSTER ANNA 12.03.1960"
KEYS = {"research": "a secret of many characters"}
PROFILES = """
profiles:
  dropping: {key: research, dangers: {burned-in text: discard}}
  holding: {key: research}
  looking: {key: research, dangers: {burned-in text: pass}, detect_text: every frame}
  cleaning:
    key: research
    options: [clean pixel data]
    regions: [{name: top, when: {Modality: US}, top: 40}]
    detect_text: some frames
routes:
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.ledger.dispose()


def routing(house: House, *routes: str, on_no_match: str = "hold") -> Routing:
    table = rules_of_texts({"10.yaml": PROFILES + "\n".join(routes)}, keys=KEYS)
    policy = Policy(
        on_no_match=on_no_match,
        ignore_identical=False,
        loops=house.routing("routes: []")._policy.loops,
    )
    return Routing(ledger=house.ledger, spool=house.spool, rules=lambda: table, policy=policy)


def ultrasound(uid: str, text: str = "") -> bytes:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.StudyInstanceUID = ULTRASOUND, uid, "2.25.1"
    made.Modality, made.PatientID, made.PatientName = "US", "0815", "Muster^Anna"
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored, made.HighBit = 160, 256, 8, 8, 7
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.PixelRepresentation = 0
    image = Image.fromarray(np.full((160, 256), 60, "u1"))
    ImageDraw.Draw(image).text((9, 11), text, fill=240, font=ImageFont.load_default(14))
    made.PixelData = np.asarray(image).tobytes()
    made["PixelData"].VR = "OB"
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, made, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    return encoded.getvalue()


def told(house: House, object_id: str) -> tuple[ObjectState, str | None, str]:
    """State, reason, and all details that a trace shows."""
    stored = house.object(object_id)
    with house.ledger.read() as connection:
        (traced,) = trace(connection, object_id)
    details = " ".join(str(event.detail) for event in traced.history if event.detail)
    return stored.state, stored.reason, details


def test_what_is_to_be_dropped_goes_nowhere_and_the_trace_says_why(house: House) -> None:
    object_id = house.receive(ultrasound("2.25.7"), "2.25.7")
    route = "- {name: research, deidentify: dropping, send_to: [one]}"
    assert routing(house, route, on_no_match="archive").route([object_id]) == frozenset()
    assert house.deliveries(object_id) == {}  # nor where objects of no route go
    state, reason, details = told(house, object_id)
    assert (state, reason) == (ObjectState.DISCARDED, "refused")
    assert details == (
        "research: discarded: burned-in text: pictures of its class have text in them"
    )


def test_other_routes_send_it_all_the_same(house: House) -> None:
    object_id = house.receive(ultrasound("2.25.7"), "2.25.7")
    routes = (
        "- {name: research, deidentify: dropping, send_to: [one, two]}",
        "- {name: archive, send_to: [two, pacs]}",
    )
    assert routing(house, *routes).route([object_id]) == {"pacs"}
    assert house.deliveries(object_id) == {"pacs": object_id}  # two was decided on before
    state, reason, details = told(house, object_id)
    assert (state, reason) == (ObjectState.ROUTED, None)
    assert details.startswith("research: discarded: burned-in text")


def test_what_is_held_for_one_route_is_not_let_go_by_another(house: House) -> None:
    object_id = house.receive(ultrasound("2.25.7"), "2.25.7")
    routes = (
        "- {name: research, deidentify: dropping, send_to: [one]}",
        "- {name: study, deidentify: holding, send_to: [two]}",
    )
    assert routing(house, *routes).route([object_id]) == frozenset()
    state, reason, details = told(house, object_id)
    assert (state, reason) == (ObjectState.HELD, "refused")
    assert "study: burned-in text" in details
    assert "research: discarded" in details


@pytest.fixture
def searching() -> None:
    if importlib.util.find_spec("rapidocr") is None:
        raise missing("the extra `ocr` is not installed")


@pytest.mark.usefixtures("searching")
def test_text_in_a_picture_holds_the_object_and_is_told_nobody(house: House) -> None:
    with_text = house.receive(ultrasound("2.25.7", NAME), "2.25.7")
    without = house.receive(ultrasound("2.25.8"), "2.25.8")
    made = routing(house, "- {name: research, deidentify: looking, send_to: [one]}")
    assert made.route([with_text, without]) == {"one"}
    made._transcoder.close()
    assert house.deliveries(with_text) == {}
    assert set(house.deliveries(without)) == {"one"}
    state, reason, details = told(house, with_text)
    assert (state, reason) == (ObjectState.HELD, "refused")
    assert details == "research: there is text in its picture, frame 1"
    assert sum(len(house.store.ids_in(bucket)) for bucket in house.store.buckets()) == 3


@pytest.mark.usefixtures("searching")
def test_the_picture_is_searched_as_it_would_leave(house: House) -> None:
    object_id = house.receive(ultrasound("2.25.7", NAME), "2.25.7")
    made = routing(house, "- {name: research, deidentify: cleaning, send_to: [one]}")
    assert made.route([object_id]) == {"one"}
    made._transcoder.close()
    (payload,) = house.deliveries(object_id).values()
    assert not house.data_set(payload).pixel_array[:40].any()


@pytest.mark.usefixtures("searching")
def test_a_picture_that_cannot_be_searched_is_held(house: House) -> None:
    content = ultrasound("2.25.7").replace(
        b"\x28\x00\x10\x00US\x02\x00\xa0", b"\x28\x00\x10\x00US\x02\x00\xff"
    )
    object_id = house.receive(content, "2.25.7")
    made = routing(house, "- {name: research, deidentify: looking, send_to: [one]}")
    assert made.route([object_id]) == frozenset()
    made._transcoder.close()
    state, reason, details = told(house, object_id)
    assert (state, reason) == (ObjectState.HELD, "refused")
    assert "cannot be searched for text: pixel data is shorter than the header says" in details
