"""The way back from a research archive: through the vault, while its key is changed under load."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest
import yaml
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from router.dicom.part10 import FileMeta, encode_file_meta
from router.dicom.uids import IMPLEMENTATION_CLASS_UID
from tests.faults.one_by_one import SUCCESS, OneByOne, new_uid
from tests.faults.router_under_test import RouterUnderTest
from tests.programs import dicom_router, wait_until
from tests.router.routing.test_batch import slice_of

pytestmark = [
    pytest.mark.journey,
    pytest.mark.timeout(120),
    pytest.mark.parametrize("deployment", ["cluster"], indirect=True),
]

FIRST, SECOND = "the first key of this vault", "the second key of this vault"
SEALED = "SELECT count(*) FROM vault_entries WHERE key_name = '{}'"


class Journey:
    """A router with a vault, what was sent to it, and what it wrote for research."""

    def __init__(self, folder: Path) -> None:
        self.sent: dict[str, bytes] = {}
        self.originals = folder / "in"
        self.originals.mkdir()
        layout = "{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm"
        self.router = RouterUnderTest(
            folder / "site",
            destinations=[{"name": "research", "folder": {"path": "out", "layout": layout}}],
            routes=[{"name": "research", "deidentify": "kept", "send_to": "research"}],
            keys={"study-a": "of this test, long enough"},
            vault={"keys": {"first": FIRST}},
        )
        profile = {"key": "study-a", "vault": True, "verify": "all"}
        rules = self.router.folder / "rules" / "05.yaml"
        rules.write_text(yaml.safe_dump({"profiles": {"kept": profile}}))

    def send(self, count: int) -> None:
        with OneByOne(self.router.port) as line:
            for _ in range(count):
                uid = new_uid()
                data = slice_of(
                    uid, PatientID="MRN-4711", PatientName="Doe^Jane",
                    StudyInstanceUID="1.2.3.4.5.6.7.8", SeriesInstanceUID="1.2.3.4.5.6.7.9",
                )  # fmt: skip
                assert line.send(data, uid) == SUCCESS
                self.sent[uid] = data
                (self.originals / f"{uid}.dcm").write_bytes(head_of(uid) + data)

    def change_key(self) -> None:
        """As a person does: the new key seals, the old one reads."""
        file = self.router.folder / "site.yaml"
        site = yaml.safe_load(file.read_text())
        site["vault"] = {"seal_with": "second", "keys": {"first": FIRST, "second": SECOND}}
        file.write_text(yaml.safe_dump(site))

    def run(self, *words: str, code: int = 0) -> str:
        """`dicom-router deid …`; what it says."""
        done = dicom_router("deid", *words)
        assert done.returncode == code, done.stderr
        return done.stdout

    def ask(self, *words: str) -> str:
        site = str(self.router.folder / "site.yaml")
        return self.run(*words, "--why", "a journey", "--config", site)


def head_of(uid: str) -> bytes:
    return encode_file_meta(
        FileMeta(
            media_storage_sop_class_uid=CTImageStorage,
            media_storage_sop_instance_uid=uid,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        )
    )


def test_who_somebody_was_is_found_whatever_becomes_of_the_key(tmp_path: Path) -> None:
    journey = Journey(tmp_path)
    out = tmp_path / "site" / "out"
    with journey.router as router:
        journey.send(3)
        journey.change_key()

        def sealed_anew() -> bool:
            journey.send(1)
            return router.count(SEALED.format("second")) > 0

        wait_until(sealed_anew, "the new key to be taken up", 30)
        router.wait_until_settled(journey.sent)
        first, *_ = out.rglob("*.dcm")
        copy = pydicom.dcmread(first)
        (told,) = {
            (one["id_old"], *(above["id_old"] for above in one["belongs_to"]))
            for one in json.loads(journey.ask("lookup", str(copy.SOPInstanceUID), "--json"))
        }
        assert told[0] in journey.sent
        assert told[1:] == ("1.2.3.4.5.6.7.9", "1.2.3.4.5.6.7.8", "MRN-4711")
        journey.ask("reseal")
        assert router.count(SEALED.format("first")) == 0
        crosswalk = tmp_path / "instances.csv"
        journey.ask("export", "instances", "--output", str(crosswalk))
        audited = router.ask("SELECT action, who, why FROM vault_audit ORDER BY id")
    assert crosswalk.read_text().count("\n") == 1 + len(journey.sent)
    against = ("--against", str(journey.originals), "--crosswalk", str(crosswalk))
    assert f"{len(journey.sent)} checked, 0 with findings" in journey.run(
        "check", str(out), *against
    )
    assert [row[0] for row in audited] == ["lookup", "reseal", "reseal", "export", "export"]
    assert {row[2] for row in audited} == {"a journey"}
