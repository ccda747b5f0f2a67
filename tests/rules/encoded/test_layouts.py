"""A header is read alike whatever headers were read before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.encoded import layouts
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.encoded.forms import EXPLICIT_BIG, EXPLICIT_LITTLE, LONG

TAGS = [0x00080005, *range(0x00080016, 0x00080028), *range(0x00100010, 0x00100018), 0x00204000]
TAGS += [0x00280010, 0x00280011, 0x300A0002, 0x7FE00010]


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    layouts._LAYOUTS.clear()
    yield
    layouts._LAYOUTS.clear()


def encoded(elements: Sequence[tuple[int, bytes, bytes]], order: str = "<") -> bytes:
    parts = []
    for tag, vr, value in elements:
        length = "2xL" if vr in LONG else "H"
        parts.append(pack(f"{order}HH2s{length}", tag >> 16, tag & 0xFFFF, vr, len(value)) + value)
    return b"".join(parts)


def walked(content: bytes, syntax: str, tags: Sequence[int]) -> tuple[object, ...]:
    """What a reader learns that asks for these tags, then for all."""
    root = EncodedDataSet.read(content, syntax).root
    told: list[object] = []
    for tag in tags:
        try:
            told.append(root.find(tag))
        except MalformedDataSet as error:
            told.append(str(error))
    try:
        root.complete_with_pixels()
    except MalformedDataSet as error:
        told.append(str(error))
    return (*told, list(root.entries.items()), root.strays, root.position, root.finished)


values = st.binary(max_size=6).map(lambda value: value + bytes(len(value) % 2))
element = st.tuples(st.sampled_from(TAGS), st.sampled_from([b"LO", b"US", b"OB", b"xx"]), values)
header = st.tuples(*(st.tuples(st.just(tag), st.just(b"LO"), values) for tag in TAGS)).map(list)


@given(data=st.data(), order=st.sampled_from("<>"), asked=st.lists(st.sampled_from(TAGS)))
def test_what_is_known_changes_nothing(data: st.DataObject, order: str, asked: list[int]) -> None:
    """Another header is like the first but for some elements, put anywhere, and where it ends."""
    syntax = EXPLICIT_LITTLE if order == "<" else EXPLICIT_BIG
    first = data.draw(header)
    other = first.copy()
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(other) - 1))
        other[at : at + data.draw(st.integers(0, 2))] = data.draw(st.lists(element, max_size=1))
    content = encoded(other, order)
    content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    layouts._LAYOUTS.clear()
    alone = walked(content, syntax, asked)
    layouts._LAYOUTS.clear()
    walked(encoded(first, order), syntax, asked)
    assert layouts._LAYOUTS
    for _ in range(layouts.PATIENCE + 2):
        assert walked(content, syntax, asked) == alone


def series(length: int) -> bytes:
    """A header whose third element has this length."""
    return encoded([(tag, b"LO", bytes(length if n == 2 else 4)) for n, tag in enumerate(TAGS)])


def known(content: bytes) -> int:
    """How many elements of its header need not be walked."""
    place = "<", 0, 0x7FE00008
    return len(layouts.recall(place, content, len(content), -1))


def test_what_stands_before_the_first_other_head_is_known() -> None:
    EncodedDataSet.read(series(4), EXPLICIT_LITTLE).root.complete()
    assert known(series(4)) == len(TAGS) - 1  # pixel data is no part of a header
    assert known(series(6)) == 2
    assert known(series(4)[:-40]) == 0


def test_a_repeated_element_is_not_hidden() -> None:
    """It stands before what is known, and again in it."""
    usual, odd = (encoded([(tag, b"ZZ", b"odd!")]) + series(4) for tag in (0x00080001, 0x00204000))
    alone = walked(odd, EXPLICIT_LITTLE, ())
    layouts._LAYOUTS.clear()
    walked(usual, EXPLICIT_LITTLE, ())
    assert layouts._LAYOUTS
    assert walked(odd, EXPLICIT_LITTLE, ()) == alone


def test_a_layout_that_serves_no_more_makes_way() -> None:
    EncodedDataSet.read(series(4), EXPLICIT_LITTLE).root.complete()
    for _ in range(layouts.PATIENCE):
        EncodedDataSet.read(series(6), EXPLICIT_LITTLE).root.complete()
    assert known(series(6)) == len(TAGS) - 1


def test_not_more_are_kept_than_have_room() -> None:
    for offset in range(layouts.KEPT * 2):
        content = bytes(offset) + series(4)
        EncodedDataSet.read(content, EXPLICIT_LITTLE, offset).root.complete()
    assert 0 < len(layouts._LAYOUTS) <= layouts.KEPT


def test_no_value_is_kept() -> None:
    name = b"Doe^Jane"
    content = encoded([(tag, b"LO", name) for tag in TAGS])
    EncodedDataSet.read(content, EXPLICIT_LITTLE).root.complete()
    (layout,) = layouts._LAYOUTS.values()
    assert name not in layout._heads.to_bytes(len(content), "little")
