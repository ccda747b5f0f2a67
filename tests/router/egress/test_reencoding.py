"""Objects that go out in another syntax than they are stored in, and those that cannot."""

import zlib
from array import array
from copy import deepcopy

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.router.egress.surroundings import CT, EBE, ELE, ILE, JPEG, Row, encode, pacs, small

DEFLATED = "1.2.840.10008.1.2.1.99"


def picture() -> Dataset:
    data_set = small(PatientName="Doe^Jane", BitsAllocated=16, Rows=64, Columns=64)
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3.4"
    data_set.ReferencedImageSequence = Sequence([item])
    data_set.PixelData = bytes(range(256)) * 32
    data_set["PixelData"].VR = "OW"
    return data_set


def stored(data_set: Dataset, syntax: str) -> bytes:
    if syntax == EBE:  # pydicom writes pixels as they are, whatever the byte order
        words = array("H", data_set.PixelData)
        words.byteswap()
        data_set = deepcopy(data_set)
        data_set.PixelData = words.tobytes()
        data_set["PixelData"].VR = "OW"
    if syntax != DEFLATED:
        return encode(data_set, syntax)
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflater.compress(encode(data_set, ELE)) + deflater.flush()
    return data + b"\0" * (len(data) % 2)


@pytest.mark.parametrize(
    ("syntax", "taken", "sent"),
    [
        (ELE, [ILE], ILE),
        (ILE, [ELE], ELE),
        (DEFLATED, [ELE, ILE], ELE),
        (DEFLATED, [ILE], ILE),
        (DEFLATED, [DEFLATED, ELE], DEFLATED),
        (ILE, [ELE, ILE], ILE),
        (EBE, [ELE], ELE),
    ],
)
def test_an_object_goes_out_as_stored_if_it_can_and_else_re_encoded(
    house, scp, syntax, taken, sent
):
    peer = scp({CT: taken})
    data_set = picture()
    (uid,) = house.owe("pacs", data_set, syntax=syntax, encoded=stored(data_set, syntax))
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("delivered", 1, "stored")
    assert peer.syntax_of[uid] == sent
    assert peer.bytes_of[uid] == stored(data_set, sent)


def test_an_encapsulated_object_is_held_where_the_peer_takes_native_ones_only(house, scp):
    peer = scp({CT: [ELE, ILE]})
    data_set = picture()
    data_set["PixelData"].is_undefined_length = True
    data_set.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x02\0\0\0\xff\xd8"
    data_set["PixelData"].VR = "OB"
    (uid,) = house.owe("pacs", data_set, syntax=JPEG, encoded=encode(data_set, ELE))
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("held", 1, "no_transfer_syntax_accepted")
    assert peer.arrived == []


def test_an_encapsulated_object_goes_out_byte_for_byte_where_the_peer_takes_it(house, scp):
    peer = scp({CT: [JPEG, ELE]})
    data = b"whatever the codec says."
    (uid,) = house.owe("pacs", small(), syntax=JPEG, encoded=data)
    house.drain(pacs(peer.port))
    assert peer.bytes_of[uid] == data


def test_what_cannot_be_read_is_held_rather_than_sent_half_encoded(house, scp):
    peer = scp({CT: [ILE]})
    (uid,) = house.owe(
        "pacs", small(), encoded=encode(small(), ELE) + b"\x10\x00\x20\x00LO\xff\x7fx"
    )
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("held", 1, "data_set_malformed")
    assert peer.arrived == []
