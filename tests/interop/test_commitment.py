"""Storage commitment with other makers' programs, both ways, and what tshark says of it."""

from __future__ import annotations

import io
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne, new_uid
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.interop.capture import Capture
from tests.interop.receivers import Orthanc
from tests.journeys.test_traps import made
from tests.programs import dicom_router, free_port, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

QUICK = {"age": "100ms", "wait": "200ms", "listen": "2s"}


class CommittingOrthanc(Orthanc):
    """Orthanc that knows the router: it reports to it, and asks it to commit."""

    router_port = 0

    def _settings(self) -> dict[str, object]:
        modality = ["ROUTER", "127.0.0.1", self.router_port]
        return {
            **super()._settings(),
            "DicomModalities": {
                "router": modality,
                "DICOM_ROUTER": ["DICOM_ROUTER", *modality[1:]],
            },
        }

    def post(self, path: str, body: object) -> dict[str, object]:
        found: dict[str, object] = json.loads(self._post(path, json.dumps(body).encode()))
        return found

    def _post(self, path: str, body: bytes) -> bytes:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urllib.request.urlopen(
            urllib.request.Request(url, body, method="POST"), timeout=30
        ) as reply:
            answer: bytes = reply.read()
            return answer

    def place(self, uid: str) -> str:
        """Where it has this SOP instance."""
        (instance,) = json.loads(self._post("/tools/lookup", uid.encode()))
        place: str = instance["Path"]
        return place

    def delete(self, uid: str) -> None:
        self._ask("DELETE", self.place(uid))

    def restore(self, uid: str, changed: bytes) -> None:
        """Keep these bytes in place of an object's."""
        self.delete(uid)
        self._post("/instances", changed)

    def modify(self, uid: str, **values: str) -> None:
        """Change an object as Orthanc does it for its users."""
        body = {"Replace": values, "Keep": ["SOPInstanceUID"], "Force": True}
        self.restore(uid, self._post(f"{self.place(uid)}/modify", json.dumps(body).encode()))

    def edit(self, uid: str, **values: object) -> None:
        """Change an object in ways that Orthanc does not offer."""
        data_set = pydicom.dcmread(io.BytesIO(self._ask("GET", f"{self.place(uid)}/file")))
        for keyword, value in values.items():
            setattr(data_set, keyword, value)
        written = io.BytesIO()
        data_set.save_as(written)
        self.restore(uid, written.getvalue())

    def get(self, path: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self._ask("GET", path))
        return found


@pytest.fixture
def router_and_orthanc(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[RouterUnderTest, CommittingOrthanc]]:
    port = free_port()
    (tmp_path / "orthanc").mkdir()
    CommittingOrthanc.router_port = port
    orthanc = CommittingOrthanc(tmp_path / "orthanc")
    pacs = dicom("orthanc", orthanc.port)
    pacs["dicom"]["calling_ae_title"] = "ROUTER"  # type: ignore[index]
    router = RouterUnderTest(
        tmp_path / "router",
        destinations=[{**pacs, "commitment": getattr(request, "param", QUICK)}],
        routes=[{"name": "all", "send_to": ["orthanc"]}],
        listeners=[{"name": "main", "ae_title": "ROUTER", "port": port}],
        sources=[
            {
                "name": "here",
                "hosts": ["127.0.0.0/8"],
                "commitment": {
                    "host": "127.0.0.1",
                    "port": orthanc.port,
                    "ae_title": "ORTHANC",
                    "policy": "all",
                },
            }
        ],
    )
    router.port = port
    with router:
        yield router, orthanc
    orthanc.stop()


def test_reconciliation_finds_every_planted_loss_and_nothing_else(
    router_and_orthanc: tuple[RouterUnderTest, CommittingOrthanc],
) -> None:
    router, orthanc = router_and_orthanc
    with OneByOne(router.port) as line:
        one = [send(line, number) for number in range(8)]
        other = [send(line, number, study="1.2.826.0.1.3680043.8.498.2") for number in range(2)]
        wait_until(lambda: router.count(COMMITTED) == 10, "Orthanc to commit")
        assert reconcile(router) == (0, {}, {})
        queue(router, "stop", "orthanc")
        never = send(line, 10)
        wait_until(lambda: router.count(WAITING) == 1, "what is not sent")
        queue(router, "hold", "--destination", "orthanc")
        queue(router, "start", "orthanc")
    for uid in one[:2]:
        orthanc.delete(uid)
    orthanc.modify(one[2], InstanceNumber="77")
    orthanc.edit(one[3], Rows=32, PixelData=bytes(32 * 64 * 2))
    orthanc.edit(one[4], SeriesInstanceUID="1.2.826.0.1.3680043.8.498.3")
    for uid in other:
        orthanc.edit(uid, PatientID="SOMEBODY ELSE")
    changed = {
        one[2]: ["InstanceNumber"],
        one[3]: ["Rows"],
        one[4]: ["SeriesInstanceUID"],
        **{uid: ["PatientID"] for uid in other},
    }
    missing = {**dict.fromkeys(one[:2], "committed"), never: "held"}
    assert reconcile(router, "--resend") == (1, missing, changed)
    wait_until(lambda: router.count(COMMITTED) == 11, "what was missing to be committed")
    assert reconcile(router) == (1, {}, changed)
    assert router.count("SELECT count(*) FROM delivery_events WHERE reason LIKE 'resent%'") == 3


