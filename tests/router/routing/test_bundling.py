"""Routes that wait: objects gather, go together, come late, and none is lost or sent twice."""

from __future__ import annotations

import time
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import text

from router.ledger import DeliveryState, bundles, deliveries, objects
from router.ledger.bundle_views import close_by_operator, drop_old, listed, open_counts
from router.ledger.left_behind import left_behind
from router.ledger.queries import trace
from router.routing.batch import Routing
from tests.router.routing.test_batch import House as RoutingHouse
from tests.router.routing.test_batch import slice_of


class House(RoutingHouse):
    """Sends slices of studies to rules that wait."""

    def send(self, study: str = "1", series: str = "1", **attributes: object) -> str:
        uid = f"2.25.{time.time_ns()}"
        data = slice_of(
            uid,
            StudyInstanceUID=f"2.25.{study}",
            SeriesInstanceUID=f"2.25.{study}.{series}",
            **attributes,
        )
        return self.receive(data, uid)

    def close(self) -> dict[str, str | None]:
        """Close what is due: object ids by why."""
        with self.ledger.write() as connection:
            closed = bundles.close_due(connection, limit=50)
        return {one: bundle.reason for bundle in closed for one in bundle.object_ids}

    def elapse(self, seconds: float) -> None:
        """As if so much time had gone by since the bundles were opened."""
        ms = int(seconds * 1000)
        columns = ("opened_at", "last_at", "due_at", "closed_at")
        changes = ", ".join(f"{column} = {column} - {ms}" for column in columns)
        with self.ledger.write() as connection:
            connection.execute(text(f"UPDATE bundles SET {changes}"))

    def owed(self, object_id: str) -> list[str]:
        """Destinations that the object was ever owed to, one for each delivery."""
        with self.ledger.read() as connection:
            (found,) = trace(connection, object_id)
        return sorted(one.delivery.destination for one in found.deliveries)

    def state(self, object_id: str) -> str:
        return self.object(object_id).state.value

    def deliver_all(self) -> None:
        for name in ("ai", "pacs", "vna"):
            with self.ledger.write() as connection:
                leased = deliveries.lease_due(
                    connection, name, owner="me", limit=64, lease_ms=60_000
                )
                outcomes = [
                    deliveries.DeliveryOutcome(
                        delivery_id=one.id, attempts=1, state=DeliveryState.DELIVERED
                    )
                    for one in leased
                ]
                deliveries.record_outcomes(connection, "me", outcomes)

    def forgettable(self) -> list[str]:
        with self.ledger.read() as connection:
            return objects.forgettable(connection, retention_ms=-1000, limit=100)


@pytest.fixture
def house(tmp_path: Path):
    made = House(tmp_path)
    yield made
    made.ledger.dispose()


def rules(wait_for: str, *, when: str = "{Modality: CT}", more: str = "") -> str:
    return dedent(
        f"""
        routes:
        - {{name: all, send_to: pacs}}
        - name: whole study to AI
          when: {when}
          send_to: ai
          wait_for: {wait_for}
          {more}
        """
    )


def test_a_route_waits_and_the_others_do_not(house: House):
    routing = house.routing(rules("{study: 60s}"))
    first = house.send()
    assert routing.route([first]) == {"pacs"}
    assert (house.owed(first), house.state(first)) == (["pacs"], "bundled")
    house.elapse(50)
    second = house.send(series="2")
    routing.route([second])
    house.elapse(59)
    assert house.close() == {}, "the quiet time begins anew with each object"
    house.elapse(2)
    assert house.close() == {first: "quiet", second: "quiet"}
    assert routing.route([first, second]) == {"ai"}
    assert house.owed(first) == house.owed(second) == ["ai", "pacs"]
    assert {house.state(first), house.state(second)} == {"routed"}
    assert routing.route([first, second]) == frozenset()
    assert house.owed(first) == ["ai", "pacs"], "routing twice changes nothing"


