"""How light each index of a palette is shown (PS3.3 C.7.6.3.1.5 and .6), in 8 bits."""

from __future__ import annotations

import struct
from typing import Final

from rules.encoded.data_set import EncodedDataSet

_DESCRIPTORS: Final = (0x00281101, 0x00281102, 0x00281103)
_TABLES: Final = (0x00281201, 0x00281202, 0x00281203)
_WEIGHTS: Final = (299, 587, 114)
_MOST: Final = 1 << 16


def light_of(data_set: EncodedDataSet) -> bytes:
    """One byte for each value of a sample, from 0; empty where the palette cannot be read."""
    columns = [_table(data_set, *tags) for tags in zip(_DESCRIPTORS, _TABLES, strict=True)]
    longest = max(map(len, columns))
    if not longest or not all(columns):
        return b""
    columns = [column + column[-1:] * (longest - len(column)) for column in columns]
    return bytes(
        sum(weight * value for weight, value in zip(_WEIGHTS, colour, strict=True)) // 1000
        for colour in zip(*columns, strict=True)
    )


def _table(data_set: EncodedDataSet, descriptor: int, table: int) -> bytes:
    """One colour's values in 8 bits, those before the first mapped one repeated from it."""
    form = data_set.root.form.order
    head, data = _bytes(data_set, descriptor), _bytes(data_set, table)
    if len(head) != 6 or not data:
        return b""
    count, first, bits = struct.unpack(f"{form}3H", head)
    count = count or _MOST
    if bits == 16 or len(data) >= 2 * count:
        words = struct.unpack(f"{form}{len(data) // 2}H", data[: len(data) // 2 * 2])[:count]
        wide = bits == 16 and max(words) > 0xFF
        values = bytes(word >> 8 if wide else word & 0xFF for word in words)
    else:
        values = data[:count]
    lead: bytes = values[:1] * min(first, _MOST - 1)
    return lead + values


def _bytes(data_set: EncodedDataSet, tag: int) -> bytes:
    element = data_set.element(tag)
    return b"" if element is None else bytes(data_set.source[element.value : element.stop])
