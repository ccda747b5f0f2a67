"""`deid check`, `explain` and `preview` on files."""

import re
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from rules.deid.identity import uid_in_place_of
from rules.resources import Resources
from rules.tables import Tables

NAME = "CompressedSamples^CT1"


@pytest.fixture
def slice_file(tmp_path: Path) -> Path:
    found = get_testdata_file("CT_small.dcm")
    assert isinstance(found, str)
    path = tmp_path / "in" / "slice.dcm"
    path.parent.mkdir()
    path.write_bytes(Path(found).read_bytes())
    return path


def scrubbed(path: Path, target: Path) -> Path:
    """Only what the test needs: everything but the pixels is gone."""
    made = pydicom.dcmread(path)
    for element in list(made):
        if element.tag.group not in (0x0028, 0x7FE0) and element.keyword != "SOPClassUID":
            del made[element.tag]
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID("2.25.99")
    made.preamble = bytes(128)
    target.parent.mkdir(exist_ok=True)
    made.save_as(target)
    return target


def test_a_clean_file_passes(call: Any, slice_file: Path, tmp_path: Path):
    out = scrubbed(slice_file, tmp_path / "out" / "slice.dcm")
    said = call("deid", "check", out, "--against", slice_file)
    assert (said.code, said.err) == (0, "")
    assert "nothing found" in said.out
    assert said.out.endswith("1 checked, 0 with findings\n")


def test_what_is_left_is_told_without_its_value(call: Any, slice_file: Path, tmp_path: Path):
    out = scrubbed(slice_file, tmp_path / "out" / "slice.dcm")
    made = pydicom.dcmread(out)
    made.ImageComments = "of CompressedSamples"
    made.save_as(out)
    said = call("deid", "check", tmp_path / "out", "--against", tmp_path / "in")
    assert said.code == 1
    assert "name of PatientName is in ImageComments" in said.out
    assert "ompressed" not in said.out
    said = call("deid", "check", out, "--against", slice_file, "--json", "--show-values")
    (file,) = said.json["files"]
    assert file["findings"] == [
        {"kind": "name", "origin": "PatientName", "place": "ImageComments",
         "value": "CompressedSamples"}
    ]  # fmt: skip


def test_options_decide_what_may_be_left(call: Any, slice_file: Path, tmp_path: Path):
    out = scrubbed(slice_file, tmp_path / "out.dcm")
    made = pydicom.dcmread(out)
    made.StudyDate = "20040119"
    made.save_as(out)
    command = ("deid", "check", out, "--against", slice_file)
    assert call(*command).code == 1
    assert call(*command, "--retained", "retain full dates").code == 0
    item = pydicom.Dataset()
    item.CodeValue = "113106"
    made.DeidentificationMethodCodeSequence = [item]
    made.save_as(out)
    assert call(*command).code == 0
    assert call(*command, "--retained", "none").code == 1
    said = call(*command, "--retained", "retain everything")
    assert said.code == 2
    assert "no such option; known: " in said.err


def test_files_are_matched_by_a_crosswalk(call: Any, slice_file: Path, tmp_path: Path):
    scrubbed(slice_file, tmp_path / "out" / "renamed.dcm")
    scrubbed(slice_file, tmp_path / "in" / "another.dcm")
    command = ("deid", "check", tmp_path / "out", "--against", tmp_path / "in")
    said = call(*command)
    assert said.code == 2
    assert "--crosswalk" in said.err
    old = pydicom.dcmread(slice_file).SOPInstanceUID
    table = tmp_path / "uids.csv"
    table.write_text(f"id_old,id_new\n{old},2.25.99\n", encoding="utf-8")
    said = call(*command, "--crosswalk", table, "--json")
    assert said.code == 0
    assert said.json["files"][0]["original"] == str(slice_file)
    table.write_text("id_old,id_new\n1.2,2.25.99\n1.3,2.25.99\n", encoding="utf-8")
    said = call(*command, "--crosswalk", table)
    assert (said.code, "uids.csv:3: this id_new stands for two" in said.err) == (2, True)
    table.write_text("old;new\n", encoding="utf-8")
    assert "expected the columns id_old,id_new" in call(*command, "--crosswalk", table).err


def test_what_is_no_dicom_is_a_usage_error(call: Any, slice_file: Path, tmp_path: Path):
    (tmp_path / "text.dcm").write_text("no object")
    for command in (
        ("check", tmp_path / "text.dcm", "--against", slice_file),
        ("explain", tmp_path / "text.dcm", "-p", "basic"),
        ("preview", tmp_path / "text.dcm", "-p", "basic"),
        ("check", tmp_path / "nothing", "--against", slice_file),
    ):
        assert call("deid", *command).code == 2, command