def test_what_waits_is_not_forgotten_and_then_it_is(house: House):
    routing = house.routing(rules("{study: 60s}"))
    one = house.send()
    routing.route([one])
    house.deliver_all()
    assert house.forgettable() == []
    house.elapse(61)
    house.close()
    routing.route([one])
    assert house.forgettable() == []
    house.deliver_all()
    assert house.forgettable() == [one]


def test_studies_and_series_wait_by_themselves(house: House):
    routing = house.routing(rules("{series: 60s}"))
    ids = [house.send(series="1"), house.send(series="2"), house.send(study="2")]
    routing.route(ids)
    with house.ledger.read() as connection:
        assert open_counts(connection) == (3, 3)
        assert {one.level for one in listed(connection, state="open", limit=9)} == {"series"}


def test_the_longest_wait_ends_a_study_that_never_rests(house: House):
    routing = house.routing(rules("{study: 60s, longest: 2m}"))
    ids = []
    for seconds in (50, 50, 19):
        ids.append(house.send())
        routing.route(ids[-1:])
        house.elapse(seconds)
        assert house.close() == {}
    house.elapse(2)
    assert house.close() == dict.fromkeys(ids, "longest")


def test_expected_objects_close_a_bundle_at_once(house: House):
    routing = house.routing(rules("{study: 60s, longest: 10m, expect: {objects: 3}}"))
    ids = [house.send() for _ in range(2)]
    routing.route(ids)
    house.elapse(300)
    assert house.close() == {}, "what is expected is not there: the quiet time does not count"
    with house.ledger.read() as connection:
        (row,) = listed(connection, state="open", limit=9)
    assert (row.objects, row.lacks, row.reason) == (2, "1 objects", "longest")
    last = house.send()
    routing.route([last])
    assert set(house.close().values()) == {"complete"}


def test_an_incomplete_bundle_goes_after_the_longest_wait(house: House):
    routing = house.routing(rules("{study: 60s, longest: 10m, expect: {objects: 3}}"))
    one = house.send()
    routing.route([one])
    house.elapse(601)
    assert house.close() == {one: "longest"}
    assert routing.route([one]) == {"ai"}


def test_expected_series_are_waited_for_and_then_the_quiet_time(house: House):
    expect = '{series: ["axial*", "sag t1*"]}'
    routing = house.routing(rules(f"{{study: 60s, expect: {expect}}}"))
    one = house.send(SeriesDescription="Axial T2")
    routing.route([one])
    house.elapse(120)
    assert house.close() == {}
    with house.ledger.read() as connection:
        assert listed(connection, state="open", limit=1)[0].lacks == "series sag t1*"
    two = house.send(series="2", SeriesDescription="SAG T1 GRE")
    routing.route([two])
    assert house.close() == {}, "its first slice is there, and the others on their way"
    house.elapse(61)
    assert house.close() == {one: "complete", two: "complete"}


def test_an_operator_closes_a_bundle(house: House):
    routing = house.routing(rules("{study: 60s}"))
    ids = [house.send(), house.send(study="2")]
    routing.route(ids)
    with house.ledger.write() as connection:
        assert close_by_operator(connection, uid="2.25.2") == 1
        assert close_by_operator(connection, uid="2.25.9") == 0
    assert house.close() == {ids[1]: "closed_by_operator"}


def test_facts_of_the_group_decide_when_all_is_there(house: House):
    when = "{Modality: CT, study.objects: {at_least: 3}, study.modalities: CT}"
    routing = house.routing(rules("{study: 60s}", when=when))
    small, large = [house.send()], [house.send(study="2") for _ in range(3)]
    other = house.send(study="2", Modality="SR")
    routing.route([*small, *large, other])
    assert house.state(other) == "routed", "its own conditions do not hold: it waits for nothing"
    house.elapse(61)
    house.close()
    routing.route([*small, *large])
    assert [house.owed(one) for one in small] == [["pacs"]]
    assert [house.owed(one) for one in large] == [["ai", "pacs"]] * 3
    assert {house.state(one) for one in [*small, *large]} == {"routed"}


