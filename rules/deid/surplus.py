"""Bytes of native pixel data behind the last frame that the header knows: nobody sees them."""

from __future__ import annotations

from rules.encoded.data_set import EncodedDataSet, Slice
from rules.encoded.draft import EditFailed
from rules.encoded.level import Element
from rules.encoded.pictures import NoPicture, read_picture


def surplus_of(data_set: EncodedDataSet, element: Element) -> Slice | None:
    """Where they are; None where there are none but padding, or the header tells no size.

    EditFailed where there is room for a whole frame more: pictures that nobody has looked for.
    """
    try:
        picture = read_picture(data_set)
    except NoPicture:
        return None
    # Colours that say they are subsampled are often whole.
    frame = picture.rows * picture.columns * picture.samples * picture.sample_bytes
    surplus = element.stop - element.value - frame * picture.frames
    if surplus >= frame:
        raise EditFailed("pixel data is longer than the header says, by a frame or more")
    return Slice(element.stop - surplus, surplus) if surplus > 1 else None
