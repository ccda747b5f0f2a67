"""What routing keeps in the vault: with the deliveries, once, and nothing where nobody asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from router.config import Loops
from router.config_vault import Vault
from router.ledger import Ledger, ObjectState, bundles, objects, vault
from router.ledger.queries import trace
from router.ledger.vault import Choice, Pair
from router.routing.batch import Policy, Routing
from router.vault.sealing import VaultKeys
from rules.loading import rules_of_texts
from tests.router.routing.test_batch import House, slice_of

KEYS = {"study-a": "a key of this test, long", "study-b": "another key of this test"}
SETTINGS = Vault(keys={"vault-1": "the vault's key of this test"})
RULES = """
profiles:
  kept: {key: study-a, vault: true, options: retain modified dates}
routes:
- {name: research, deidentify: kept, send_to: [pacs]}
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.ledger.dispose()


def routing(
    house: House,
    rules: str = RULES,
    settings: Vault | None = SETTINGS,
    ledger: Ledger | None = None,
) -> Routing:
    table = rules_of_texts({"10.yaml": rules}, keys=KEYS, vault=True)
    policy = Policy(on_no_match="hold", ignore_identical=False, loops=Loops(), vault=settings)
    return Routing(
        ledger=ledger or house.ledger, spool=house.spool, rules=lambda: table, policy=policy
    )


def kept(house: House, settings: Vault = SETTINGS) -> list[Pair]:
    keys = VaultKeys(settings)
    with house.ledger.read() as connection:
        rows = vault.page(connection, Choice(), after=b"", limit=1000)
    return [keys.open(row.pair) for row in rows]


def by_kind(pairs: list[Pair]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.kind, []).append(pair)
    return found


def test_a_deidentified_object_is_told_of_whole(house: House) -> None:
    data = slice_of(
        "2.25.7", IssuerOfPatientID="HOSPITAL", PatientName="Doe^Jane", StudyDate="20200102"
    )
    object_id = house.receive(data, "2.25.7")
    routing(house).route([object_id])
    (payload,) = house.deliveries(object_id).values()
    new = house.data_set(payload)
    found = by_kind(kept(house))
    (patient,), (study,), (series,) = found["patient"], found["study"], found["series"]
    (accession,), (instance,) = found["accession"], found["instance"]
    assert (patient.old, patient.new) == ("0815", new.PatientID)
    assert (patient.issuer, patient.name, patient.parent) == ("HOSPITAL", "", "")
    assert (study.old, study.new) == ("2.25.1", new.StudyInstanceUID)
    assert (series.old, series.new) == ("2.25.2", new.SeriesInstanceUID)
    assert (instance.old, instance.new) == ("2.25.7", new.SOPInstanceUID)
    assert (accession.old, accession.new) == ("A1", "")
    assert study.parent == patient.new
    assert series.parent == accession.parent == study.new
    assert instance.parent == series.new
    assert patient.days == study.days
    assert patient.days is not None
    assert -365 <= patient.days <= -1
    for pair in (patient, study, series, accession, instance):
        assert (pair.project, pair.profile, pair.subject) == ("study-a", "kept", "0815")
        assert pair.version


def test_what_is_known_already_is_not_kept_again(house: House) -> None:
    routed = routing(house)
    first = [house.receive(uid=f"2.25.{number}") for number in range(3)]
    routed.route(first)
    assert len(kept(house)) == 4 + 3
    routed.route([house.receive(uid="2.25.0"), house.receive(uid="2.25.9")])
    assert len(kept(house)) == 4 + 4
    routing(house).route([house.receive(uid="2.25.1")])
    assert len(kept(house)) == 4 + 4


def test_names_are_kept_where_asked_for_and_instances_are_not_where_not(house: House) -> None:
    rules = RULES.replace("vault: true", "vault: {names: true, instances: false}")
    data = slice_of("2.25.7", PatientName="Doe^Jane", PatientID="0815", AccessionNumber="")
    routing(house, rules).route([house.receive(data, "2.25.7")])
    found = by_kind(kept(house))
    assert sorted(found) == ["patient", "series", "study"]
    assert found["patient"][0].name == "Doe^Jane"