def test_what_no_route_takes_in_the_end_is_unrouted(house: House):
    text = """
        routes:
        - name: large studies
          when: {study.objects: {at_least: 3}}
          send_to: ai
          wait_for: {study: 60s}
        """
    held, sent = house.routing(dedent(text)), house.routing(dedent(text), on_no_match="vna")
    one, two = house.send(), house.send(study="2")
    held.route([one, two])
    house.elapse(61)
    house.close()
    assert held.route([one]) == frozenset()
    assert (house.state(one), house.object(one).reason) == ("unrouted", "no_route_matched")
    sent.route([two])
    assert (house.state(two), house.owed(two)) == ("routed", ["vna"])


LATE = "{study: 60s, late: LATE}"


def closed_study(house: House, late: str, **more: str) -> tuple[Routing, str]:
    routing = house.routing(rules(LATE.replace("LATE", late), **more))
    first = house.send()
    routing.route([first])
    house.elapse(61)
    house.close()
    routing.route([first])
    house.deliver_all()
    return routing, first


def test_a_late_object_goes_at_once(house: House):
    when = "{study.objects: {at_least: 2}}"
    routing, first = closed_study(house, "route", when=when)
    assert house.owed(first) == ["pacs"]
    late = house.send()
    assert routing.route([late]) == {"ai", "pacs"}
    assert (house.state(late), house.owed(late)) == ("routed", ["ai", "pacs"])
    assert house.close() == {}


def test_a_late_object_is_held_until_a_person_gives_it_back(house: House):
    routing, _ = closed_study(house, "hold")
    late = house.send()
    assert routing.route([late]) == {"pacs"}
    assert (house.state(late), house.object(late).reason) == ("held", "late")
    with house.ledger.write() as connection:
        objects.route_again(connection, [late])
    assert "ai" in routing.route([late])
    assert house.owed(late) == ["ai", "pacs"]


def test_a_late_object_brings_the_whole_study_again(house: House):
    routing, first = closed_study(house, "rebundle")
    assert house.owed(first) == ["ai", "pacs"]
    late = house.send()
    assert routing.route([late]) == {"pacs"}
    assert house.state(late) == "bundled"
    house.elapse(61)
    assert house.close() == {first: "quiet", late: "quiet"}
    assert house.state(first) == "bundled"
    assert house.forgettable() == []
    assert routing.route([first, late]) == {"ai"}
    assert house.owed(first) == ["ai", "ai", "pacs"]
    assert house.owed(late) == ["ai", "pacs"]
    routing.route([first, late])
    assert house.owed(first) == ["ai", "ai", "pacs"], "once more, and not more than that"


def test_what_is_still_to_be_sent_is_not_owed_a_second_time(house: House):
    routing = house.routing(rules(LATE.replace("LATE", "rebundle")))
    first = house.send()
    routing.route([first])
    house.elapse(61)
    house.close()
    routing.route([first])
    late = house.send()
    routing.route([late])
    house.elapse(61)
    house.close()
    routing.route([first, late])
    assert house.owed(first) == ["ai", "pacs"]


def test_two_waiting_routes_of_one_object(house: House):
    text = """
        routes:
        - {name: by series, send_to: ai, wait_for: {series: 30s}, edits: [prefix: {PatientID: X-}]}
        - {name: by study, send_to: [ai, pacs], wait_for: {study: 60s}}
        """
    routing = house.routing(dedent(text))
    one = house.send()
    routing.route([one])
    house.elapse(31)
    house.close()
    assert routing.route([one]) == {"ai"}
    assert house.state(one) == "bundled"
    house.elapse(31)
    house.close()
    assert "pacs" in routing.route([one])
    assert (house.state(one), house.owed(one)) == ("routed", ["ai", "pacs"])
    assert house.data_set(house.deliveries(one)["ai"]).PatientID == "X-0815"
    assert house.deliveries(one)["pacs"] == one


def test_a_route_that_is_gone_holds_what_waited_for_it(house: House):
    one = house.send()
    house.routing(rules("{study: 60s}")).route([one])
    house.elapse(61)
    house.close()
    house.routing("routes: [{name: all, send_to: pacs}]").route([one])
    assert (house.state(one), house.object(one).reason) == ("held", "route_gone")
    assert house.forgettable() == []


