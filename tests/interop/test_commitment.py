"""Storage commitment with other makers' programs, both ways, and what tshark says of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.router_under_test import RouterUnderTest, dicom
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

    def get(self, path: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self._ask("GET", path))
        return found


@pytest.fixture
def router_and_orthanc(tmp_path: Path) -> Iterator[tuple[RouterUnderTest, CommittingOrthanc]]:
    port = free_port()
    (tmp_path / "orthanc").mkdir()
    CommittingOrthanc.router_port = port
    orthanc = CommittingOrthanc(tmp_path / "orthanc")
    pacs = dicom("orthanc", orthanc.port)
    pacs["dicom"]["calling_ae_title"] = "ROUTER"  # type: ignore[index]
    router = RouterUnderTest(
        tmp_path / "router",
        destinations=[{**pacs, "commitment": QUICK}],
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
    (failure,) = told["Failures"]  # type: ignore[misc]
    assert failure["SOPInstanceUID"] == "2.25.404"
    assert failure["FailureReason"] == 0x0112
    frames = capture.frames()
    assert frames
    assert not [frame.complaints for frame in frames if frame.complaints]
