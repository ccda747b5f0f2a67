"""The receive buffer: small when idle, large under load, never full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dicom.limits import LARGEST_BUFFER, SMALLEST_BUFFER
from router.dicom.receive_buffer import ReceiveBuffer


def fill(buffer: ReceiveBuffer) -> int:
    space = buffer.free()
    buffer.added(len(space))
    return len(space)


def take_all(buffer: ReceiveBuffer) -> None:
    buffer.start = buffer.end


def test_it_grows_where_reads_fill_it_and_shrinks_when_asked() -> None:
    buffer = ReceiveBuffer()
    sizes = []
    for _ in range(5):
        sizes.append(fill(buffer))
        take_all(buffer)
    assert sizes[0] == SMALLEST_BUFFER
    assert sizes[-1] == sizes[-2] == LARGEST_BUFFER
    buffer.shrink()
    assert len(buffer.free()) == SMALLEST_BUFFER


def test_it_stays_small_where_reads_do_not_fill_it() -> None:
    buffer = ReceiveBuffer()
    for _ in range(1000):
        buffer.free()
        buffer.added(SMALLEST_BUFFER - 1)
        take_all(buffer)
    assert len(buffer.free()) == SMALLEST_BUFFER


def test_what_is_not_taken_is_not_given_back() -> None:
    buffer = ReceiveBuffer()
    fill(buffer)
    buffer.start = buffer.end - 1
    buffer.view[buffer.start] = 42
    buffer.shrink()
    buffer.free()
    assert buffer.view[buffer.start] == 42


def test_views_of_a_grown_buffer_stay_as_they_are() -> None:
    buffer = ReceiveBuffer()
    buffer.free()[0] = 7
    fill(buffer)
    view = buffer.view[0:1]
    take_all(buffer)
    buffer.free()[0] = 8
    assert view[0] == 7


def test_more_than_there_was_space_is_refused_and_forgotten() -> None:
    buffer = ReceiveBuffer()
    with pytest.raises(ValueError, match="more bytes"):
        buffer.added(SMALLEST_BUFFER + 1)
    assert buffer.start == buffer.end == 0


@given(st.lists(st.tuples(st.integers(1, 40_000), st.integers(0, 40_000)), max_size=30))
def test_whatever_is_put_in_comes_out_in_order(steps: list[tuple[int, int]]) -> None:
    buffer = ReceiveBuffer()
    given_, taken = bytearray(), bytearray()
    number = 0
    for put, take in steps:
        space = buffer.free()
        assert space
        count = min(put, len(space))
        chunk = bytes((number + index) % 253 for index in range(count))
        number += count
        space[:count] = chunk
        buffer.added(count)
        given_ += chunk
        end = min(buffer.start + take, buffer.end)
        taken += buffer.view[buffer.start : end]
        buffer.start = end
    taken += buffer.view[buffer.start : buffer.end]
    assert taken == given_
