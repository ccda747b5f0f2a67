"""`dicom-router trace`: the story of an object."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from router.ledger import Ledger, ReceivedObject, objects

pytestmark = pytest.mark.usefixtures("busy")


@pytest.mark.parametrize("value", ["1.2.3.4.1", "A-1", f"{1:032x}", f"{0xE001:032x}", " A-1 "])
def test_an_object_is_found_by_what_a_person_knows(call: Any, site_file: Path, value: str):
    told = call("trace", value, "--json", "-c", site_file).json
    assert [story["object"]["sop_instance_uid"] for story in told] == ["1.2.3.4.1"]


@pytest.mark.parametrize("value", ["1.2.3.4", "P-1"])
def test_a_study_or_a_patient_has_several(call: Any, site_file: Path, value: str):
    told = call("trace", value, "--json", "-c", site_file).json
    assert {story["object"]["sop_instance_uid"] for story in told} == {
        "1.2.3.4.1",
        "1.2.3.4.2",
        "1.2.3.4.3",
    }


def test_pydicom_whose_import_takes_longer_than_the_rest_is_not_needed(site_file: Path):
    script = (
        "import sys\n"
        "from router.cli import app\n"
        f"try:\n    app(['trace', '1.2.3.4.1', '-c', {str(site_file)!r}])\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "CT Image Storage" in done.stdout
    assert "pydicom" not in done.stderr.split()


def test_the_story_has_every_part(call: Any, site_file: Path):
    said = call("trace", "1.2.3.4.1", "-c", site_file)
    assert said.code == 0
    for part in (
        "CT Image Storage, Explicit VR Little Endian, 525.3 KB",
        "received from CT01 at 10.1.0.7 as ROUTER on main, association association-1",
        "routed, by rules rules-1",
        "delivery 1 to pacs: delivered",
        "route CT to pacs, priority routine",
        "because Modality: CT, source.calling_ae_title: {one_of: [CT01, CT02]}",
        "waiting, out_of_resources, status A700H, attempts 1, took 12ms, association to-pacs-1",
        "delivered, status 0000H, attempts 2, took 12ms, association to-pacs-2, by w1",
        "to ai: waiting",
        "route chest to ai, priority stat",
        "edit set: {InstitutionName: Example Hospital}",
        "edit remove: [PatientComments]",
        f"edited copy: SOP instance 1.2.3.4.1, object {0xE001:032x}, 525.4 KB",
        "due since then",
    ):
        assert part in said.out, part


def test_the_story_as_json(call: Any, site_file: Path):
    (story,) = call("trace", "1.2.3.4.1", "--json", "-c", site_file).json
    assert story["object"]["association_id"] == "association-1"
    assert story["object"]["received_at"].endswith("Z")
    to_pacs, to_ai = story["deliveries"]
    assert to_pacs["route"] == {
        "name": "CT to pacs",
        "file": "10-routes.yaml",
        "when": "Modality: CT, source.calling_ae_title: {one_of: [CT01, CT02]}",
        "edits": [],
        "deidentify": None,
    }
    assert [event["status"] for event in to_pacs["history"]] == [0xA700, 0]
    assert to_ai["route"]["edits"][0] == "set: {InstitutionName: Example Hospital}"
    assert to_ai["delivery"]["payload_id"] == story["derived"][0]["id"]


def test_an_unrouted_object_says_so(call: Any, site_file: Path):
    said = call("trace", "1.2.3.4.4", "-c", site_file)
    assert "now unrouted (no_route_matched)" in said.out
    assert "no deliveries" in said.out


def test_a_stranger_is_a_failure(call: Any, site_file: Path):
    said = call("trace", "9.9.9", "-c", site_file)
    assert (said.code, said.out, said.err) == (1, "", "the router knows no such object\n")
    assert call("trace", "9.9.9", "--json", "-c", site_file).json == []


def test_what_it_is_can_be_said(call: Any, site_file: Path):
    assert call("trace", "P-1", "--by", "accession_number", "-c", site_file).code == 1
    assert call("trace", "P-1", "--by", "patient_id", "-c", site_file).code == 0


def test_fewer_can_be_asked_for(call: Any, site_file: Path):
    said = call("trace", "1.2.3.4", "--json", "-n", "2", "-c", site_file)
    assert len(said.json) == 2
    assert "the newest 2" in said.err


def test_many_objects_are_told_in_a_line_each(call: Any, site_file: Path, busy: Ledger):
    with busy.write() as connection:
        (known,) = objects.by_ids(connection, [f"{1:032x}"])
        fields = {name: getattr(known, name) for name in ReceivedObject._fields}
        again = [ReceivedObject(**{**fields, "id": f"{n:032x}"}) for n in range(100, 106)]
        objects.insert_received(connection, again)
    said = call("trace", "1.2.3.4.1", "-c", site_file)
    heading, *lines = said.out.splitlines()
    assert heading.split()[:2] == ["SOP", "instance"]
    *lines, strange, study = lines  # six were not routed, and have no study yet
    assert len(lines) == 7
    assert lines[-1].endswith("routed    pacs delivered, ai waiting")
    assert study.endswith(": 1 objects, 1 waiting at ai, 1 delivered at pacs") or strange.endswith(
        ": 1 objects, 1 waiting at ai, 1 delivered at pacs"
    )
    assert "--full" in said.err
    whole = call("trace", "1.2.3.4.1", "--full", "-c", site_file)
    assert whole.out.count("SOP instance 1.2.3.4.1   object") == 7


def test_a_deidentified_copy_is_told_with_its_own_names(
    call: Any, site_file: Path, busy: Ledger
) -> None:
    with busy.write() as connection:
        connection.execute(
            text(
                "UPDATE objects SET study_instance_uid = '2.25.1', patient_id = 'ABCDEF' "
                "WHERE id = :id"
            ),
            {"id": f"{0xE001:032x}"},
        )
    said = call("trace", "ABCDEF", "-c", site_file)
    assert "SOP instance 1.2.3.4.1   object" in said.out
    assert "there known by study 2.25.1, patient id ABCDEF" in said.out


def test_what_is_not_known_any_more_the_vault_may_know(call: Any, site_file: Path) -> None:
    with site_file.open("a") as file:
        file.write("vault: {keys: {v: the key of this test's vault}}\n")
    said = call("trace", "9.9.9", "-c", site_file)
    assert said.code == 1
    assert "its vault may know the name: dicom-router deid lookup" in said.err
