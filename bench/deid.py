"""What de-identification costs, beside other engines: `python -m bench.deid [--rounds N]`

One CT slice of 525 KB with 150 elements and 3 sequences, file to file: read, de-identify by the
Basic Profile (the others by what they do unless told otherwise), write. Then black rectangles in
its pixels, and memory against the number of frames. By turns, medians of all rounds, CPU time of
this process. The other engines come with the extra `bench`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import mmap
import os
import tempfile
import tracemalloc
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pydicom

from bench import corpus
from bench.rules import EXPLICIT, mapped, play
from router.config import Codecs
from router.dicom.part10 import FileMeta, encode_file_meta, read_file_meta
from router.transcoding.parts import blocks_of
from router.transcoding.plan import Blackening, Plan
from router.transcoding.transcoder import Transcoder
from rules.deid.profile import Danger, Profile
from rules.deid.scan import findings
from rules.edits import Edited, apply_edits
from rules.encoded.data_set import EncodedDataSet, Slice
from rules.resources import Resources
from rules.tables import Tables

TIMES = 10
BOX = (0, 0, 512, 40)
CT = "1.2.840.10008.5.1.4.1.1.2"
RECIPE = """FORMAT dicom

%filter graylist

LABEL all
  contains Modality CT
  coordinates 0,0,512,40
