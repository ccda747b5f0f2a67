"""Storage commitment with other makers' programs, both ways, and what tshark says of it."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.router_under_test import DICOM_ROUTER, RouterUnderTest, dicom
from tests.interop.capture import Capture
from tests.interop.receivers import Orthanc
from tests.programs import free_port, wait_until

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
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            found: dict[str, object] = json.loads(reply.read())
            return found

    def instances(self) -> list[str]:
        found: list[str] = json.loads(self._ask("GET", "/instances"))
        return found

    def uid(self, instance: str) -> str:
        tags: dict[str, str] = self.get(f"/instances/{instance}")["MainDicomTags"]  # type: ignore[assignment]
        return tags["SOPInstanceUID"]

    def delete(self, instance: str) -> None:
        self._ask("DELETE", f"/instances/{instance}")

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


def test_reconciliation_finds_every_loss_and_nothing_else(
    router_and_orthanc: tuple[RouterUnderTest, CommittingOrthanc],
) -> None:
    router, orthanc = router_and_orthanc
    with OneByOne(router.port) as line:
        line.send_copies(slice_template(), 6)
        wait_until(lambda: router.count(COMMITTED) == 6, "Orthanc to commit")
        uids = list(line.acknowledged)
    assert reconcile(router) == (0, [])
    lost = set(uids[1:3])
    for name in orthanc.instances():
        if orthanc.uid(name) in lost:
            orthanc.delete(name)
    never = uids[5]
    deliveries = "(SELECT id FROM objects WHERE sop_instance_uid = '%s')"
    router.change(f"UPDATE deliveries SET state = 'held' WHERE object_id = {deliveries % never}")
    for name in orthanc.instances():
        if orthanc.uid(name) == never:
            orthanc.delete(name)
    code, missing = reconcile(router)
    assert code == 1
    assert {one["sop_instance_uid"]: one["state"] for one in missing} == {
        **dict.fromkeys(lost, "committed"),
        never: "held",
    }
    code, _ = reconcile(router, "--resend")
    wait_until(lambda: router.count(COMMITTED) == 6, "what was missing to be committed again")
    assert reconcile(router) == (0, [])
    assert router.count("SELECT count(*) FROM delivery_events WHERE reason LIKE 'resent%'") == 3


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


def reconcile(router: RouterUnderTest, *options: str) -> tuple[int, list[dict[str, str]]]:
    """The command's exit code, and what it says is missing."""
    site = str(router.folder / "site.yaml")
    command = [str(DICOM_ROUTER), "reconcile", "--json", "--config", site]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    (told,) = json.loads(done.stdout)
    return done.returncode, told["missing"]


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
