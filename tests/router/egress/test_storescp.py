"""Draining into DCMTK's storescp as it is shipped."""

import pydicom
import pytest

from tests.programs import Program, free_port, needed
from tests.router.egress.surroundings import CT, ELE, ILE, JPEG, encode, pacs, small

pytestmark = pytest.mark.interop


def test_native_objects_arrive_and_what_it_does_not_take_is_held(house, tmp_path):
    received = tmp_path / "received"
    received.mkdir()
    port = free_port()
    command = [needed("storescp"), "--bit-preserving", "-od", received, str(port)]
    peer = Program(command, tmp_path / "storescp.log")
    try:
        peer.wait_for_port(port)
        explicit = [small() for _ in range(10)]
        implicit = [small() for _ in range(10)]
        house.owe("pacs", *explicit)
        house.owe("pacs", *implicit, syntax=ILE)
        house.owe("pacs", small(), syntax=JPEG, encoded=encode(small(), ELE))
        house.drain(pacs(port, associations=1))
        house.pool.close()
    finally:
        peer.stop()
    assert house.states() == {"delivered": 20, "held": 1}
    files = {pydicom.dcmread(path).SOPInstanceUID: path for path in received.iterdir()}
    for syntax, data_sets in ((ELE, explicit), (ILE, implicit)):
        for data_set in data_sets:
            assert files[data_set.SOPInstanceUID].read_bytes().endswith(encode(data_set, syntax))
    assert {pydicom.dcmread(path).SOPClassUID for path in files.values()} == {CT}
