"""One frame from samples to its codec's bytes. Runs in a codec process only: it needs numpy."""

from __future__ import annotations

import struct
from collections.abc import Callable

import imagecodecs
import jpeg_ls
import numpy as np
from openjpeg.utils import encode_array

from router.transcoding.decoding import Samples
from router.transcoding.errors import CannotTranscode, CodecFailed
from router.transcoding.work import Loss
from rules.encoded.pictures import Picture
from rules.encoded.transfer_syntaxes import HTJ2K_LOSSLESS_RPCL, KNOWN

_COLOURS = 3
_SEARCH_STEPS = 12
_SMALLEST_TILE = 64
_MOST_RESOLUTIONS = 6
_ROOM = 4096


def encode(
    samples: Samples,
    photometric: str,
    transfer_syntax_uid: str,
    picture: Picture,
    loss: Loss | None,
) -> tuple[bytes, str]:
    """The frame in that syntax, and its photometric interpretation there. CannotTranscode where
    the syntax cannot hold such samples."""
    try:
        return _encoded(samples, photometric, transfer_syntax_uid, picture, loss)
    except (ValueError, RuntimeError, TypeError, OverflowError) as error:
        raise CodecFailed(f"a frame cannot be encoded ({type(error).__name__})") from error


def _encoded(
    samples: Samples,
    photometric: str,
    transfer_syntax_uid: str,
    picture: Picture,
    loss: Loss | None,
) -> tuple[bytes, str]:
    syntax = KNOWN[transfer_syntax_uid]
    if syntax.codec == "native":
        return samples.tobytes(), photometric
    if syntax.codec == "rle":
        return _rle(samples), photometric
    if picture.bits_allocated > 16:
        raise CannotTranscode("only RLE and native syntaxes hold more than 16 bits")
    if syntax.codec == "jpeg":
        return _jpeg(samples, photometric, loss)
    if loss is not None and photometric == "PALETTE COLOR":
        raise CannotTranscode("a palette's indices cannot lose anything")
    if syntax.codec == "jpeg-lossless":
        return _jpeg_lossless(samples, photometric, picture), photometric
    if syntax.codec == "jpeg-ls":
        return _jpeg_ls(samples, picture, loss), photometric
    with_mct = photometric == "RGB"
    if syntax.codec == "jpeg2000":
        data = _jpeg_2000(samples, picture, loss, with_mct=with_mct)
    else:
        data = _htj2k(samples, transfer_syntax_uid, loss, with_mct=with_mct)
    if not with_mct:
        return data, photometric
    return data, "YBR_RCT" if loss is None else "YBR_ICT"


def precision_of(samples: Samples, picture: Picture) -> int:
    """Bits Stored, unless other bits are in use (an overlay above the pixels): then all of them."""
    bits = picture.bits_stored
    if bits == picture.bits_allocated or picture.high_bit != bits - 1:
        return picture.bits_allocated
    low, high = int(samples.min()), int(samples.max())
    limits = (-(1 << bits - 1), (1 << bits - 1) - 1) if picture.is_signed else (0, (1 << bits) - 1)
    return bits if limits[0] <= low and high <= limits[1] else picture.bits_allocated


def _rle(samples: Samples) -> bytes:
    """A segment for each byte of each sample, high bytes first; rows apart (PS3.5 annex G)."""
    big = samples.astype(samples.dtype.newbyteorder(">"))
    planes = big.view(np.uint8).reshape(*samples.shape, samples.dtype.itemsize)
    segments = []
    for colour in range(samples.shape[2]):
        for byte in range(samples.dtype.itemsize):
            segment = imagecodecs.packbits_encode(np.ascontiguousarray(planes[:, :, colour, byte]))
            segments.append(segment + b"\0" * (len(segment) % 2))
    offsets = [64]
    for segment in segments[:-1]:
        offsets.append(offsets[-1] + len(segment))
    head = struct.pack("<16L", len(segments), *offsets, *[0] * (15 - len(segments)))
    return b"".join((head, *segments))


def _unsigned(samples: Samples) -> Samples:
    """Neither JPEG nor JPEG-LS knows a sign: signed samples go as the bits they are, all of them,
    so that nobody has to know where the sign stood."""
    plain = samples.view(samples.dtype.str.replace("i", "u"))
    return np.ascontiguousarray(plain[:, :, 0] if plain.shape[2] == 1 else plain)


