"""Real objects: every file that comes with pydicom, read by pydicom, and as encoded bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import data_store  # type: ignore[import-untyped]  # of the package pydicom-data
import pydicom
import pydicom.data
import pytest
from pydicom.filereader import read_file_meta_info

from rules.encoded import EncodedDataSet

FOLDERS = (Path(pydicom.data.__file__).parent, Path(data_store.__file__).parent)
FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Sample:
    """One Part 10 file: its bytes, its syntax, where its data set begins."""

    name: str
    content: bytes
    syntax: str
    offset: int

    @property
    def data_set(self) -> EncodedDataSet:
        return EncodedDataSet.read(self.content, self.syntax, self.offset)

    def decoded(self, data: bytes | None = None) -> pydicom.Dataset:
        """What pydicom reads: of the file, or of other bytes with the same file meta."""
        content = self.content if data is None else self.content[: self.offset] + data
        return pydicom.dcmread(io.BytesIO(content), force=True)


def load(path: Path) -> Sample | None:
    """None for what is no Part 10 file with a transfer syntax."""
    content = path.read_bytes()
    if content[128:132] != b"DICM":
        return None
    meta = read_file_meta_info(path)
    length = meta.get("FileMetaInformationGroupLength")
    if "TransferSyntaxUID" not in meta or length is None:
        return None
    return Sample(path.name, content, str(meta.TransferSyntaxUID), 144 + int(length))


SAMPLES = {path.name: loaded for path in FILES if (loaded := load(path))}


@pytest.fixture(params=sorted(SAMPLES))
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


@pytest.fixture
def samples() -> dict[str, Sample]:
    return SAMPLES