"""


def profile() -> Profile:
    """The Basic Profile."""
    context = {"resources": Resources(Tables(None), {"bench": "not for service, 16"})}
    written = {"key": "bench", "dangers": dict.fromkeys(Danger, "pass")}
    return Profile.model_validate(written, context=context)


def meta_of(edited: Edited | None, syntax: str = EXPLICIT) -> bytes:
    """Preamble and file meta information."""
    return encode_file_meta(
        FileMeta(
            media_storage_sop_class_uid=edited.sop_class_uid if edited else CT,
            media_storage_sop_instance_uid=edited.sop_instance_uid if edited else corpus.MARK,
            transfer_syntax_uid=syntax,
        )
    )


def opened(source: mmap.mmap) -> EncodedDataSet:
    meta, offset = read_file_meta(source[:4096])
    return EncodedDataSet.read(source, meta.transfer_syntax_uid, offset)


def ours(file: Path, out: Path, chosen: Profile) -> None:
    """Read, de-identify, write."""
    with mapped(file) as source, out.open("wb") as target:
        data_set = opened(source)
        edited = apply_edits((), data_set, record=None, profile=chosen)
        target.write(meta_of(edited))
        for block in blocks_of(data_set, edited.pieces):
            target.write(block)


def proof(before: Path, after: Path) -> None:
    """What `verify` does to each object."""
    with mapped(before) as one, mapped(after) as other:
        if found := findings(opened(one), opened(other)):
            raise AssertionError(f"left over: {', '.join(map(str, found))}")


def plain_pydicom(file: Path, out: Path) -> None:
    """Read and write, nothing between."""
    pydicom.dcmread(file).save_as(out)


def dicom_anonymizer(file: Path, out: Path) -> None:
    from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file

    anonymize_dicom_file(str(file), str(out))


def pydicom_deid(file: Path, out: Path) -> None:
    from deid.dicom import replace_identifiers

    (made,) = replace_identifiers([str(file)], save=False, strip_sequences=False)
    made.save_as(out)


def dicognito() -> Callable[[Path, Path], None]:
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer(seed="bench")

    def work(file: Path, out: Path) -> None:
        made = pydicom.dcmread(file)
        anonymizer.anonymize(made)
        made.save_as(out)

    return work


def black(transcoder: Transcoder, file: Path, out: Path) -> None:
    """Read, blacken, write."""
    with mapped(file) as source, out.open("wb") as target:
        data_set = opened(source)
        whole = Slice(data_set.start, len(source) - data_set.start)
        edited = Edited(
            pieces=(whole,),
            sop_class_uid=CT,
            sop_instance_uid=corpus.MARK,
            transfer_syntax_uid=data_set.transfer_syntax_uid,
            changed=(),
        )
        plan = Plan(black=(Blackening(boxes=(BOX,)),))
        with transcoder.planned(data_set, edited, plan) as done:
            target.write(meta_of(None, done.transfer_syntax_uid))
            for block in blocks_of(done.source, done.parts):
                target.write(block)


def black_pydicom(file: Path, out: Path) -> None:
    made = pydicom.dcmread(file)
    pixels = made.pixel_array.copy()
    pixels[:40, :512] = 0
    made.PixelData = pixels.tobytes()
    made.save_as(out)


def black_deid(folder: Path) -> Callable[[Path, Path], None]:
    from deid.dicom import DicomCleaner

    recipe = folder / "recipe"
    recipe.write_text(RECIPE)

    def work(file: Path, out: Path) -> None:
        cleaner = DicomCleaner(output_folder=str(out.parent), deid=str(recipe))
        cleaner.detect(str(file))
        cleaner.clean()
        cleaner.save_dicom()

    return work


def frames_file(path: Path, frames: int) -> None:
    """A native object with so many frames of 512 x 512."""
    made = pydicom.Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CT, corpus.MARK
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.NumberOfFrames, made.Rows, made.Columns = frames, 512, 512
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    target = io.BytesIO()
    file = pydicom.filebase.DicomFileLike(target)
    file.is_implicit_VR, file.is_little_endian = False, True
    pydicom.filewriter.write_dataset(file, made)
    length = frames * 512 * 512 * 2
    head = b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little")
    with path.open("wb") as out:
        out.write(meta_of(None) + target.getvalue() + head)
        out.truncate(out.tell() + length)


def memory(transcoder: Transcoder, folder: Path, frames: int) -> int:
    """The most bytes that Python held while every frame was blackened."""
    file, out = folder / "frames", folder / "frames.out"
    frames_file(file, frames)
    tracemalloc.start()
    black(transcoder, file, out)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    file.unlink()
    out.unlink()
    return most


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds, and bytes held."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        transcoder = Transcoder(Codecs())
        stack.callback(transcoder.close)
        file, out, left = folder / "ct.dcm", folder / "out.dcm", folder / "cleaned.dcm"
        file.write_bytes(meta_of(None) + corpus.template("ct"))
        ours(file, left, profile())
        works: dict[str, Callable[[Path, Path], None]] = {
            "header: ours": partial(ours, chosen=profile()),
            "header: pydicom, read and write alone": plain_pydicom,
            "header: dicom-anonymizer": dicom_anonymizer,
            "header: deid": pydicom_deid,
            "header: dicognito": dicognito(),
            "pixels: ours": partial(black, transcoder),
            "pixels: pydicom": black_pydicom,
            "pixels: deid": black_deid(folder),
        }
        turns: dict[str, Callable[[], object]] = {
            key: partial(work, file, out) for key, work in works.items()
        }
        turns["proof: verify"] = partial(proof, file, left)
        figures = play(turns, rounds, TIMES)
        for frames in (4, 400):
            figures[f"bytes held, {frames} frames"] = memory(transcoder, folder, frames)
    return figures


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.deid", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="counted rounds after a warm-up")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    os.environ.setdefault("MESSAGELEVEL", "QUIET")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        figures = measure(chosen.rounds)
    for name, figure in figures.items():
        unit = "bytes" if name.startswith("bytes") else "ms"
        print(f"{name:40}{figure:14,.{2 if unit == 'ms' else 0}f} {unit}")
    engines = ("dicom-anonymizer", "deid", "dicognito")
    fastest = min(figures[f"header: {engine}"] for engine in engines)
    mine, plain = figures["header: ours"], figures["header: pydicom, read and write alone"]
    print(f"{'ours / plain pydicom (bar: at most 1.5)':40}{mine / plain:14.2f}")
    print(f"{'fastest other / ours (bar: at least 3)':40}{fastest / mine:14.2f}")


if __name__ == "__main__":
    main()
