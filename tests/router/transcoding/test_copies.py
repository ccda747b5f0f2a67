"""Copies in another syntax: made once for all who want them, and not kept for ever."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import REGISTRY

from router.config import Codecs
from router.transcoding.copies import Copies
from router.transcoding.errors import CannotTranscode
from router.transcoding.plan import Plan
from router.transcoding.transcoder import Transcoder
from rules.encoded.data_set import EncodedDataSet
from tests.router.transcoding.material import (
    EXPLICIT,
    IMPLICIT,
    RLE,
    Encoded,
    gradient,
    picture,
    transcoded,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def came(transcoder: Transcoder) -> Encoded:
    return transcoded(transcoder, picture(gradient(40, 50)), Plan(target=RLE))


def made() -> float:
    outcome = {"outcome": "done"}
    return REGISTRY.get_sample_value("dicom_router_objects_transcoded_total", outcome) or 0.0


def copied(copies: Copies, key: str, came: Encoded, syntax: str = EXPLICIT) -> bytes:
    data_set = EncodedDataSet.read(came.data, came.syntax)
    with copies.copy((key, syntax), data_set) as copy:
        return os.pread(copy.fd, copy.length, copy.offset)


def test_it_is_made_once_whoever_asks_and_however_often(came: Encoded, transcoder: Transcoder):
    copies = Copies(Transcoder(Codecs()))
    wanted = transcoded(transcoder, came, Plan(target=EXPLICIT)).data
    before = made()
    barrier = threading.Barrier(6)

    def ask(_: int) -> bytes:
        barrier.wait()
        return copied(copies, "a", came)

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(ask, range(6))) == {wanted}
    assert copied(copies, "a", came) == wanted
    assert made() == before + 1
    assert copied(copies, "a", came, IMPLICIT) != wanted
    assert copied(copies, "b", came) == wanted
    assert made() == before + 3
    copies.close()


def test_what_is_not_used_for_long_is_closed_and_what_is_in_use_is_not(came: Encoded):
    clock = Clock()
    copies = Copies(Transcoder(Codecs.model_validate({"keep": "10m"})), clock)
    data_set = EncodedDataSet.read(came.data, came.syntax)
    before = made()
    with copies.copy(("a", EXPLICIT), data_set) as in_use:
        copied(copies, "b", came)
        clock.now = 601.0
        copies.end_old()
        assert os.pread(in_use.fd, 1, 0)
        copied(copies, "a", came)
        assert made() == before + 2
        copied(copies, "b", came)
        assert made() == before + 3
    copies.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pread(in_use.fd, 1, 0)


def test_they_take_no_more_room_than_allowed(came: Encoded):
    size = 6 * 1000  # one copy has 4.3 KB: there is room for one
    clock = Clock()
    copies = Copies(Transcoder(Codecs(cache=size)), clock)
    before = made()
    for clock.now, key in enumerate("aabbab"):
        copied(copies, key, came)
    assert made() == before + 4
    copies.close()


def test_a_failure_is_not_kept(came: Encoded):
    copies = Copies(Transcoder(Codecs()))
    broken = Encoded(
        came.data.replace(b"\x02\0\0\0\x40\0\0\0", b"\x09\0\0\0\x40\0\0\0"), came.syntax
    )
    for _ in range(2):
        with pytest.raises(CannotTranscode):
            copied(copies, "a", broken)
    assert copied(copies, "a", came)
    copies.close()