def _jpeg(samples: Samples, photometric: str, loss: Loss | None) -> tuple[bytes, str]:
    if samples.dtype != np.uint8:
        raise CannotTranscode("JPEG baseline holds unsigned samples of 8 bits only")
    if photometric == "PALETTE COLOR":
        raise CannotTranscode("a palette's indices cannot lose anything")
    quality = loss.quality if loss is not None else None
    if samples.shape[2] == 1:
        return bytes(imagecodecs.jpeg8_encode(_unsigned(samples), level=quality)), photometric
    source = "YCBCR" if photometric.startswith("YBR") else "RGB"
    data = imagecodecs.jpeg8_encode(
        samples, level=quality, colorspace=source, outcolorspace="YCBCR", subsampling="422"
    )
    return bytes(data), "YBR_FULL_422"


def _jpeg_lossless(samples: Samples, photometric: str, picture: Picture) -> bytes:
    bits = picture.bits_allocated if picture.is_signed else precision_of(samples, picture)
    colours = None if samples.shape[2] == 1 else "RGB"  # as they are: no transform
    data = imagecodecs.jpeg8_encode(
        _unsigned(samples),
        lossless=True,
        predictor=1,
        bitspersample=max(bits, 2),
        colorspace=colours,
        outcolorspace=colours,
    )
    return _unnamed(bytes(data)) if photometric.startswith("YBR") else bytes(data)


def _unnamed(data: bytes) -> bytes:
    """The codestream without its claim to be RGB: no Adobe marker, components 1, 2 and 3."""
    if data[2:4] == b"\xff\xee":
        data = data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]
    for named, plain in ((b"R", b"\1"), (b"G", b"\2"), (b"B", b"\3")):
        frame, scan = data.index(b"\xff\xc3"), data.index(b"\xff\xda")
        for at in (data.index(named, frame + 10), data.index(named, scan + 5)):
            data = data[:at] + plain + data[at + 1 :]
    return data


def _jpeg_ls(samples: Samples, picture: Picture, loss: Loss | None) -> bytes:
    error = loss.error or 0 if loss is not None else 0
    if error and picture.is_signed:
        raise CannotTranscode("JPEG-LS with loss cannot hold signed samples")
    rows, columns, colours = samples.shape
    bits = picture.bits_allocated if picture.is_signed else max(precision_of(samples, picture), 2)
    mode = 2 if colours == _COLOURS else 0
    plain = _unsigned(samples)
    try:
        return bytes(
            jpeg_ls.encode_buffer(
                plain.tobytes(), rows, columns, colours, bits, error, interleave_mode=mode
            )
        )
    except RuntimeError:  # it makes room for what compresses, and noise does not
        room = bytearray(2 * plain.nbytes + _ROOM)
        return bytes(imagecodecs.jpegls_encode(plain, level=error, out=room))


def _jpeg_2000(samples: Samples, picture: Picture, loss: Loss | None, *, with_mct: bool) -> bytes:
    plain = np.ascontiguousarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    bits = precision_of(samples, picture)
    if loss is not None and loss.ratio is not None:
        colours = 1 if with_mct else 0 if samples.shape[2] == 1 else 3
        data = encode_array(
            plain,
            bits_stored=bits,
            photometric_interpretation=colours,
            use_mct=with_mct,
            compression_ratios=[loss.ratio],
        )
        return bytes(data)
    resolutions = 1
    while resolutions < _MOST_RESOLUTIONS and min(plain.shape[:2]) >> resolutions:
        resolutions += 1
    return bytes(
        imagecodecs.jpeg2k_encode(
            plain,
            level=0,
            codecformat="j2k",
            reversible=True,
            mct=with_mct,
            bitspersample=bits,
            resolutions=resolutions,
        )
    )


def _htj2k(samples: Samples, syntax: str, loss: Loss | None, *, with_mct: bool) -> bytes:
    plain = np.ascontiguousarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    if loss is not None and loss.ratio is not None:

        def lossy(step: float) -> bytes:
            data = imagecodecs.htj2k_encode(plain, level=step, reversible=False, rgb=with_mct)
            return bytes(data)

        return _searched(lossy, int(samples.nbytes / loss.ratio))
    levels = 5
    if syntax == HTJ2K_LOSSLESS_RPCL:
        while max(plain.shape[:2]) >> levels > _SMALLEST_TILE:
            levels += 1
    tlm = syntax == HTJ2K_LOSSLESS_RPCL
    data = imagecodecs.htj2k_encode(
        plain, reversible=True, rgb=with_mct, tlm=tlm, resolutions=levels
    )
    return bytes(data)


def _searched(encoded: Callable[[float], bytes], largest: int) -> bytes:
    """The best of the encodings with at most `largest` bytes; `encoded` takes the quantiser's
    step."""
    low, high = 1e-5, 0.5
    best = encoded(high)
    for _ in range(_SEARCH_STEPS):
        step = (low * high) ** 0.5
        data = encoded(step)
        if len(data) <= largest:
            best, high = data, step
        else:
            low = step
    if len(best) > largest:
        raise CannotTranscode("the picture cannot be made that small")
    return best
