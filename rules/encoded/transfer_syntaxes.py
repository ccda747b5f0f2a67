"""The transfer syntaxes whose pixels the router can read and write, and what each loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rules.encoded.forms import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

Codec: TypeAlias = Literal["native", "rle", "jpeg", "jpeg-lossless", "jpeg-ls", "jpeg2000", "htj2k"]


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """`lossless`: what was encoded comes out again whatever it was. `again`: the syntax in which
    changed pixels go back without losing more. `method`: of Lossy Image Compression Method."""

    uid: str
    codec: Codec
    lossless: bool
    again: str
    method: str = ""


RLE: Final = "1.2.840.10008.1.2.5"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR: Final = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"
HTJ2K: Final = "1.2.840.10008.1.2.4.203"

_DCT, _LS, _J2K, _HT = "ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15"
KNOWN: Final = {
    syntax.uid: syntax
    for syntax in (
        TransferSyntax(IMPLICIT_LITTLE, "native", True, IMPLICIT_LITTLE),
        TransferSyntax(EXPLICIT_LITTLE, "native", True, EXPLICIT_LITTLE),
        TransferSyntax(DEFLATED, "native", True, DEFLATED),
        TransferSyntax(EXPLICIT_BIG, "native", True, EXPLICIT_LITTLE),  # retired, never written
        TransferSyntax(RLE, "rle", True, RLE),
        TransferSyntax(JPEG_BASELINE, "jpeg", False, JPEG_LOSSLESS_SV1, _DCT),
        TransferSyntax(JPEG_EXTENDED, "jpeg", False, JPEG_LOSSLESS_SV1, _DCT),
        TransferSyntax(JPEG_LOSSLESS, "jpeg-lossless", True, JPEG_LOSSLESS),
        TransferSyntax(JPEG_LOSSLESS_SV1, "jpeg-lossless", True, JPEG_LOSSLESS_SV1),
        TransferSyntax(JPEG_LS, "jpeg-ls", True, JPEG_LS),
        TransferSyntax(JPEG_LS_NEAR, "jpeg-ls", False, JPEG_LS, _LS),
        TransferSyntax(JPEG_2000_LOSSLESS, "jpeg2000", True, JPEG_2000_LOSSLESS),
        TransferSyntax(JPEG_2000, "jpeg2000", False, JPEG_2000_LOSSLESS, _J2K),
        TransferSyntax(HTJ2K_LOSSLESS, "htj2k", True, HTJ2K_LOSSLESS),
        TransferSyntax(HTJ2K_LOSSLESS_RPCL, "htj2k", True, HTJ2K_LOSSLESS_RPCL),
        TransferSyntax(HTJ2K, "htj2k", False, HTJ2K_LOSSLESS, _HT),
    )
}


def is_native(transfer_syntax_uid: str) -> bool:
    """Whether pixel data stands uncompressed in this syntax."""
    known = KNOWN.get(transfer_syntax_uid)
    return known is not None and known.codec == "native"
