"""Real objects: every file that comes with pydicom, read by pydicom, and as encoded bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import data_store  # type: ignore[import-untyped]  # of the package pydicom-data
import pydicom
import pydicom.data
import pytest
from pydicom.filereader import read_file_meta_info

from rules.edits import Recording, apply_edits
from rules.encoded.data_set import EncodedDataSet, Piece
from rules.loading import rules_of_texts

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


KEYS = {
    "research": "a secret of thirty-two characters",
    "other": "another one of the same length !",
}
Edit = Callable[..., pydicom.Dataset]


@pytest.fixture
def edit_file(tmp_path: Path) -> Callable[..., bytes]:
    """Edits as they are typed, carried out on a sample: the file with its old file meta."""

    def carry_out(
        sample: Sample,
        edits: str,
        *,
        files: Mapping[str, str] | None = None,
        keys: Mapping[str, str] | None = KEYS,
        record: Recording | None = None,
    ) -> bytes:
        for name, text in (files or {}).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        lines = indent(dedent(edits).strip(), "    ")
        text = f"routes:\n- name: it\n  send_to: there\n  edits:\n{lines}\n"
        table = rules_of_texts({"10.yaml": text}, keys=keys, folder=tmp_path)
        data_set = sample.data_set
        result = apply_edits(table.routes[0].dispatch.edits, data_set, record=record)
        data = joined(result.pieces, data_set)
        assert result.sop_instance_uid == sample.decoded(data).SOPInstanceUID
        return sample.content[: sample.offset] + data

    return carry_out


@pytest.fixture
def edit(edit_file: Callable[..., bytes]) -> Edit:
    """The same; what pydicom reads afterwards."""

    def carry_out(sample: Sample, edits: str, **options: Any) -> pydicom.Dataset:
        return sample.decoded(edit_file(sample, edits, **options)[sample.offset :])

    return carry_out


def joined(pieces: tuple[Piece, ...], data_set: EncodedDataSet) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else bytes(data_set.view(piece.offset, piece.length))
        for piece in pieces
    )


def made(sample: Sample, data_set: pydicom.Dataset) -> Sample:
    """The sample with another data set, written by pydicom."""
    file = io.BytesIO()
    data_set.file_meta.TransferSyntaxUID = pydicom.uid.UID(sample.syntax)
    pydicom.dcmwrite(file, data_set, enforce_file_format=True)
    content = file.getvalue()
    length = int.from_bytes(content[140:144], "little")
    return Sample(sample.name, content, sample.syntax, 144 + length)


@pytest.fixture
def remade() -> Callable[[Sample, pydicom.Dataset], Sample]:
    return made


@pytest.fixture
def ct() -> Sample:
    return SAMPLES["CT_small.dcm"]
