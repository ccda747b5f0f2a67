"""Runs of reconciliation, what was sent, and what modalities say they made: on every database."""

from dataclasses import replace

import pytest
from sqlalchemy import text, update

from router.ledger import (
    DeliveryFilter,
    Identifiers,
    commitments,
    performed,
    proofs,
    queries,
    reconciliations,
    reconciling,
    studies,
)
from router.ledger.clock import read_clock
from router.ledger.commitments import ToCommit
from router.ledger.models_reconciliation import PERFORMED_STEPS, RECONCILIATIONS
from router.ledger.performed import Made
from router.ledger.reconciliations import COUNTS, Finding
from router.ledger.reconciling import LAST
from tests.contracts.plans import explained
from tests.contracts.test_ledger_backlog import PLAN_ROWS, fill

DAY_MS = 86_400_000


def sent(story, study, *destinations, count=1):
    """Objects of a study that were sent; their ids."""
    ids = story.receive(count)
    identifiers = Identifiers(study_instance_uid=study, series_instance_uid=f"{study}.1")
    story.record(
        *(replace(story.route(one, *destinations), identifiers=identifiers) for one in ids)
    )
    for name in destinations:
        story.end(story.lease(name, limit=1000))
    return ids


def walked(conn, limit, after=""):
    """All studies of pacs, page by page, each where it first comes up."""
    found = []
    while after != LAST:
        places, following = reconciling.places(conn, "pacs", after=after, end=LAST, limit=limit)
        for place in places:
            first = reconciling.first_of(conn, "pacs", place.study, start="", end=LAST)
            assert first is not None
            if first > after:
                found.append(place.study)
        after = following
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_each_study_comes_up_once_in_the_order_of_reception(story, limit):
    for study in ("1.2", "1.3", "1.2", "1.4", "1.3"):
        sent(story, study, "pacs")
    sent(story, "1.9", "vna")
    with story.ledger.read() as conn:
        assert walked(conn, limit) == ["1.2", "1.3", "1.4"]


def test_a_place_is_where_to_go_on_while_its_study_is_not_done_with(story):
    for study in ("1.2", "1.3", "1.2", "1.4"):
        sent(story, study, "pacs")
    with story.ledger.read() as conn:
        places, following = reconciling.places(conn, "pacs", after="", end=LAST)
        assert following == LAST
        for number, place in enumerate(places):
            assert walked(conn, 2, after=place.before) == ["1.2", "1.3", "1.4"][number:]


def test_what_was_sent_of_a_study_is_told_as_it_was_sent(story):
    (one,) = sent(story, "1.2", "pacs", "vna")
    with story.ledger.read() as conn:
        (told,) = reconciling.sent_of(conn, "pacs", "1.2", start="", end=LAST)
        assert (told.object_id, told.series_instance_uid, told.came_as) == (one, "1.2.1", "1.2")
        assert told.finished_at is not None
        assert not told.on_its_way
        assert reconciling.sent_of(conn, "pacs", "1.2", start=one, end=LAST) == []
        assert reconciling.studies_called(conn, "pacs", "1.2") == ["1.2"]
        assert reconciling.received_of(conn, "1.2") == 1
        uid = told.sop_instance_uid
        assert reconciling.latest(conn, "pacs", [uid, "1.9"]) == {uid: one}


def test_a_study_among_many_is_found_without_reading_them(story):
    fill(story.ledger, PLAN_ROWS)
    for mode in ("force_custom_plan", "force_generic_plan"):
        with story.ledger.read() as conn, explained(conn, mode) as plans:
            places, _ = reconciling.places(conn, "dead", after=f"{5000:032x}", end=LAST, limit=500)
            assert len(places) == 3
            assert len(reconciling.sent_of(conn, "dead", "2.25.2.7", start="", end=LAST)) == 200
            assert reconciling.first_of(conn, "dead", "2.25.2.7", start="", end=LAST)
            assert reconciling.studies_called(conn, "dead", "2.25.2.7") == ["2.25.2.7"]
            assert reconciling.received_of(conn, "2.25.2.7") == 200
            uids = [f"2.25.1.{number}" for number in range(1400, 1450)]
            assert len(reconciling.latest(conn, "dead", uids)) == 50
            newest = studies.recent(conn, since_ms=0, limit=5)
            assert newest[0] == f"2.25.2.{PLAN_ROWS // 200}"
            told = studies.lines(conn, newest)
            assert [one.received for one in told] == [1, 200, 200, 200, 200]
            assert studies.named(conn, "A7", limit=5) == ["2.25.2.7"]
        assert plans.whole_tables() == []
        assert plans.laborious(4_000 if story.ledger.dialect == "postgresql" else 60) == []


