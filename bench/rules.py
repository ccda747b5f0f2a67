"""What rules cost: `python -m bench.rules [--rounds N] [--json]`. CPU time of this process alone.

A CT slice of 525 KB with some 150 elements; 300 routes of 4 conditions, in all of which the first
three hold and the fourth does not, so that every condition is looked at. Beside each of our own
figures stands pydicom's for the same work. By turns, medians of all rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import mmap
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pydicom
import xxhash
from pydicom.dataset import Dataset

from bench import corpus, report
from rules.edits import Edited, apply_edits
from rules.encoded.data_set import EncodedDataSet, Slice
from rules.facts import Facts, FileFacts, SourceFacts
from rules.loading import rules_of_texts
from rules.routes import RouteTable, match
from rules.tags import parse_path

EXPLICIT = "1.2.840.10008.1.2.1"
ROUTES = 300
TIMES = 40
"""Repetitions in one measurement: the clock of CPU time is coarse."""
ASKED = [parse_path(word) for word in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID")]

HOLDING = (
    "Modality: CT",
    "Manufacturer: {like: 'siem*'}",
    "SliceThickness: {at_most: 1.5}",
    "ImageType: {contains: primary}",
    "StudyDate: {newer_than: 30d}",
    "source.address: 10.1.0.0/16",
    "sop_class: image",
    "KVP: {between: [1, 140]}",
    "RequestAttributesSequence.ScheduledProcedureStepID: SPS1",
    "PatientName: {present: true}",
)
FAILING = (
    "StationName: ROOM{n}",
    "StudyDescription: {{contains: protocol {n}}}",
    "PatientID: {{one_of: [A{n}, B{n}, C{n}]}}",
    "SeriesDescription: {{matches: '^T{n}-[0-9]+$'}}",
    "InstanceNumber: {{above: 1{n}000}}",
    "AccessionNumber: {{starts_with: EH{n}}}",
    "ReferringPhysicianName: Doe^Nr{n}",
    "'0019,[DICOM-ROUTER BENCH],05': X{n}",
)
EDITS = """
  - set: {InstitutionName: Example Hospital}
  - prefix: {PatientID: EH-}
  - copy: {from: AccessionNumber, to: StudyID}
  - replace: {tag: StudyDescription, pattern: "^T", with: ""}
  - remove: [PatientComments, "(0019,10xx)"]
"""


def table_of_many() -> RouteTable:
    """300 routes: three conditions that hold, one that does not, different in each."""
    lines = ["routes:"]
    for n in range(ROUTES):
        held = [HOLDING[(n + step) % len(HOLDING)] for step in range(3)]
        when = [*held, FAILING[n % len(FAILING)].format(n=n)]
        lines += [f"- name: route {n}", "  send_to: there", "  when:"]
        lines += [f"    {condition}" for condition in when]
    return rules_of_texts({"10.yaml": "\n".join(lines)})


def editing() -> RouteTable:
    return rules_of_texts({"10.yaml": f"routes:\n- name: it\n  send_to: there\n  edits:{EDITS}"})


def facts_of(data_set: EncodedDataSet) -> Facts:
    return Facts(
        attributes=data_set,
        source=SourceFacts(
            calling_ae_title="CT01", called_ae_title="ROUTER", address="10.1.2.3", listener="main"
        ),
        file=FileFacts(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            transfer_syntax_uid=EXPLICIT,
            size=len(data_set.source),
        ),
        received=datetime(2026, 11, 21, 12, tzinfo=UTC),
    )


def read(source: bytes) -> EncodedDataSet:
    """The header: every element found, and what an object is known by."""
    data_set = EncodedDataSet.read(source, EXPLICIT)
    data_set.root.complete()
    for path in ASKED:
        data_set.values(path)
    return data_set


def read_and_match(source: bytes, table: RouteTable) -> EncodedDataSet:
    data_set = read(source)
    if not match(table, facts_of(data_set)).unrouted:
        raise AssertionError("a route matched: not every condition was looked at")
    return data_set


def edit(source: bytes, table: RouteTable) -> Edited:
    return apply_edits(table.routes[0].dispatch.edits, read(source), record=None)


def pydicom_read(source: bytes) -> Dataset:
    data_set = pydicom.dcmread(io.BytesIO(source), force=True, stop_before_pixels=True)
    for element in (data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.PatientID):
        str(element)
    return data_set


def pydicom_edit(source: bytes) -> bytes:
    """Read, the same five edits, write."""
    data_set = pydicom.dcmread(io.BytesIO(source), force=True)
    data_set.InstitutionName = "Example Hospital"
    data_set.PatientID = f"EH-{data_set.PatientID}"
    data_set.StudyID = data_set.AccessionNumber
    data_set.StudyDescription = data_set.StudyDescription.removeprefix("T")
    del data_set.PatientComments
    for tag in [element.tag for element in data_set if element.tag >> 8 == 0x001910]:
        del data_set[tag]
    written = io.BytesIO()
    pydicom.dcmwrite(
        written, data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    return written.getvalue()


def unedited_path(file: Path, table: RouteTable, out: int) -> None:
    """A file through header, routes and checksum to where it goes."""
    with mapped(file) as source:
        data_set = read_and_match(source, table)  # type: ignore[arg-type]
        _write(data_set, [Slice(0, len(source))], out)


def edited_path(file: Path, table: RouteTable, edits: RouteTable, out: int) -> None:
    """The same with five edits on the way."""
    with mapped(file) as source:
        data_set = read_and_match(source, table)  # type: ignore[arg-type]
        edited = apply_edits(edits.routes[0].dispatch.edits, data_set, record=None)
        _write(data_set, list(edited.pieces), out)


def _write(data_set: EncodedDataSet, pieces: list[bytes | Slice], out: int) -> None:
    digest = xxhash.xxh3_128()
    os.lseek(out, 0, os.SEEK_SET)
    for piece in pieces:
        if isinstance(piece, bytes):
            digest.update(piece)
            os.write(out, piece)
            continue
        with data_set.view(piece.offset, piece.length) as part:
            digest.update(part)
            os.write(out, part)


@contextmanager
def mapped(file: Path) -> Iterator[mmap.mmap]:
    with file.open("rb") as opened:
        content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield content
        finally:
            content.close()


def play(works: dict[str, Callable[[], object]], rounds: int, times: int) -> dict[str, float]:
    """Milliseconds of CPU for one, by turns; the first round warms up."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            started = time.process_time()
            for _ in range(times):
                work()
            if turn:
                found[name].append((time.process_time() - started) * 1000 / times)
    return {name: statistics.median(figures) for name, figures in found.items()}