def test_an_object_without_a_patient_is_told_of_by_its_study(house: House) -> None:
    data = slice_of("2.25.7", PatientID="")
    routing(house).route([house.receive(data, "2.25.7")])
    found = by_kind(kept(house))
    assert "patient" not in found
    assert found["study"][0].subject == ""


def test_without_a_vault_in_the_profile_nothing_is_kept(house: House) -> None:
    object_id = house.receive()
    routing(house, RULES.replace("vault: true, ", "")).route([object_id])
    assert house.object(object_id).state is ObjectState.ROUTED
    assert kept(house) == []


def test_each_key_is_a_project_and_what_is_shared_is_told_once(house: House) -> None:
    rules = """
profiles:
  a: {key: study-a, vault: true}
  b: {key: study-b, vault: true}
routes:
- {name: one, deidentify: a, send_to: [pacs]}
- {name: two, deidentify: a, send_to: [archive]}
- {name: three, deidentify: b, send_to: [research]}
"""
    routing(house, rules).route([house.receive(uid="2.25.7")])
    instances = by_kind(kept(house))["instance"]
    assert sorted((pair.project, pair.profile) for pair in instances) == [
        ("study-a", "a"),
        ("study-b", "b"),
    ]
    assert len({pair.new for pair in instances}) == 2


def test_a_held_object_is_told_of_when_a_part_of_it_leaves(house: House) -> None:
    rules = RULES + "- {name: bad, edits: [{copy: {from: StudyDate, to: StudyID}}], send_to: [ai]}"
    object_id = house.receive()
    routing(house, rules).route([object_id])
    assert house.object(object_id).state is ObjectState.HELD
    assert list(house.deliveries(object_id)) == ["pacs"]
    assert by_kind(kept(house)).keys() == {"patient", "study", "accession", "series", "instance"}
    refused = slice_of("2.25.8", BurnedInAnnotation="YES")
    object_id = house.receive(refused, "2.25.8")
    before = len(kept(house))
    routing(house, rules).route([object_id])
    assert house.deliveries(object_id) == {}
    assert len(kept(house)) == before


@pytest.mark.parametrize("settings", [None, Vault(keys={"vault-1": "a secret that is not that"})])
def test_without_its_key_nothing_leaves(house: House, settings: Vault | None) -> None:
    routing(house).route([house.receive()])
    object_id = house.receive()
    routing(house, settings=settings).route([object_id])
    assert house.object(object_id).state is ObjectState.HELD
    assert house.deliveries(object_id) == {}
    with house.ledger.read() as connection:
        (told,) = trace(connection, object_id)
    detail = told.history[-1].detail or ""
    wanted = "the site has no vault" if settings is None else "the vault's key vault-1 is not the"
    assert wanted in detail


def test_a_key_that_is_changed_while_it_runs_is_taken_up(house: House) -> None:
    routed = routing(house)
    routed.route([house.receive(uid="2.25.1")])
    both = Vault(
        keys={"vault-2": "the next key of this test", **SETTINGS.keys}, seal_with="vault-2"
    )
    routed.decide_by(Policy(on_no_match="hold", ignore_identical=False, loops=Loops(), vault=both))
    routed.route([house.receive(uid="2.25.1")])
    with house.ledger.read() as connection:
        counted = vault.counts(connection)
    assert {(key, kind): number for key, _, kind, number in counted} == {
        (key, kind): 1
        for key in ("vault-1", "vault-2")
        for kind in ("patient", "study", "series", "accession", "instance")
    }