def test_a_study_is_a_line_with_how_far_each_destination_has_it(story):
    ids = sent(story, "1.2", "vna", count=4)
    story.record(*(story.route(one, "pacs") for one in story.receive()))
    with story.ledger.write() as conn:
        for one in ids:
            row = {"id": one, "uid": f"1.2.1.{one}"}
            conn.execute(
                text(
                    "INSERT INTO deliveries (object_id, payload_id, destination, route, priority, "
                    "state, attempts, next_attempt_at, created_at, owed_since, generation) VALUES "
                    "(:id, :id, 'pacs', 'all', 2, 'waiting', 0, 0, 0, 0, 0)"
                ),
                row,
            )
    leased = [one for one in story.lease("pacs", limit=4) if one.object_id in ids]
    story.end(leased, to_commit=ToCommit(by_query=False, age_ms=0))
    with story.ledger.write() as conn:
        opened = commitments.open_request(
            conn, "pacs", transaction_uid="2.25.1", size=3, age_ms=0, grace_ms=60_000
        )
        assert opened is not None
        _, asked = opened
        proofs.commit(conn, asked[:1])
        proofs.hold(conn, asked[1:2], reason="sop_class_refused")
    perform(story, study="1.2")
    change(story, ["1.1", "1.2"])
    run = begin(story)
    missing = [Finding("missing", "1.2", "x", one.delivery_id, "why") for one in asked[:1]]
    go_on(story, run, findings=missing, missing=1)
    with story.ledger.read() as conn:
        assert studies.recent(conn, since_ms=0, limit=9) == ["1.2"]
        (line,) = studies.lines(conn, ["1.2", "1.9"])
        words = queries.statuses(conn, queries.queue_list(conn, DeliveryFilter(), limit=9))
        unproven = queries.proof_summary(conn)
    assert (line.received, line.size, line.made, line.lacking) == (4, 4000, 2, None)
    pacs, vna = line.destinations
    assert pacs.counts == {"delivered": 1, "requested": 1, "committed": 1, "refused": 1}
    assert (pacs.missing, pacs.changed) == (1, 0)
    assert (vna.counts, vna.missing) == ({"delivered": 4}, None)
    assert sorted(words.values()) == ["refused", "waiting"]
    told = {(one.destination, one.status): one.total for one in unproven}
    assert told == {("pacs", "delivered"): 1, ("pacs", "requested"): 1}


def test_studies_are_found_by_what_a_person_knows_the_newest_first(story):
    for study in ("1.2", "1.3", "1.2"):
        (one,) = story.receive()
        known = Identifiers(study_instance_uid=study, accession_number="A1", patient_id="P1")
        story.record(replace(story.route(one, "pacs"), identifiers=known))
    with story.ledger.read() as conn:
        for value in ("A1", "P1"):
            assert studies.named(conn, value, limit=9) == ["1.2", "1.3"]
        assert studies.named(conn, "1.3", limit=9) == ["1.3"]
        assert studies.named(conn, "A1", limit=1) == ["1.2"]
        assert studies.recent(conn, since_ms=0, limit=9) == ["1.2", "1.3"]
        assert studies.recent(conn, since_ms=10**14, limit=9) == []


def begin(story, now=None):
    with story.ledger.write() as conn:
        now = read_clock(conn) if now is None else now
        return reconciliations.begin(conn, "pacs", now=now, since_ms=DAY_MS, after_ms=1000)


def go_on(story, run, position=LAST, findings=(), **counts):
    with story.ledger.write() as conn:
        reconciliations.go_on(conn, run.id, position=position, counts=counts, findings=findings)


def newest(story):
    with story.ledger.read() as conn:
        return reconciliations.latest(conn, "pacs")


def test_a_run_counts_and_goes_on_where_it_was(story):
    assert newest(story) == (None, None)
    run = begin(story)
    assert (run.state, run.position, run.range_start) == ("running", run.range_start, run.position)
    assert run.range_end > run.range_start
    go_on(story, run, position="0199", studies=1, objects=5, missing=2)
    with story.ledger.write() as conn:
        reconciliations.failed(conn, run.id, "connect_refused")
    found, done = newest(story)
    assert done is None
    assert (found.position, found.failures, found.reason) == ("0199", 1, "connect_refused")
    findings = [
        Finding("missing", "1.2", "1.2.3", 7, "delivered, and not there"),
        Finding("incomplete", "1.2", None, None, "1 of 2"),
    ]
    go_on(story, run, findings=findings, studies=1, objects=1, incomplete=1)
    found, done = newest(story)
    assert found == done
    assert (done.state, done.failures, done.reason) == ("done", 0, None)
    assert {name: getattr(done, name) for name in COUNTS if getattr(done, name)} == {
        "studies": 2,
        "objects": 6,
        "missing": 2,
        "incomplete": 1,
    }
    with story.ledger.read() as conn:
        assert reconciliations.findings(conn, run.id) == findings


def test_no_more_findings_are_written_than_a_person_reads(story, monkeypatch):
    monkeypatch.setattr(reconciliations, "MOST_FINDINGS", 3)
    run = begin(story)
    for _ in range(2):
        findings = [Finding("missing", "1.2", "1.2.3", 7, "x" * 300)] * 2
        go_on(story, run, position="01", findings=findings, missing=2)
    with story.ledger.read() as conn:
        assert len(reconciliations.findings(conn, run.id, limit=9)) == 3
    assert newest(story)[0].missing == 4