def test_explain_tells_code_and_row(call: Any, slice_file: Path):
    said = call("deid", "explain", slice_file, "--profile", "basic")
    assert said.code == 0
    line = next(line for line in said.out.splitlines() if line.startswith("StudyDescription "))
    assert re.search(r" X +removed +e\+1 +- +Study Description$", line)
    assert "Rows" not in said.out
    told = call("deid", "explain", slice_file, "--profile", "basic", "--all", "--json").json
    by_path = {one["path"]: one for one in told}
    assert by_path["Rows"]["deed"] == "kept"
    assert by_path["PatientIdentityRemoved"]["deed"] == "added"
    assert by_path["OtherPatientIDsSequence[1].PatientID"]["deed"] == "removed"
    assert by_path["PatientName"]["before"] == NAME
    assert by_path["SOPInstanceUID"]["deed"] == "new UID"


def test_explain_says_why_an_object_would_be_held(call: Any, slice_file: Path):
    made = pydicom.dcmread(slice_file)
    made.BurnedInAnnotation = "YES"
    made.save_as(slice_file)
    said = call("deid", "explain", slice_file, "--profile", "basic")
    assert said.code == 1
    assert "would be held: burned-in text: BurnedInAnnotation says YES" in said.err


def test_a_profile_comes_from_the_rules(call: Any, slice_file: Path, tmp_path: Path):
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10.yaml").write_text(
        "profiles:\n  research: {key: study, edits: [{burn: [[0, 0, 128, 20]]}],"
        " options: [clean pixel data]}\n"
        "routes:\n  - {name: all, deidentify: research, send_to: there}\n",
        encoding="utf-8",
    )
    page = tmp_path / "page.html"
    said = call("deid", "preview", slice_file, "--rules", rules, "--output", page)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{page}: ")
    written = page.read_text(encoding="utf-8")
    assert written.count('<img alt="') == 2
    assert "with black rectangles" in written
    assert NAME in written
    assert (
        "The Basic Profile of PS3.15 2026d, key study; options: clean pixel data; edits of"
        in written
    )
    assert '<td class="row">Patient&#x27;s Name</td>' in written
    assert page.stat().st_mode & 0o077 == 0
    assert not re.search(r"(?:src|href)=\"(?!data:)", written)
    said = call("deid", "explain", slice_file, "--rules", rules, "--profile", "other")
    assert said.code == 2
    assert "no route names this profile; in the rules: research; or basic" in said.err


def test_a_value_cannot_break_out_of_the_page(call: Any, slice_file: Path, tmp_path: Path):
    made = pydicom.dcmread(slice_file)
    made.PatientComments = "<script>alert(1)</script>"
    made.save_as(slice_file)
    page = tmp_path / "page.html"
    assert call("deid", "preview", slice_file, "-p", "basic", "-o", page, "--json").code == 0
    assert "<script>alert" not in page.read_text(encoding="utf-8")


def test_files_are_matched_by_the_key_of_the_profile(call: Any, slice_file: Path, tmp_path: Path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "10.yaml").write_text(
        "profiles: {research: {key: a, keep: [StationName]}}\n"
        "routes: [{name: all, deidentify: research, send_to: x}]\n"
    )
    site = tmp_path / "site.yaml"
    site.write_text(
        "destinations: [{name: x, folder: {path: x}}]\nrules: rules/\n"
        "keys: {a: a secret of many characters}\nlisteners: [{name: m, ae_title: R, port: 11112}]\n"
    )
    old = str(pydicom.dcmread(slice_file).SOPInstanceUID)
    out = scrubbed(slice_file, tmp_path / "out" / "renamed.dcm")
    made = pydicom.dcmread(out)
    key = Resources(Tables(None), {"a": "a secret of many characters"}).key("a")
    made.SOPInstanceUID = uid_in_place_of(key, old)
    made.StationName = "CT01_OC0"  # as it was: the profile keeps it
    made.save_as(out)
    command = ("deid", "check", tmp_path / "out", "--against", tmp_path / "in", "--config", site)
    assert call(*command, "--profile", "research").code == 0
    made.SOPInstanceUID = "2.25.7"
    made.save_as(out)
    said = call(*command, "--profile", "research")
    assert (said.code, "the profile's key makes none of the originals" in said.err) == (2, True)