def test_two_workers_on_one_patient_keep_it_once(house: House) -> None:
    ids = [house.receive(uid=f"2.25.{number}") for number in range(20)]
    workers = [routing(house, ledger=Ledger(house.ledger.url)) for _ in range(2)]
    barrier = threading.Barrier(2)

    def work(which: int) -> None:
        barrier.wait()
        for start in range(0, 20, 5):
            workers[which].route(ids[start : start + 5])

    threads = [threading.Thread(target=work, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept(house)) == 4 + 20
    with house.ledger.read() as connection:
        assert {one.state for one in objects.by_ids(connection, ids)} == {ObjectState.ROUTED}


def test_what_was_derived_is_looked_up_by_its_own_names(house: House) -> None:
    object_id = house.receive()
    routing(house).route([object_id])
    (payload,) = house.deliveries(object_id).values()
    derived, new = house.object(payload), house.data_set(payload)
    assert derived.study_instance_uid == new.StudyInstanceUID != "2.25.1"
    assert derived.series_instance_uid == new.SeriesInstanceUID
    assert derived.patient_id == new.PatientID != "0815"
    assert derived.accession_number is None
    with house.ledger.read() as connection:
        for value in (new.StudyInstanceUID, new.PatientID, new.SOPInstanceUID):
            assert [one.object.id for one in trace(connection, str(value))] == [object_id]


def test_a_new_key_of_pseudonyms_is_a_new_identity_and_both_lead_back(house: House) -> None:
    later = RULES.replace("study-a", "study-b")
    names: list[tuple[str, str]] = []
    for rules in (RULES, later, RULES):
        object_id = house.receive(uid="2.25.7")
        routing(house, rules).route([object_id])
        (payload,) = house.deliveries(object_id).values()
        new = house.data_set(payload)
        names.append((str(new.PatientID), str(new.SOPInstanceUID)))
    before, after, again = names
    assert before == again  # the old key, too, still makes what it made
    assert not set(before) & set(after)
    pairs = by_kind(kept(house))
    for project, (patient, uid) in (("study-a", before), ("study-b", after)):
        (person,) = [one for one in pairs["patient"] if one.project == project]
        assert (person.old, person.new) == ("0815", patient)
        (instance,) = [one for one in pairs["instance"] if one.project == project]
        assert (instance.old, instance.new) == ("2.25.7", uid)
    days = {one.days for one in pairs["patient"]}
    assert len(days) == 2


def test_a_vault_that_is_taken_away_half_way_is_still_told(house: House) -> None:
    class Meddler:
        """Takes the vault out of the site while objects are being decided on."""

        def decided(self, *_: object, **__: object) -> None:
            routed.decide_by(Policy(on_no_match="hold", ignore_identical=False, loops=Loops()))

        def batch_recorded(self) -> None:
            pass

    table = rules_of_texts({"10.yaml": RULES}, keys=KEYS, vault=True)
    policy = Policy(on_no_match="hold", ignore_identical=False, loops=Loops(), vault=SETTINGS)
    routed = Routing(
        ledger=house.ledger, spool=house.spool, rules=lambda: table, policy=policy,
        observer=Meddler(),
    )  # fmt: skip
    first, second = house.receive(), house.receive()
    routed.route([first])
    assert house.object(first).state is ObjectState.ROUTED
    assert "instance" in by_kind(kept(house))
    routed.route([second])
    assert house.object(second).state is ObjectState.HELD


def test_what_waited_for_its_study_is_told_when_it_goes(house: House) -> None:
    rules = RULES.replace("send_to: [pacs]", "send_to: [pacs], wait_for: {study: 60s}")
    routed, object_id = routing(house, rules), house.receive()
    routed.route([object_id])
    assert kept(house) == []
    with house.ledger.write() as connection:
        connection.execute(text("UPDATE bundles SET due_at = 1"))
        assert bundles.close_due(connection, limit=9)
    assert routed.route([object_id]) == {"pacs"}
    assert len(kept(house)) == 5
    assert routed.route([object_id]) == frozenset()
    assert len(kept(house)) == 5
