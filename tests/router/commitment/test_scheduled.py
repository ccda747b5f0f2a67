"""Reconciliation on a schedule: turn by turn, at its pace, and never at a bad moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from router.broker import Broker
from router.commitment import scheduled
from router.commitment.reconciling import compare
from router.commitment.scheduled import Looking, take_turn
from router.conduct.reconciliation import measure_reconciliation, ring_for_reconciliation
from router.config import Destination, DicomDestination, Listener
from router.config import Site as SiteSettings
from router.config_reconcile import Reconcile
from router.ledger import DeliveryState, destinations, leases, reconciliations
from router.ledger.models_reconciliation import RECONCILIATIONS
from router.ledger.reconciliations import Run
from router.tickets import CommitmentTicket
from tests.router.commitment.catalogue import Catalogue
from tests.router.commitment.test_reconciling import Site

NOW_AND_FAST: dict[str, Any] = {"after": 0, "pace": 6000, "since": 10 * 365 * 86400}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Catalogue() as archive:
        made = Site(tmp_path, archive)
        yield made
        made.ledger.dispose()


def pacs(site: Site, **settings: Any) -> Destination:
    return Destination(
        name="pacs",
        dicom=DicomDestination(ae_title="PACS", host="127.0.0.1", port=site.archive.port),
        reconcile=Reconcile(**{**NOW_AND_FAST, **settings}),
    )


def turn(site: Site, stop: Any = lambda: False, owner: str = "one", **settings: Any) -> Run | None:
    """A turn of a worker; the newest run."""
    looking = Looking(ledger=site.ledger, store=site.store, owner=owner, stop=stop)
    take_turn(pacs(site, **settings), looking)
    with site.ledger.read() as connection:
        return reconciliations.latest(connection, "pacs")[0]


def begin_anew(site: Site) -> None:
    """The last run was long ago."""
    with site.ledger.write() as connection:
        connection.execute(update(RECONCILIATIONS).values(started_at=0))


def rung(site: Site, **settings: Any) -> list[CommitmentTicket]:
    """Whom the conductor rings for."""
    found: list[CommitmentTicket] = []

    class Bell:
        def publish(self, ticket: CommitmentTicket) -> None:
            found.append(ticket)

    whole = SiteSettings(
        listeners=(Listener(name="main", ae_title="ROUTER"),),
        destinations=(pacs(site, **settings),),
    )
    bell: Broker = Bell()  # type: ignore[assignment]
    ring_for_reconciliation(site.ledger, bell, whole)
    measure_reconciliation(site.ledger, whole)
    return found


def test_a_run_finds_what_is_missing_and_changed_once_in_its_time(site: Site) -> None:
    kept, changed, deleted = site.send(3)
    site.send(1, study="1.2.4", series="1.2.4.1")
    site.archive.entry(changed)["Rows"] = 9
    site.archive.entries.remove(site.archive.entry(deleted))
    site.receive(study="1.2.3", series="1.2.3.1")  # is still in the queue
    assert rung(site) == [CommitmentTicket(destination="pacs", reconcile=True)]
    run = turn(site)
    assert run is not None
    assert (run.state, run.studies, run.objects) == ("done", 2, 5)
    assert (run.missing, run.changed, run.waiting, run.resent) == (1, 1, 1, 0)
    with site.ledger.read() as connection:
        found = reconciliations.findings(connection, run.id)
    assert {(one.kind, one.sop_instance_uid, one.why) for one in found} == {
        ("missing", deleted, "delivered, and not there"),
        ("changed", changed, "changed there: Rows"),
    }
    assert rung(site) == []
    assert turn(site) == run
    begin_anew(site)
    assert len(rung(site)) == 1
    again = turn(site)
    assert again is not None
    assert again.id > run.id
    assert kept not in {one.sop_instance_uid for one in found}


def test_what_is_missing_is_sent_again_where_the_site_says_so_and_never_what_was_changed(
    site: Site,
) -> None:
    changed, deleted = site.send(2)
    site.archive.entry(changed)["Rows"] = 9
    site.archive.entries.remove(site.archive.entry(deleted))
    run = turn(site, resend=True)
    assert run is not None
    assert run.resent == 1
    (again,) = site.story.lease("pacs")
    assert again.sop_instance_uid == deleted
    assert site.story.state_of(again.object_id, "pacs") is DeliveryState.LEASED


def test_no_run_sends_everything_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.send(2)
    site.send(3, study="1.2.4", series="1.2.4.1")
    site.archive.entries.clear()
    monkeypatch.setattr(scheduled, "MOST_RESENT", 3)
    run = turn(site, resend=True)
    assert run is not None
    assert (run.missing, run.resent) == (5, 3)


def test_a_turn_ends_and_the_next_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        site.send(2, study=f"1.2.{number}", series=f"1.2.{number}.1")
    site.archive.entries.pop()
    monkeypatch.setattr(scheduled, "TURN_SECONDS", 0.0)
    for number in range(1, 4):
        run = turn(site)
        assert run is not None
        assert (run.state, run.studies) == ("running", number)
        assert len(rung(site)) == 1
    run = turn(site)
    assert run is not None
    assert (run.state, run.studies, run.objects, run.missing) == ("done", 4, 8, 1)
    asked = [study for level, study in site.archive.asked if level == "STUDY"]
    assert asked == [f"1.2.{number}" for number in range(4)]


def test_a_stop_is_heeded_after_the_study_in_hand(site: Site) -> None:
    for number in range(3):
        site.send(1, study=f"1.2.{number}", series=f"1.2.{number}.1")
    run = turn(site, stop=lambda: True)
    assert run is not None
    assert (run.state, run.studies) == ("running", 1)


def test_studies_are_asked_for_at_the_pace_that_is_set(site: Site) -> None:
    for number in range(4):
        site.send(1, study=f"1.2.{number}", series=f"1.2.{number}.1")
    began = time.monotonic()
    run = turn(site, pace=300)
    assert run is not None
    assert run.state == "done"
    assert time.monotonic() - began >= 3 * 60 / 300
    assert site.archive.associations == 1


def test_a_slow_pace_keeps_the_destination_for_itself_between_two_turns(site: Site) -> None:
    for number in range(2):
        site.send(1, study=f"1.2.{number}", series=f"1.2.{number}.1")
    run = turn(site, pace=1)
    assert run is not None
    assert run.studies == 1
    with site.ledger.write() as connection:
        assert not leases.lead(connection, "r:pacs", "two", 1000)


def test_nobody_asks_while_another_does(site: Site) -> None:
    site.send(2)
    with site.ledger.write() as connection:
        assert leases.lead(connection, "r:pacs", "another", 60_000)
    assert turn(site) is None
    assert site.archive.asked == []


def test_who_lost_the_turn_leaves_the_study_to_the_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.send(1)

    def slow(*terms: Any, **more: Any) -> Any:
        with site.ledger.write() as connection:
            leases.resign(connection, "r:pacs", "one")
            leases.lead(connection, "r:pacs", "two", 60_000)
        return compare(*terms, **more)

    monkeypatch.setattr("router.commitment.scheduled.compare", slow)
    run = turn(site)
    assert run is not None
    assert (run.state, run.studies) == ("running", 0)


@pytest.mark.parametrize("how", ["down", "held", "closed", "off"])
def test_a_destination_is_left_alone(site: Site, how: str) -> None:
    site.send(1)
    settings: dict[str, Any] = {}
    with site.ledger.write() as connection:
        destinations.ensure(connection, ["pacs"])
        if how == "down":
            destinations.mark_down(connection, "pacs", "connect_refused", 60_000)
        elif how == "held":
            destinations.hold(connection, "pacs")
    if how == "closed":
        tomorrow = time.strftime("%a", time.gmtime(time.time() + 2 * 86400)).lower()
        settings["between"] = {"zone": "UTC", "weekdays": tomorrow}
    elif how == "off":
        settings["every"] = "off"
    assert rung(site, **settings) == []
    assert turn(site, **settings) is None
    assert site.archive.asked == []


def test_who_does_not_tell_is_left_alone_and_the_run_goes_on_later(site: Site) -> None:
    site.send(1)
    site.archive.status = 0xA700
    run = turn(site)
    assert run is not None
    assert (run.state, run.failures, run.reason) == ("running", 1, "protocol_violation")
    asked = len(site.archive.asked)
    turn(site, owner="two")
    assert len(site.archive.asked) == asked
    site.archive.status = 0
    with site.ledger.write() as connection:
        leases.resign(connection, "r:pacs", "one")
    run = turn(site)
    assert run is not None
    assert (run.state, run.failures, run.reason) == ("done", 0, None)


def test_each_destination_is_rung_for_first_at_times(site: Site) -> None:
    first = pacs(site)
    others = (first, first.model_copy(update={"name": "vna"}))
    whole = SiteSettings(listeners=(Listener(name="main", ae_title="ROUTER"),), destinations=others)
    found: list[CommitmentTicket] = []
    bell: Any = SimpleNamespace(publish=found.append)
    for _ in range(64):
        ring_for_reconciliation(site.ledger, bell, whole)
    assert {one.destination for one in found[::2]} == {"pacs", "vna"}


def test_where_nothing_was_sent_nothing_is_asked(site: Site) -> None:
    run = turn(site)
    assert run is not None
    assert (run.state, run.studies) == ("done", 0)
    assert site.archive.associations == 0


def test_many_workers_look_once(site: Site) -> None:
    for number in range(3):
        site.send(1, study=f"1.2.{number}", series=f"1.2.{number}.1")
    threads = [
        threading.Thread(target=turn, args=(site,), kwargs={"owner": f"w{number}"})
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with site.ledger.read() as connection:
        newest, done = reconciliations.latest(connection, "pacs")
    assert newest == done
    assert done is not None
    assert (done.studies, done.objects) == (3, 3)
    assert len([1 for level, _ in site.archive.asked if level == "STUDY"]) == 3
