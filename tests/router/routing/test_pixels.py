"""Edits of pixels on the way: what is stored, who shares it, what is held."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from router.ledger import ObjectState
from router.routing.batch import Routing
from tests.router.routing.test_batch import House
from tests.router.transcoding.material import J2K, J2K_LOSSLESS, RLE, gradient, picture

PIXELS = gradient(48, 64)
ROUTES = """
routes:
  - name: compressed
    edits:
      - transfer_syntax: JPEG2000Lossless
      - set: {{PatientName: Somebody Else}}
    send_to: [one, two]
  - name: black
    edits:
      - burn: [[0, 0, 64, 10]]
      - transfer_syntax: RLE Lossless
    send_to: [three]
  - name: lossy
    edits:
      - transfer_syntax: {{to: JPEG2000, lossy: {{ratio: 8}}}}
    send_to: [four]
  - name: as it came
    send_to: [{five}]
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.ledger.dispose()


@pytest.fixture
def routing(house: House) -> Iterator[Routing]:
    made = house.routing(ROUTES.format(five="five"))
    yield made
    made._transcoder.close()


def stored(house: House, object_id: str) -> FileDataset:
    content = house.store.path_of(object_id).read_bytes()
    found = house.object(object_id)
    assert len(content) == found.data_set_offset + found.size
    read = pydicom.dcmread(io.BytesIO(content))
    assert read.file_meta.TransferSyntaxUID == found.transfer_syntax_uid
    assert read.file_meta.MediaStorageSOPInstanceUID == found.sop_instance_uid
    assert read.SOPInstanceUID == found.sop_instance_uid
    return read


def test_each_distinct_result_is_made_once_and_shared(house: House, routing: Routing):
    object_id = house.receive(picture(PIXELS, BitsStored=12, HighBit=11).data, "1.2.3.4")
    routing.route([object_id])
    sent = house.deliveries(object_id)
    assert sent["one"] == sent["two"]
    assert sent["five"] == object_id
    assert len(set(sent.values())) == 4
    compressed = stored(house, sent["one"])
    assert compressed.file_meta.TransferSyntaxUID == J2K_LOSSLESS
    assert compressed.PatientName == "Somebody Else"
    assert np.array_equal(compressed.pixel_array, PIXELS)
    black = stored(house, sent["three"])
    assert black.file_meta.TransferSyntaxUID == RLE
    assert not black.pixel_array[:10].any()
    assert np.array_equal(black.pixel_array[10:], PIXELS[10:])
    lossy = stored(house, sent["four"])
    assert lossy.file_meta.TransferSyntaxUID == J2K
    assert lossy.LossyImageCompression == "01"
    assert lossy.SOPInstanceUID != "1.2.3.4"
    assert lossy.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"


def test_what_cannot_be_changed_is_held_with_the_reason_and_the_rest_goes(
    house: House, routing: Routing
):
    object_id = house.receive(picture(PIXELS, Rows=49).data, "1.2.3.4")
    assert routing.route([object_id]) == {"five"}
    found = house.object(object_id)
    assert (found.state, found.reason) == (ObjectState.HELD, "edit_failed")
    assert house.deliveries(object_id) == {"five": object_id}
    assert sum(len(house.store.ids_in(bucket)) for bucket in house.store.buckets()) == 1


def test_an_object_without_pixels_is_not_compressed_but_edited(house: House, routing: Routing):
    came = picture(PIXELS).data
    object_id = house.receive(came[: came.rindex(b"\xe0\x7f\x10\x00OW")], "1.2.3.4")
    routing.route([object_id])
    sent = house.deliveries(object_id)
    report = stored(house, sent["one"])
    assert report.file_meta.TransferSyntaxUID.is_little_endian
    assert not report.file_meta.TransferSyntaxUID.is_compressed
    assert report.PatientName == "Somebody Else"
