"""Whether there is text in a picture. Runs in a codec process only: it needs the extra `ocr`.

A detector proposes where text may be and a recogniser reads it: bones and vessels look like
letters to the first, and only what reads as two or more of them counts. What it says is forgotten
here: it is a patient's name more often than not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from router.transcoding.decoding import Samples
from router.transcoding.errors import CannotTranscode, CodecFailed
from rules.encoded.pictures import Picture

SURE: Final = 0.6
"""Of 1: how sure the recogniser must be."""
SHORTEST: Final = 2
"""Letters and digits: L and R on a film name nobody."""
SMALL: Final = 768
"""Pixels: a shorter side is enlarged to this, so that small print is found."""
TILE: Final = 768
"""Pixels: larger pictures are searched in pieces too, so that memory is bounded."""
OVERLAP: Final = 128
_MOST_ENLARGED: Final = 6
_MOST_PIXELS: Final = 1 << 20
_TAILS: Final = (0.5, 99.5)
_NARROW: Final = 0.6


def texts_in(samples: Samples, photometric: str, picture: Picture, table: bytes) -> int:
    """How many texts the frame shows; the search ends with the first piece that has some.

    CodecFailed where it cannot be searched. `table`: the light of each index of a palette.
    """
    for shown in _shown(samples, photometric, picture, table):
        for piece in _pieces(shown):
            if found := _read(piece):
                return found
    return 0


def _shown(samples: Samples, photometric: str, picture: Picture, table: bytes) -> Iterator[Samples]:
    """The frame in 8 bits, as it may be shown: from its lowest value to its highest; and where a
    few values stretch that, without them."""
    if photometric == "PALETTE COLOR" and table:
        light = np.frombuffer(table, np.uint8)
        yield light[np.clip(samples[..., 0], 0, len(light) - 1)]
        return
    if picture.samples > 1:
        whole = (samples >> (picture.bits_stored - 8)) if picture.bits_stored > 8 else samples
        whole = whole.astype(np.uint8)
        yield whole[..., 0] if photometric.startswith("YBR") else whole
        return
    plain = samples[..., 0].astype(np.float32)
    if photometric == "MONOCHROME1":
        plain = -plain
    low, high = float(plain.min()), float(plain.max())
    if low == high:
        return
    yield _stretched(plain, low, high)
    inner_low, inner_high = (float(one) for one in np.percentile(plain[::2, ::2], _TAILS))
    if inner_low < inner_high and inner_high - inner_low < _NARROW * (high - low):
        yield _stretched(plain, inner_low, inner_high)


def _stretched(plain: Samples, low: float, high: float) -> Samples:
    return np.clip((plain - low) * (255 / (high - low)), 0, 255).astype(np.uint8)


def _pieces(shown: Samples) -> Iterator[Samples]:
    """The picture in sizes that the detector is good at: small ones enlarged, large ones whole
    and made smaller, for large print, and then in pieces that overlap."""
    rows, columns = shown.shape[:2]
    longest = max(rows, columns)
    if longest <= TILE:
        factor = min(SMALL / min(rows, columns), _MOST_ENLARGED)
        factor = min(factor, (_MOST_PIXELS / (rows * columns)) ** 0.5)
        yield _scaled(shown, max(factor, 1.0))
        return
    yield _scaled(shown, TILE / longest)
    for top in _starts(rows):
        for left in _starts(columns):
            yield shown[top : top + TILE, left : left + TILE]


def _starts(length: int) -> range | list[int]:
    """Where pieces begin: at equal distances, the last one ending with the picture."""
    if length <= TILE:
        return [0]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    return [(length - TILE) * number // (count - 1) for number in range(count)]


def _scaled(shown: Samples, factor: float) -> Samples:
    import cv2

    if factor == 1.0:
        return shown
    rows, columns = (max(1, round(side * factor)) for side in shown.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(shown, (columns, rows), interpolation=way))


def _read(piece: Samples) -> int:
    """How many of its texts are sure and long enough."""
    import cv2
    from rapidocr.inference_engine.onnxruntime.main import ONNXRuntimeError

    colours = np.ascontiguousarray(
        piece[..., ::-1] if piece.ndim == 3 else np.repeat(piece[..., np.newaxis], 3, axis=2)
    )
    try:
        found = _reader()(colours)
    except MemoryError:
        raise
    except (ONNXRuntimeError, cv2.error, ValueError, RuntimeError, IndexError) as error:
        raise CodecFailed(f"a frame cannot be searched ({type(error).__name__})") from error
    texts, scores = getattr(found, "txts", None) or (), getattr(found, "scores", None) or ()
    return sum(
        sure >= SURE and sum(map(str.isalnum, text)) >= SHORTEST
        for text, sure in zip(texts, scores, strict=True)
    )


@cache
def _reader() -> Any:
    """The detector with its recogniser, and the models of the package: nothing is fetched."""
    try:
        import cv2
        import rapidocr
    except ImportError as error:
        raise CannotTranscode("the extra `ocr` is not installed") from error
    models = Path(rapidocr.__file__).parent / "models"
    cv2.setNumThreads(1)
    threads = "EngineConfig.onnxruntime"
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.max_side_len": 1 << 16,
            "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),
            "Det.limit_side_len": 32,  # its size is our choice
            "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
            f"{threads}.intra_op_num_threads": 1,
            f"{threads}.inter_op_num_threads": 1,
        }
    )