def memory(pixels: int) -> int:
    """The most bytes that Python held while an object with so much pixel data was edited."""
    header = corpus.template("small")
    end = header.index(b"\xe0\x7f\x10\x00OW")
    edits = editing()
    with tempfile.TemporaryFile() as file:
        file.write(header[: end + 8] + pixels.to_bytes(4, "little"))
        file.truncate(end + 12 + pixels)
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        tracemalloc.start()
        edit(content, edits)  # type: ignore[arg-type]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        content.close()
    return most


def measure(rounds: int, times: int = TIMES) -> dict[str, float]:
    """All figures: milliseconds, ratios, bytes."""
    source = corpus.template("ct")
    many, edits = table_of_many(), editing()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ct")
        file.write_bytes(source)
        out = os.open(Path(folder, "out"), os.O_RDWR | os.O_CREAT)
        figures = play(
            {
                "read the header": partial(read, source),
                "read the header, pydicom": partial(pydicom_read, source),
                "read, match 300 routes": partial(read_and_match, source, many),
                "read, five edits": partial(edit, source, edits),
                "read, five edits, write, pydicom": partial(pydicom_edit, source),
                "file to file": partial(unedited_path, file, many, out),
                "file to file, five edits": partial(edited_path, file, many, edits, out),
            },
            rounds,
            times,
        )
        os.close(out)
    return {
        **figures,
        "matching on top of reading": figures["read, match 300 routes"]
        - figures["read the header"],
        "ratio: pydicom reads / we read": figures["read the header, pydicom"]
        / figures["read the header"],
        "ratio: pydicom edits / we edit": figures["read, five edits, write, pydicom"]
        / figures["read, five edits"],
        "ratio: edited / unedited": figures["file to file, five edits"] / figures["file to file"],
        "bytes held, 500 KB of pixels": memory(500_000),
        "bytes held, 500 MB of pixels": memory(500_000_000),
    }


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.rules", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="counted rounds after a warm-up")
    parser.add_argument("--json", action="store_true", help="for programs")
    chosen = parser.parse_args()
    figures = measure(chosen.rounds)
    if chosen.json:
        print(json.dumps({"machine": report.machine(), "figures": figures}, indent=1))
        return
    for name, figure in figures.items():
        unit = "" if name.startswith("ratio") else " bytes" if name.startswith("bytes") else " ms"
        print(f"{name:36} {figure:12,.{0 if unit == ' bytes' else 3}f}{unit}")


if __name__ == "__main__":
    main()
