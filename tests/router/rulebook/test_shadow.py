"""What a shadow notes: differences by kind, bounded, without a value of an object."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.ledger import Ledger, shadows
from router.rulebook import Shadow
from rules.facts import Facts, FileFacts, MappingAttributes, SourceFacts
from rules.loading import rules_of_texts
from rules.routes import RouteTable, match

IN_FORCE = """
routes:
  - {name: ct, when: {Modality: CT}, send_to: [pacs, ai]}
  - {name: mr, when: {Modality: MR}, send_to: pacs, edits: [set: {StudyID: A}]}
  - {name: us, when: {Modality: US}, send_to: pacs}
"""
NEXT = """
routes:
  - {name: renamed, when: {Modality: CT}, send_to: [ai, pacs]}
  - {name: mr, when: {Modality: MR}, send_to: pacs, edits: [set: {StudyID: B}]}
  - {name: us, when: {Modality: US, PatientID: 'Secret^Patient'}, send_to: pacs}
  - {name: xa, when: {Modality: XA}, send_to: pacs}
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.upgrade()
    yield ledger
    ledger.dispose()


def table(text: str) -> RouteTable:
    return rules_of_texts({"10.yaml": text})


def facts(modality: str) -> Facts:
    return Facts(
        attributes=MappingAttributes({"Modality": modality, "PatientID": "4711"}),
        source=SourceFacts(calling_ae_title="", called_ae_title="", address="", listener=""),
        file=FileFacts(sop_class_uid="", transfer_syntax_uid="", size=0),
    )


def test_differences_are_counted_and_kept(ledger: Ledger):
    before, after = table(IN_FORCE), table(NEXT)
    shadow = Shadow(lambda: after, ledger)
    for number, modality in enumerate(("CT", "CT", "MR", "US", "XA", "PX")):
        seen = facts(modality)
        shadow.decided(f"{number:032x}", seen, match(before, seen), version=before.version, down={})
    shadow.batch_recorded()
    shadow.batch_recorded()
    with ledger.read() as connection:
        [compared] = shadows.comparisons(connection)
        cases = shadows.latest(connection, 99)
    assert (compared.version, compared.shadow_version) == (before.version, after.version)
    assert compared.counts == {"same": 3, "edits": 1, "unrouted": 1, "routed": 1}
    assert [(case.kind, case.detail) for case in cases] == [
        ("routed", "no route -> pacs"),
        ("unrouted", "pacs -> no route"),
        ("edits", "at pacs (mr -> mr)"),
    ]
    assert not any("4711" in case.detail or "Secret" in case.detail for case in cases)


def test_a_group_turns_to_the_same_member_for_both(ledger: Ledger):
    one = table("routes: [{name: a, send_to: {failover: [x, y]}}]")
    other = table("routes: [{name: b, send_to: {failover: [x, y]}}]")
    down = {"x": 3600.0}
    shadow = Shadow(lambda: other, ledger)
    verdict = match(one, facts("CT"), down)
    assert verdict.destinations == ("y",)
    shadow.decided("0" * 32, facts("CT"), verdict, version="v", down=down)
    shadow.batch_recorded()
    with ledger.read() as connection:
        assert shadows.comparisons(connection)[0].counts == {"same": 1}


def test_without_a_shadow_nothing_is_noted(ledger: Ledger):
    shadow = Shadow(lambda: None, ledger)
    shadow.decided("0" * 32, facts("CT"), match(table(IN_FORCE), facts("CT")), version="v", down={})
    shadow.batch_recorded()
    with ledger.read() as connection:
        assert shadows.comparisons(connection) == []


def test_a_ledger_that_is_away_stops_nobody(ledger: Ledger, tmp_path: Path):
    away = Ledger("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    shadow = Shadow(lambda: table(NEXT), away)
    shadow.decided("0" * 32, facts("US"), match(table(IN_FORCE), facts("US")), version="v", down={})
    shadow.batch_recorded()
    away.dispose()