def test_an_edit_that_fails_when_the_bundle_is_closed_holds_the_object(house: House):
    more = 'edits: [set: {StudyID: "{StationName}"}]'
    routing = house.routing(rules("{study: 60s}", more=more))
    one = house.send()
    routing.route([one])
    house.elapse(61)
    house.close()
    assert routing.route([one]) == frozenset()
    assert (house.state(one), house.object(one).reason) == ("held", "edit_failed")


def test_without_a_uid_there_is_nothing_to_wait_for(house: House):
    routing = house.routing(rules("{study: 60s}"))
    uid = "2.25.77"
    one = house.receive(slice_of(uid, StudyInstanceUID=""), uid)
    assert routing.route([one]) == {"ai", "pacs"}


def test_lost_tickets_of_closed_bundles_are_found(house: House):
    routing = house.routing(rules("{study: 60s}"))
    one = house.send()
    routing.route([one])
    house.elapse(61)
    house.close()

    def left(older_than_ms: int) -> list[str]:
        with house.ledger.read() as connection:
            return left_behind(connection, limit=9, older_than_ms=older_than_ms)

    assert left(10_000) == []
    assert left(-1000) == [one]
    routing.route([one])
    assert left(-1000) == []


def test_old_bundles_are_dropped_but_for_what_is_not_routed(house: House):
    routing = house.routing(rules("{study: 60s}"))
    one = house.send()
    routing.route([one])
    house.elapse(61)
    house.close()

    def drop() -> int:
        with house.ledger.write() as connection:
            return drop_old(connection, keep_ms=1000, limit=9)

    house.elapse(60)
    assert drop() == 0
    routing.route([one])
    assert drop() == 1
    again = house.send()
    assert routing.route([again]) == {"pacs"}, "it opens a new bundle"


@pytest.mark.parametrize(
    "first",
    ["wait_for: {series: 30s},", "wait_for: {study: 60s},", ""],
    ids=("sooner", "then", "at once"),
)
def test_an_edit_that_fails_keeps_its_destination_from_other_waiting_routes(
    house: House, first: str
):
    """What the second route would send there is not what was wanted."""
    edits = 'edits: [set: {StudyID: "{StationName}"}]'
    text = f"""
        routes:
        - {{name: edited, send_to: ai, {first} {edits}}}
        - {{name: plain, send_to: [ai, pacs], wait_for: {{study: 60s}}}}
        """
    routing = house.routing(dedent(text))
    one = house.send()
    routing.route([one])
    for _ in range(2):
        house.elapse(31)
        house.close()
        routing.route([one])
    assert "ai" not in house.owed(one)
    assert (house.state(one), house.object(one).reason) == ("held", "edit_failed")


def test_a_destination_is_the_first_routes_though_its_bundle_closes_later(house: House):
    """As for routes that do not wait: the second would send unedited what the first edits."""
    text = """
        routes:
        - {name: edited, send_to: ai, wait_for: {study: 60s}, edits: [prefix: {PatientID: X-}]}
        - {name: plain, send_to: [ai, pacs], wait_for: {series: 30s}}
        """
    routing = house.routing(dedent(text))
    one = house.send()
    routing.route([one])
    house.elapse(31)
    house.close()
    routing.route([one])
    assert house.owed(one) == ["pacs"]
    house.elapse(31)
    house.close()
    routing.route([one])
    assert house.owed(one) == ["ai", "pacs"]
    assert house.data_set(house.deliveries(one)["ai"]).PatientID == "X-0815"


def test_what_comes_late_does_not_take_the_first_routes_destination(house: House):
    text = """
        routes:
        - {name: edited, send_to: ai, wait_for: {study: 10m}, edits: [prefix: {PatientID: X-}]}
        - {name: plain, send_to: [ai, pacs], wait_for: {series: 30s}}
        """
    routing = house.routing(dedent(text))
    routing.route([house.send()])
    house.elapse(31)
    house.close()
    late = house.send()
    routing.route([late])
    assert house.owed(late) == ["pacs"]