STUDY = "1.2.826.0.1.3680043.8.498.1"
WAITING = "SELECT count(*) FROM deliveries WHERE state = 'waiting'"


def send(line: OneByOne, number: int, *, study: str = STUDY) -> str:
    """A slice of a study; its SOP instance UID."""
    uid = new_uid()
    place = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1"}
    assert line.send(made(uid, **place, InstanceNumber=number), uid) == 0
    return uid


@pytest.mark.parametrize("router_and_orthanc", [{**QUICK, "by": "query"}], indirect=True)
def test_a_query_is_proof_where_the_site_says_so(
    router_and_orthanc: tuple[RouterUnderTest, CommittingOrthanc],
) -> None:
    router, _ = router_and_orthanc
    with OneByOne(router.port) as line:
        line.send_copies(slice_template(), 2)
        wait_until(lambda: router.count(COMMITTED) == 2, "the query")
    reasons = "SELECT count(*) FROM deliveries WHERE reason = 'found_by_query'"
    assert router.count(reasons) == 2


def reconcile(
    router: RouterUnderTest, *options: str
) -> tuple[int, dict[str, str], dict[str, list[str]]]:
    """The command's exit code, and what it finds by SOP instance UID: the states of what is
    missing, and the attributes of what is changed."""
    done = run(router, "reconcile", "--json", *options)
    (told,) = json.loads(done.stdout)
    missing = {one["sop_instance_uid"]: one["state"] for one in told["missing"]}
    changed = {one["sop_instance_uid"]: one["attributes"] for one in told["changed"]}
    assert not told["unknown"]
    return done.returncode, missing, changed


def queue(router: RouterUnderTest, *words: str) -> None:
    done = run(router, "queue", *words)
    assert done.returncode == 0, done.stderr


def run(router: RouterUnderTest, *words: str) -> subprocess.CompletedProcess[str]:
    return dicom_router(*words, "--config", router.folder / "site.yaml")


COMMITTED = "SELECT count(*) FROM deliveries WHERE state = 'committed'"


def test_orthanc_commits_to_us_and_we_to_orthanc(
    router_and_orthanc: tuple[RouterUnderTest, CommittingOrthanc], tmp_path: Path
) -> None:
    router, orthanc = router_and_orthanc
    with Capture(tmp_path, [router.port, orthanc.port]) as capture, OneByOne(router.port) as line:
        line.send_copies(slice_template(), 3)
        wait_until(lambda: router.count(COMMITTED) == 3, "Orthanc to commit")
        uids = list(line.acknowledged)
        asked = [["1.2.840.10008.5.1.4.1.1.2", uid] for uid in [*uids[:2], "2.25.404"]]
        body = {"DicomInstances": asked, "Timeout": 10}
        job = orthanc.post("/modalities/router/storage-commitment", body)
        place = f"/storage-commitment/{job['ID']}"
        orders = "SELECT count(*) FROM commitment_orders"
        wait_until(lambda: router.count(orders) == 1, "the request of Orthanc")
        router.change("UPDATE commitment_orders SET answer_by = 0, next_attempt_at = 0")
        wait_until(lambda: orthanc.get(place)["Status"] != "Pending", "our report")
        told = orthanc.get(place)
    assert told["Status"] == "Failure"
    success: list[dict[str, str]] = told["Success"]  # type: ignore[assignment]
    assert {one["SOPInstanceUID"] for one in success} == set(uids[:2])
    failures: list[dict[str, object]] = told["Failures"]  # type: ignore[assignment]
    (failure,) = failures
    assert failure["SOPInstanceUID"] == "2.25.404"
    assert failure["FailureReason"] == 0x0112
    frames = capture.frames()
    assert frames
    assert not [frame.complaints for frame in frames if frame.complaints]
