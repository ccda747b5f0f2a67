"""Where a peer takes nothing of what is stored: decompressed, once for all who need it."""

import shutil
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from prometheus_client import REGISTRY
from pynetdicom import evt
from pynetdicom.pdu_primitives import A_ASSOCIATE

from router.config import Codecs
from router.transcoding.copies import Copies
from router.transcoding.plan import Plan
from router.transcoding.transcoder import Transcoder
from router.transcoding.work import Loss
from tests.programs import Program, free_port, needed
from tests.router.egress.surroundings import ELE, ILE, Row, pacs
from tests.router.transcoding.material import (
    J2K_LOSSLESS,
    JPEG,
    JPEG_LS,
    RLE,
    SECONDARY_CAPTURE,
    Encoded,
    gradient,
    picture,
    transcoded,
)


@pytest.fixture
def copies(transcoder: Transcoder) -> Iterator[Copies]:
    made = Copies(Transcoder(Codecs()))
    yield made
    made.close()


@pytest.fixture(scope="module")
def transcoder() -> Iterator[Transcoder]:
    made = Transcoder(Codecs())
    yield made
    made.close()


def transcodings() -> float:
    outcome = {"outcome": "done"}
    return REGISTRY.get_sample_value("dicom_router_objects_transcoded_total", outcome) or 0.0


def owed(house, came: Encoded, *names: str) -> str:
    for name in names:
        house.owe(name, came.read(), syntax=came.syntax, encoded=came.data)
    return came.uid


def test_peers_that_take_native_only_get_the_same_pixels(house, scp, copies, transcoder):
    pixels = gradient(3, 64, 48)
    came = transcoded(transcoder, picture(pixels), Plan(target=J2K_LOSSLESS))
    uid = owed(house, came, "first", "second")
    peers = {name: scp({SECONDARY_CAPTURE: [ELE, ILE]}) for name in ("first", "second")}
    for name, peer in peers.items():
        house.drain(pacs(peer.port, name), copies=copies)
        assert peer.syntax_of[uid] == ELE
        assert np.array_equal(Encoded(peer.bytes_of[uid], ELE).pixels(), pixels)
    assert set(house.rows()) == {uid}


def test_a_retry_does_not_decode_again(house, scp, copies, transcoder):
    came = transcoded(transcoder, picture(gradient(64, 48)), Plan(target=JPEG_LS))
    uid = owed(house, came, "pacs")
    peer = scp({SECONDARY_CAPTURE: [ILE]})
    peer.script[uid] = 0x0110
    before = transcodings()
    house.drain(pacs(peer.port), copies=copies)
    assert house.rows()[uid].state == "waiting"
    del peer.script[uid]
    house.make_all_due()
    house.drain(pacs(peer.port), copies=copies)
    assert house.rows()[uid].state == "delivered"
    assert peer.syntax_of[uid] == ILE
    assert transcodings() == before + 1


def test_what_the_peer_takes_as_stored_is_not_touched(house, scp, copies, transcoder):
    came = transcoded(transcoder, picture(gradient(64, 48)), Plan(target=RLE))
    uid = owed(house, came, "pacs")
    peer = scp({SECONDARY_CAPTURE: [ELE, RLE]})
    before = transcodings()
    house.drain(pacs(peer.port), copies=copies)
    assert (peer.syntax_of[uid], peer.bytes_of[uid]) == (RLE, came.data)
    assert transcodings() == before


def test_the_stored_syntax_is_proposed_alone_and_then_what_we_can_make(
    house, scp, copies, transcoder
):
    came = transcoded(transcoder, picture(gradient(64, 48)), Plan(target=RLE))
    owed(house, came, "pacs")
    peer = scp({SECONDARY_CAPTURE: [ELE]})
    asked: list[A_ASSOCIATE] = []
    peer.server.bind(evt.EVT_REQUESTED, lambda event: asked.append(event.assoc.requestor.primitive))
    house.drain(pacs(peer.port), copies=copies)
    proposed = [
        (context.abstract_syntax, context.transfer_syntax)
        for context in asked[0].presentation_context_definition_list
    ]
    assert proposed == [(SECONDARY_CAPTURE, [syntax]) for syntax in (RLE, ELE, ILE)]


def test_what_cannot_be_decoded_is_held_and_nothing_of_it_is_sent(house, scp, copies, transcoder):
    came = transcoded(transcoder, picture(gradient(64, 48)), Plan(target=J2K_LOSSLESS))
    at = came.data.index(b"\xff\x4f\xff\x51")
    head, end = came.data[: at + 60], came.data[-8:]
    broken = Encoded(head + bytes(len(came.data) - len(head) - 8) + end, J2K_LOSSLESS)
    good = transcoded(
        transcoder, picture(gradient(64, 48), SOPInstanceUID="1.2.3.5"), Plan(target=RLE)
    )
    (uid,) = house.owe("pacs", came.read(), syntax=J2K_LOSSLESS, encoded=broken.data)
    (other,) = house.owe("pacs", good.read(), syntax=RLE, encoded=good.data)
    peer = scp({SECONDARY_CAPTURE: [ELE]})
    house.drain(pacs(peer.port), copies=copies)
    assert house.rows()[uid] == Row("held", 1, "transcoding_failed")
    assert peer.arrived == [other]


def test_without_room_for_the_copy_it_is_tried_again(house, scp, transcoder, tmp_path):
    came = transcoded(transcoder, picture(gradient(64, 48)), Plan(target=RLE))
    uid = owed(house, came, "pacs")
    folder = tmp_path / "gone"
    homeless = Copies(Transcoder(Codecs(folder=folder)))
    peer = scp({SECONDARY_CAPTURE: [ELE]})
    house.drain(pacs(peer.port), copies=homeless)
    assert house.rows()[uid].reason == "codecs_unavailable"
    folder.mkdir()
    house.make_all_due()
    house.drain(pacs(peer.port), copies=homeless)
    assert house.rows()[uid].state == "delivered"
    homeless.close()
    shutil.rmtree(folder)


@pytest.mark.interop
def test_storescp_as_it_is_shipped_gets_what_it_takes(house, copies, transcoder, tmp_path):
    received = tmp_path / "received"
    received.mkdir()
    port = free_port()
    command = [needed("storescp"), "--bit-preserving", "-od", received, str(port)]
    peer = Program(command, tmp_path / "storescp.log")
    pixels = gradient(64, 48, 3, dtype="<u1", most=250)
    lossy = transcoded(transcoder, picture(pixels), Plan(target=JPEG, loss=Loss(quality=90)))
    wanted = {}
    try:
        peer.wait_for_port(port)
        for number, syntax in enumerate((RLE, JPEG_LS, J2K_LOSSLESS), 1):
            header = picture(pixels, SOPInstanceUID=f"1.2.3.{number}")
            came = transcoded(transcoder, header, Plan(target=syntax))
            house.owe("pacs", came.read(), syntax=syntax, encoded=came.data)
            wanted[f"1.2.3.{number}"] = pixels
        (uid,) = house.owe("pacs", lossy.read(), syntax=JPEG, encoded=lossy.data)
        wanted[uid] = transcoded(transcoder, lossy, Plan(target=ELE)).pixels()
        house.drain(pacs(port, associations=1), copies=copies)
        house.pool.close()
    finally:
        peer.stop()
    assert house.states() == {"delivered": 4}
    files = [pydicom.dcmread(path) for path in received.iterdir()]
    assert {file.file_meta.TransferSyntaxUID for file in files} == {ELE}
    for file in files:
        assert np.array_equal(file.pixel_array, wanted[file.SOPInstanceUID])
