"""A phantom through the running router: none of what it holds arrives, anywhere in the bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pydicom
import pytest
import yaml

from rules.deid.profile import Danger
from tests.faults.one_by_one import SUCCESS, OneByOne
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import DICOM_ROUTER, RouterUnderTest, dicom
from tests.programs import wait_until
from tests.rules.deid.phantom import Planted, phantom

pytestmark = [
    pytest.mark.journey,
    pytest.mark.timeout(120),
    pytest.mark.parametrize("deployment", ["one process"], indirect=True),
]

EXPLICIT = "1.2.840.10008.1.2.1"
TITLE = "SECRETSENDER"
LAYOUT = "{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm"
HELD = "SELECT count(*) FROM objects WHERE state = 'held' AND reason = 'refused'"
DETAILS = "SELECT detail FROM object_events WHERE detail IS NOT NULL"


def left(content: bytes, planted: list[Planted]) -> list[str]:
    return [f"{one.tag:08X} {one.vr} at {one.depth}" for one in planted if one.data in content]


def test_nothing_identifying_leaves_and_what_leaves_is_traced_to_what_came(tmp_path: Path) -> None:
    made = phantom(EXPLICIT, "ISO_IR 192")
    (uid,) = (one.data.decode() for one in made.planted if (one.tag, one.depth) == (0x00080018, 0))
    fearless = {str(danger): "pass" for danger in Danger}
    careful = {"deidentify": "careful", "send_to": "files", "stop": True}
    careless = {"deidentify": "careless", "send_to": "files", "stop": True}
    routes: list[dict[str, object]] = [
        {"name": "careful", "when": {"source.calling_ae_title": "CAREFUL"}, **careful},
        {"name": "careless", "when": {"source.calling_ae_title": "CARELESS"}, **careless},
        {"name": "research", "deidentify": "fearless", "send_to": ["research", "files"]},
    ]
    with RecordingScp() as research:
        router = RouterUnderTest(
            tmp_path,
            destinations=[
                dicom("research", research.port),
                {"name": "files", "folder": {"path": "out", "layout": LAYOUT}},
            ],
            routes=routes,
            keys={"research": "of this test, long enough"},
        )
        profiles = {
            "fearless": {"key": "research", "dangers": fearless, "verify": "all"},
            "careless": {
                "key": "research",
                "dangers": fearless,
                "edits": [{"set": {"ImageComments": "of {PatientName}"}}],
                "verify": "all",
            },
            "careful": {"key": "research"},
        }
        (router.folder / "rules" / "05.yaml").write_text(yaml.safe_dump({"profiles": profiles}))
        with router:
            with OneByOne(router.port, title=TITLE) as line:
                assert line.send(made.content, uid) == SUCCESS
            for title in ("CAREFUL", "CARELESS"):
                with OneByOne(router.port, title=title) as line:
                    assert line.send(made.content, uid) == SUCCESS
            wait_until(lambda: router.count(HELD) == 2, "the refused ones to be held")
            details = {str(detail) for (detail,) in router.ask(DETAILS)}
            router.wait_until_settled([uid])
            arrived = research.arrivals.data_sets
            assert len(arrived) == 1
            ((new_uid, (sent,)),) = arrived.items()
            site = str(router.folder / "site.yaml")
            traced = subprocess.run(
                [DICOM_ROUTER, "trace", new_uid, "--config", site],
                capture_output=True, text=True, timeout=60, check=True,
            ).stdout  # fmt: skip
    assert any("encapsulated" in told for told in details)
    assert any("Name in ImageComments" in told for told in details)
    assert left(sent, made.planted) == []
    (file,) = (tmp_path / "out").rglob("*.dcm")
    assert left(str(file.relative_to(tmp_path)).encode(), made.planted) == []
    content = file.read_bytes()
    assert left(content, made.planted) == []
    assert TITLE.encode() not in content
    assert content[:128] == bytes(128)
    assert str(pydicom.dcmread(file).SOPInstanceUID) == new_uid != uid
    assert uid in traced
