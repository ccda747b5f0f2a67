"""A multi-frame object of 2 GB that takes no room in memory nor on disk."""

from __future__ import annotations

import io
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pydicom
import xxhash
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid

from router.net.data_source import FileSlice

PIXELS = 2 << 30
"""4096 frames of 512 by 512 pixels of 16 bits."""


@dataclass(frozen=True)
class Huge:
    """A data set in two pieces: its header, and a sparse file for pixel data."""

    uid: str
    header: bytes
    pixels: FileSlice

    @property
    def told(self) -> bytes:
        """What a receiver's Tally says of it."""
        digest = xxhash.xxh3_128(self.header)
        zeros = bytes(1 << 20)
        for _ in range(self.pixels.length // len(zeros)):
            digest.update(zeros)
        return f"{len(self.header) + self.pixels.length} {digest.hexdigest()}".encode()


@contextmanager
def huge_object(pixels: int = PIXELS) -> Iterator[Huge]:
    """The object, for as long as the file is open. `pixels`: bytes, whole MiB."""
    uid = generate_uid()
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), pixels)
        yield Huge(uid, _header(uid, pixels), FileSlice(file.fileno(), 0, pixels))


def _header(uid: str, pixels: int) -> bytes:
    data_set = Dataset()
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = uid
    data_set.Modality = "CT"
    data_set.PatientID = "0815"
    data_set.StudyInstanceUID = generate_uid()
    data_set.SeriesInstanceUID = generate_uid()
    data_set.NumberOfFrames = pixels // (512 * 512 * 2)
    data_set.Rows = data_set.Columns = 512
    data_set.SamplesPerPixel = 1
    data_set.BitsAllocated = data_set.BitsStored = 16
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    return encoded.getvalue() + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, pixels)