def test_a_run_is_due_when_none_is_done_in_time(story):
    run = begin(story)
    assert reconciliations.is_due(None, 0, every_ms=1)
    assert reconciliations.is_due(run, run.started_at, every_ms=DAY_MS)
    go_on(story, run)
    _, done = newest(story)
    assert not reconciliations.is_due(done, run.started_at + DAY_MS - 1, every_ms=DAY_MS)
    assert reconciliations.is_due(done, run.started_at + DAY_MS, every_ms=DAY_MS)


def test_overdue_is_what_should_have_been_done(story):
    def overdue(now):
        with story.ledger.read() as conn:
            return reconciliations.overdue_ms(conn, "pacs", now, every_ms=DAY_MS)

    assert overdue(10 * DAY_MS) == 0
    run = begin(story, now=DAY_MS)
    assert overdue(3 * DAY_MS) == DAY_MS
    go_on(story, run)
    assert overdue(2 * DAY_MS) == 0
    begin(story, now=2 * DAY_MS)
    assert overdue(5 * DAY_MS) == 3 * DAY_MS


def test_old_runs_end_and_the_last_one_stays(story):
    for _ in range(3):
        go_on(story, begin(story), findings=[Finding("missing", "1", "2", 3, "why")], missing=1)
    with story.ledger.write() as conn:
        conn.execute(update(RECONCILIATIONS).values(finished_at=1))
        assert reconciliations.end_old(conn, 0) == 2
        assert reconciliations.end_old(conn, 0) == 0
        assert conn.scalar(text("SELECT count(*) FROM reconciliation_findings")) == 1
    assert newest(story)[0] is not None


def perform(story, uid="2.25.1", study="1.2"):
    with story.ledger.write() as conn:
        performed.create(conn, uid, calling_ae_title="CT01", source="ct", study=study)


def change(story, made, state="completed", uid="2.25.1", study=None, within_ms=0):
    instances = made and [
        Made(sop_instance_uid=one, sop_class_uid="1", series_instance_uid=None) for one in made
    ]
    with story.ledger.write() as conn:
        step = performed.by_uid(conn, uid)
        assert step is not None
        performed.change(conn, step, state=state, study=study, made=instances, within_ms=within_ms)


def check(story):
    with story.ledger.write() as conn:
        return [performed.check(conn, step) for step in performed.due(conn, limit=9)]


def step(story, uid="2.25.1"):
    with story.ledger.read() as conn:
        return performed.by_uid(conn, uid)


def test_a_step_is_looked_for_when_it_has_ended_until_all_came(story):
    perform(story)
    change(story, ["1.1", "1.2"], state="in progress")
    assert check(story) == []
    change(story, ["1.1", "1.2", "1.3"], within_ms=60_000)
    assert check(story) == []
    with story.ledger.write() as conn:
        conn.execute(update(PERFORMED_STEPS).values(check_at=0))
    story.receive(sop_instance_uid="1.1")
    assert check(story) == [2]
    found = step(story)
    assert (found.state, found.instances, found.lacking) == ("completed", 3, 2)
    assert found.check_at is not None
    with story.ledger.read() as conn:
        assert performed.lacking(conn, found.id, limit=9) == ["1.2", "1.3"]
        assert performed.incomplete(conn) == 1
        assert performed.announced(conn, ["1.2", "1.9"]) == {"1.2": (3, 2)}
    for uid in ("1.2", "1.3"):
        story.receive(sop_instance_uid=uid)
    with story.ledger.write() as conn:
        conn.execute(update(PERFORMED_STEPS).values(check_at=0))
    assert check(story) == [0]
    assert step(story).check_at is None
    with story.ledger.read() as conn:
        assert performed.incomplete(conn) == 0


def test_what_never_came_is_not_looked_for_for_ever(story):
    perform(story)
    change(story, ["1.1"])
    with story.ledger.write() as conn:
        conn.execute(update(PERFORMED_STEPS).values(ended_at=0))
    assert check(story) == [1]
    assert step(story).check_at is None


def test_a_step_begins_once_and_what_is_not_said_stays(story):
    perform(story)
    perform(story, study="1.3")
    change(story, ["1.1", "1.1"], state="in progress")
    change(story, None, study="1.4")
    found = step(story)
    assert (found.instances, found.study_instance_uid, found.state) == (1, "1.4", "completed")


def test_old_steps_end(story):
    perform(story)
    perform(story, uid="2.25.2")
    change(story, ["1.1"], uid="2.25.2")
    with story.ledger.write() as conn:
        conn.execute(update(PERFORMED_STEPS).values(received_at=0))
        assert performed.end_old(conn, DAY_MS) == 1
    assert step(story) is None
    assert step(story, "2.25.2") is not None
