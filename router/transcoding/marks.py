"""What the header must say of changed pixels: colours, bits, and everything about loss.

PS3.3 C.7.6.1.1.5 (lossy compression), C.12.4 (derivation), PS3.4 B.4.1.3.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from router.transcoding.work import Loss
from rules.encoded.draft import Draft, Value
from rules.encoded.forms import EXPLICIT
from rules.encoded.transfer_syntaxes import KNOWN
from rules.encoded.writing import encode_element, encode_item
from rules.tags import AttributePath, Tag, parse_path

_EXTENDED = (0x7FE00001, 0x7FE00002, 0x7FE00003)
_SOURCE_IMAGES = 0x00082112
_DERIVATION_CODES = 0x00089215
_PURPOSE = 0x0040A170


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of the pixels. Sizes in bytes: of all frames, without coding, with the old and
    with the new one. `was_lossy`: the old coding had lost something. `interleaved`: the colours
    stand pixel by pixel now."""

    source: str
    target: str
    photometric: str
    interleaved: bool
    was_lossy: bool
    native: int
    before: int
    after: int
    lengths: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()


def mark(draft: Draft, result: Result, loss: Loss | None) -> str | None:
    """Write what the header must say; the new SOP Instance UID where the object is another now."""
    _text(draft, "PhotometricInterpretation", result.photometric)
    if result.interleaved:
        _text(draft, "PlanarConfiguration", "0")
    for tag in _EXTENDED:
        draft.remove(_tag(tag))
    if result.offsets and result.offsets[-1] > 0xFFFFFFFF:
        _extended_table(draft, result)
    if result.was_lossy:
        _mark_old_loss(draft, result)
    return _mark_new_loss(draft, result, loss) if loss is not None else None


def is_marked_lossy(draft: Draft) -> bool:
    """Whether the header says that something was lost before."""
    return _values(draft, "LossyImageCompression")[:1] == ("01",)


def _extended_table(draft: Draft, result: Result) -> None:
    """For offsets beyond 32 bits (PS3.3 C.7.6.3.1.8); each frame has one fragment."""
    for tag, numbers in zip(_EXTENDED, (result.offsets, result.lengths), strict=False):
        data = b"".join(number.to_bytes(8, "little") for number in numbers)
        draft.write(tag, Value("OV", data))


def _mark_old_loss(draft: Draft, result: Result) -> None:
    """Where the object does not say so itself. Once lost, lost for ever."""
    if _values(draft, "LossyImageCompression"):
        return
    _text(draft, "LossyImageCompression", "01")
    if not _values(draft, "LossyImageCompressionRatio") and result.before:
        _text(draft, "LossyImageCompressionRatio", f"{result.native / result.before:.4g}")
        _text(draft, "LossyImageCompressionMethod", KNOWN[result.source].method)


def _mark_new_loss(draft: Draft, result: Result, loss: Loss) -> str:
    ratio = f"{result.native / max(1, result.after):.4g}"
    method = KNOWN[result.target].method
    _text(draft, "LossyImageCompression", "01")
    _text(draft, "LossyImageCompressionRatio", ratio)
    _text(draft, "LossyImageCompressionMethod", method)
    kinds = _values(draft, "ImageType")
    _text(draft, "ImageType", "\\".join(("DERIVED", *(kinds[1:] or ("PRIMARY",)))))
    _text(draft, "DerivationDescription", f"Lossy compression {method}, ratio {ratio}")
    draft.append(_DERIVATION_CODES, _code("113040", "Lossy Compression"))
    sop_class = _values(draft, "SOPClassUID")[:1]
    instance = _values(draft, "SOPInstanceUID")[:1]
    draft.append(_SOURCE_IMAGES, _source_image(*sop_class, *instance))
    uid = _new_uid(*instance, result.target, repr(loss))
    _text(draft, "SOPInstanceUID", uid)
    return uid


def _new_uid(*parts: str) -> str:
    """The same for the same loss of the same object, so that a repeated delivery is one object."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _source_image(sop_class: str, instance: str) -> bytes:
    """An item of Source Image Sequence: the picture from which this one was derived."""
    purpose = encode_item(_code("121320", "Uncompressed predecessor"), EXPLICIT)
    return b"".join(
        (
            _element(0x00081150, "UI", sop_class),
            _element(0x00081155, "UI", instance),
            encode_element(_PURPOSE, "SQ", purpose, EXPLICIT),
        )
    )


def _code(value: str, meaning: str) -> bytes:
    return b"".join(
        (
            _element(0x00080100, "SH", value),
            _element(0x00080102, "SH", "DCM"),
            _element(0x00080104, "LO", meaning),
        )
    )


def _element(tag: int, vr: str, text: str) -> bytes:
    data = text.encode("ascii")
    return encode_element(
        tag, vr, data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2), EXPLICIT
    )


def _text(draft: Draft, keyword: str, text: str) -> None:
    draft.write_text(_path(keyword).tag, text)


def _values(draft: Draft, keyword: str) -> tuple[str, ...]:
    return draft.values(_path(keyword).tag) or ()


def _path(keyword: str) -> AttributePath:
    return parse_path(keyword)


def _tag(number: int) -> Tag:
    return Tag(number >> 16, number & 0xFFFF)
