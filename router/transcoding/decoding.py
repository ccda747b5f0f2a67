"""One frame from its codec's bytes to samples. Runs in a codec process only: it needs numpy.

Samples come as an array of rows, columns and samples in the container that Bits Allocated and
Pixel Representation give, whatever the codestream used.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import imagecodecs
import numpy as np

from router.transcoding.codestreams import Codestream, read_codestream
from router.transcoding.errors import CodecFailed
from rules.encoded.pictures import Picture
from rules.encoded.transfer_syntaxes import KNOWN, Codec

Samples: TypeAlias = np.ndarray[Any, Any]


def container(picture: Picture) -> np.dtype[Any]:
    """The type of one sample of native pixel data."""
    return np.dtype(f"<{'i' if picture.is_signed else 'u'}{picture.sample_bytes}")


def decode(frame: bytes, transfer_syntax_uid: str, picture: Picture) -> tuple[Samples, str, bool]:
    """The samples, their photometric interpretation, and whether coding may have lost something.
    CodecFailed where the bytes are not what the header says."""
    syntax = KNOWN[transfer_syntax_uid]
    if syntax.codec == "native":
        return _native(frame, picture)
    if syntax.codec == "rle":
        return _rle(frame, picture)
    stream = read_codestream(frame)
    if (stream.rows, stream.columns) != (picture.rows, picture.columns):
        raise CodecFailed("a frame has other rows and columns than the header says")
    if stream.samples != picture.samples:
        raise CodecFailed("a frame has other samples per pixel than the header says")
    samples, photometric = _coded(frame, syntax.codec, stream, picture)
    either = syntax.codec in ("jpeg2000", "htj2k")  # these may have lost something or not
    lossy = not syntax.lossless and not (either and stream.is_reversible)
    samples = _contained(samples, stream, picture)
    return samples.reshape(picture.rows, picture.columns, picture.samples), photometric, lossy


def _native(frame: bytes, picture: Picture) -> tuple[Samples, str, bool]:
    samples = np.frombuffer(
        frame, container(picture), picture.native_frame_length // picture.sample_bytes
    )
    if picture.is_subsampled:
        pairs = samples.reshape(picture.rows, picture.columns // 2, 4)
        whole = np.empty((picture.rows, picture.columns // 2, 2, 3), samples.dtype)
        whole[..., 0] = pairs[..., :2]
        whole[..., 1:] = pairs[..., np.newaxis, 2:]
        return whole.reshape(picture.rows, picture.columns, 3), "YBR_FULL", False
    if picture.samples > 1 and picture.planar == 1:
        planes = samples.reshape(picture.samples, picture.rows, picture.columns)
        return np.ascontiguousarray(planes.transpose(1, 2, 0)), picture.photometric, False
    return (
        samples.reshape(picture.rows, picture.columns, picture.samples),
        picture.photometric,
        False,
    )


def _rle(frame: bytes, picture: Picture) -> tuple[Samples, str, bool]:
    """Segments stand in the order of samples, then of bytes from high to low (PS3.5 annex G)."""
    unsigned = np.dtype(f"<u{picture.sample_bytes}")
    decoded = np.frombuffer(_called(imagecodecs.dicomrle_decode, frame, unsigned), unsigned)
    size = picture.rows * picture.columns
    if decoded.size != size * picture.samples:
        raise CodecFailed("a frame has other rows and columns than the header says")
    planes = decoded.reshape(picture.samples, picture.rows, picture.columns)
    whole = np.ascontiguousarray(planes.transpose(1, 2, 0)).view(container(picture))
    return whole, _interleaved_name(picture.photometric), False


def _interleaved_name(photometric: str) -> str:
    return "YBR_FULL" if photometric == "YBR_FULL_422" else photometric


def _coded(frame: bytes, codec: Codec, stream: Codestream, picture: Picture) -> tuple[Samples, str]:
    name = picture.photometric
    if codec == "jpeg-ls":
        return _called(imagecodecs.jpegls_decode, frame), _interleaved_name(name)
    if codec in ("jpeg2000", "htj2k"):
        read = imagecodecs.jpeg2k_decode if codec == "jpeg2000" else imagecodecs.htj2k_decode
        # Decoding undoes the colour transform (PS3.5 A.4.4).
        rgb = name in ("YBR_RCT", "YBR_ICT")
        samples = _called(read, frame, planar=False)
        return samples, "RGB" if rgb else _interleaved_name(name)
    if picture.samples == 1:
        return _called(imagecodecs.jpeg8_decode, frame), name
    if codec == "jpeg-lossless" or stream.is_ycc is False:
        plain = _called(imagecodecs.jpeg8_decode, frame, colorspace="RGB", outcolorspace="RGB")
        return plain, _interleaved_name(name) if codec == "jpeg-lossless" else "RGB"
    if stream.is_ycc is None and name == "RGB":
        plain = _called(imagecodecs.jpeg8_decode, frame, colorspace="RGB", outcolorspace="RGB")
        return plain, "RGB"
    return _called(imagecodecs.jpeg8_decode, frame, colorspace="YCBCR", outcolorspace="RGB"), "RGB"


def _contained(samples: Samples, stream: Codestream, picture: Picture) -> Samples:
    """The samples in the container of the object. Where codestream and header differ about the
    sign, the header is right, and the bits of the codestream's precision are what counts."""
    width = picture.bits_allocated
    if stream.precision > width:
        raise CodecFailed("a frame has more bits than Bits Allocated")
    target = container(picture)
    if stream.precision == width and samples.dtype.itemsize == target.itemsize:
        return np.ascontiguousarray(samples).view(target)
    wide = samples.astype(np.int64)
    if stream.is_signed and not picture.is_signed:
        wide &= (1 << stream.precision) - 1
    elif picture.is_signed and not stream.is_signed:
        sign = 1 << stream.precision - 1
        wide = (wide & (1 << stream.precision) - 1 ^ sign) - sign
    return wide.astype(target)


def _called(codec: Any, *arguments: Any, **options: Any) -> Any:
    """Every codec has errors of its own, and there is no list of them."""
    try:
        return codec(*arguments, **options)
    except MemoryError:
        raise
    except (ValueError, RuntimeError, TypeError, IndexError, OverflowError) as error:
        raise CodecFailed(f"a frame cannot be decoded ({type(error).__name__})") from error
