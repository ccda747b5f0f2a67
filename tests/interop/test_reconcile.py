"""Reconciliation on a schedule against Orthanc, over kill -9; and what pynetdicom says was made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE

from router.commitment.performing import MPPS
from tests.faults.one_by_one import OneByOne, new_uid
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.interop.test_commitment import CommittingOrthanc, run
from tests.journeys.test_traps import made
from tests.programs import free_port, wait_until
from tests.pynetdicom_pause import steady
from tests.router.commitment.test_performing import begun, ended

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

STUDIES = 4
LAST = "(SELECT max(id) FROM reconciliations WHERE studies > 0)"


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[CommittingOrthanc]:
    (tmp_path / "orthanc").mkdir()
    CommittingOrthanc.router_port = free_port()
    made = CommittingOrthanc(tmp_path / "orthanc")
    yield made
    made.stop()


def test_a_run_goes_on_after_a_kill_and_mends_what_it_finds(
    tmp_path: Path, orthanc: CommittingOrthanc
) -> None:
    schedule = {"every": "1s", "after": 0, "pace": 80, "resend": True}
    with RouterUnderTest(
        tmp_path / "router",
        destinations=[{**dicom("orthanc", orthanc.port), "reconcile": schedule}],
        routes=[{"name": "all", "send_to": ["orthanc"]}],
        performed_steps={"within": "10ms"},
    ) as router:
        uids = send(router.port)
        delivered = "SELECT count(*) FROM deliveries WHERE state = 'delivered'"
        wait_until(lambda: router.count(delivered) == len(uids), "Orthanc to have all")
        orthanc.delete(uids[-1])
        begun_run = (
            f"SELECT count(*) FROM reconciliations WHERE studies BETWEEN 1 AND 2 AND id = {LAST}"
        )
        wait_until(lambda: router.count(begun_run) == 1, "a run in the midst", 60)
        number = router.count(f"SELECT id FROM reconciliations WHERE id = {LAST}")
        router.kill()
        router.start()
        of_it = f"FROM reconciliations WHERE id = {number} AND state = 'done'"
        wait_until(lambda: router.count(f"SELECT count(*) {of_it}") == 1, "that run to end", 60)
        assert router.count(f"SELECT studies {of_it}") == STUDIES
        assert router.count(f"SELECT objects {of_it}") == len(uids)
        again = "SELECT count(*) FROM delivery_events WHERE reason LIKE 'resent%'"
        wait_until(lambda: router.count(again) == 1, "what was missing to be sent again", 60)
        wait_until(lambda: router.count(delivered) == len(uids), "Orthanc to have it again")
        assert orthanc.place(uids[-1])
        told = json.loads(run(router, "reconcile", "--last", "--json").stdout)
        assert [one["newest"]["destination"] for one in told] == ["orthanc"]
        tell(router, "1.2.826.0.1.0", [*uids[:2], "2.25.404"])
        lacking = "SELECT count(*) FROM performed_steps WHERE lacking = 1"
        wait_until(lambda: router.count(lacking) == 1, "what did not come in to be missed", 60)
        (study,) = json.loads(run(router, "studies", "1.2.826.0.1.0", "--json").stdout)
        assert (study["received"], study["made"], study["lacking"]) == (2, 3, 1)


def send(port: int) -> list[str]:
    """Two slices of each study; their SOP instance UIDs."""
    uids = [new_uid() for _ in range(2 * STUDIES)]
    with OneByOne(port) as line:
        for number, uid in enumerate(uids):
            place = {"StudyInstanceUID": f"1.2.826.0.1.{number // 2}"}
            assert line.send(made(uid, SeriesInstanceUID="1.2.826.0.2", **place), uid) == 0
    return uids


def tell(router: RouterUnderTest, study: str, uids: list[str]) -> None:
    """As a modality does: a step has begun, and made these."""
    modality = AE(ae_title="CT01")
    modality.add_requested_context(MPPS)
    association = steady(modality.associate("127.0.0.1", router.port, ae_title="ROUTER"))
    assert association.is_established
    status, _ = association.send_n_create(begun(study), MPPS, "2.25.1")
    assert status.Status == 0
    status, _ = association.send_n_set(ended(*uids), MPPS, "2.25.1")
    assert status.Status == 0
    association.release()
