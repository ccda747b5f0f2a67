"""Groups of destinations: who gets an object, the same in every process, and why."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.choosing import Choice, Down
from rules.documents.reading import DocumentError
from rules.facts import Facts, FileFacts, MappingAttributes, SourceFacts
from rules.loading import load_rules, rules_of_texts
from rules.routes import RouteTable, match


def table(send_to: str, **more: str) -> RouteTable:
    extra = "".join(f"\n  {key}: {value}" for key, value in more.items())
    return rules_of_texts({"10.yaml": f"routes:\n- name: it\n  send_to: {send_to}{extra}\n"})


def facts(**attributes: str) -> Facts:
    return Facts(
        attributes=MappingAttributes(attributes),
        source=SourceFacts(calling_ae_title="", called_ae_title="", address="", listener=""),
        file=FileFacts(sop_class_uid="1.2", transfer_syntax_uid="1.2.840.10008.1.2", size=1),
    )


def chosen(rules: RouteTable, down: Down | None = None, **attributes: str) -> Choice:
    [dispatch] = match(rules, facts(**attributes), down or {}).dispatches
    [choice] = dispatch.choices
    assert dispatch.destinations == ((choice.chosen,) if choice.chosen else ())
    return choice


@pytest.mark.parametrize(
    ("down", "member", "why"),
    [
        ({}, "a", "it is the first"),
        ({"a": 59.0}, "a", "it is the first"),
        ({"a": 60.0}, "b", "a has been down for 1m"),
        ({"a": 90.0, "b": 4000.0}, "c", "a has been down for 1m30s, b has been down for 1h6m40s"),
        ({"a": 90.0, "b": 90.0, "c": 90.0}, "a", "all of them are down"),
        ({"b": 90.0}, "a", "it is the first"),
    ],
)
def test_failover_takes_the_first_that_is_not_out(down: Down, member: str, why: str) -> None:
    choice = chosen(table("{failover: [a, b, c]}"), down)
    assert (choice.chosen, choice.why, choice.after) == (member, why, 60)
    assert choice.members == ("a", "b", "c")


def test_failover_is_as_patient_as_it_says() -> None:
    rules = table("{failover: [a, b], after: 10m}")
    assert chosen(rules, {"a": 599.0}).chosen == "a"
    assert chosen(rules, {"a": 600.0}).chosen == "b"


def test_a_study_always_goes_to_the_same_member() -> None:
    rules = table("{balance: [n1, n2, n3]}")
    first = {uid: chosen(rules, StudyInstanceUID=uid).chosen for uid in map(str, range(300))}
    again = {
        uid: chosen(table("{balance: [n3, n1, n2]}"), StudyInstanceUID=uid).chosen for uid in first
    }
    assert again == first
    # The same in every process, version and release: a study must not move on an update.
    assert [first[str(n)] for n in range(8)] == EIGHT


EIGHT = ["n2", "n2", "n3", "n2", "n2", "n3", "n1", "n1"]


def test_a_member_that_leaves_moves_its_own_share_only() -> None:
    three, two = table("{balance: [n1, n2, n3]}"), table("{balance: [n1, n2]}")
    for uid in map(str, range(300)):
        before = chosen(three, StudyInstanceUID=uid).chosen
        if before != "n3":
            assert chosen(two, StudyInstanceUID=uid).chosen == before


def test_weights_are_shares() -> None:
    rules = table("{balance: [n1, n2, n3], weights: {n1: 3, n3: 0}}")
    counts = Counter(chosen(rules, StudyInstanceUID=str(n)).chosen for n in range(2000))
    assert set(counts) == {"n1", "n2"}
    assert 0.70 < counts["n1"] / 2000 < 0.80


def test_by_patient_studies_stay_together() -> None:
    rules = table("{balance: [n1, n2, n3], by: patient}")
    for patient in map(str, range(30)):
        found = {
            chosen(rules, PatientID=patient, StudyInstanceUID=str(n)).chosen for n in range(10)
        }
        assert len(found) == 1
    nameless = {chosen(rules, PatientID="", StudyInstanceUID=str(n)).chosen for n in range(30)}
    assert nameless == {"n1", "n2", "n3"}


@given(st.text(min_size=1, max_size=20).filter(lambda text: "\\" not in text))
def test_a_member_that_is_out_is_passed_over_only_where_it_is_said(uid: str) -> None:
    plain = table("{balance: [n1, n2, n3]}")
    first = chosen(plain, StudyInstanceUID=uid)
    assert first.chosen is not None
    assert first.members == ()
    assert chosen(plain, {first.chosen: 1e6}, StudyInstanceUID=uid) == first
    passing = table("{balance: [n1, n2, n3], after: 5m}")
    assert chosen(passing, {first.chosen: 299.0}, StudyInstanceUID=uid).chosen == first.chosen
    other = chosen(passing, {first.chosen: 300.0}, StudyInstanceUID=uid)
    assert other.chosen != first.chosen
    assert f"{first.chosen} has been down for 5m" in other.why
    assert other.members[0] == first.chosen
    everyone = dict.fromkeys(("n1", "n2", "n3"), 1e6)
    assert chosen(passing, everyone, StudyInstanceUID=uid).chosen == first.chosen


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., RouteTable]:
    def load(
        table: str, send_to: str, destinations: tuple[str, ...] = ("a", "b", "c")
    ) -> RouteTable:
        (tmp_path / "sites.csv").write_text(table)
        (tmp_path / "10.yaml").write_text(f"routes:\n- name: it\n  send_to: [{send_to}]\n")
        return load_rules(tmp_path, destinations=destinations)

    return load


BY_NAME = "{from_table: {tag: InstitutionName, table: sites.csv}}"


def test_a_table_names_the_destination(folder: Callable[..., RouteTable]) -> None:
    rules = folder("institution,destination\nNorth,a\nSouth,b\nClosed,\n", BY_NAME)
    assert chosen(rules, InstitutionName="South").chosen == "b"
    assert chosen(rules, InstitutionName="West") == Choice(
        group="from_table sites.csv by InstitutionName",
        chosen=None,
        why="the table has no row for its InstitutionName",
    )
    assert chosen(rules, InstitutionName="Closed").chosen is None
    assert chosen(rules).why == "the object has no InstitutionName"
    assert [path.name for path in rules.files] == ["10.yaml", "sites.csv"]


def test_a_table_has_the_columns_that_are_named(folder: Callable[..., RouteTable]) -> None:
    send_to = (
        "{from_table: {tag: StationName, table: sites.csv, key: station, value: ai}, missing: c}"
    )
    rules = folder("name,ai,station\nNorth,a,ST1\n", send_to)
    assert chosen(rules, StationName="ST1").chosen == "a"
    assert chosen(rules, StationName="ST9").chosen == "c"


@pytest.mark.parametrize(
    ("table", "send_to", "says"),
    [
        ("name,to\nNorth,pasc\n", BY_NAME, "sites.csv names it, and there is no destination pasc"),
        ("name,to\nNorth,a\n", BY_NAME.replace("sites", "stes"), "there is no file"),
        ("name,to\nNorth,a\n", BY_NAME.replace("}}", ", value: too}}"), "has the columns name, to"),
        ("name,to\nNorth,a\n", BY_NAME.replace("}}", "}, missing: d}"), "no destination d"),
        ("name,to\nNorth,a\n", BY_NAME.replace("InstitutionName", "Institution"), "no attribute"),
    ],
)
def test_a_table_that_cannot_be_used(
    folder: Callable[..., RouteTable], table: str, send_to: str, says: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        folder(table, send_to)
    [problem] = caught.value.problems
    assert says in str(problem)
    assert problem.key.startswith("routes[0].send_to[0]")


@pytest.mark.parametrize(
    ("send_to", "key", "says"),
    [
        ("{failover: [a]}", "send_to[0].failover", "at least 2"),
        ("{failover: [a, a]}", "send_to[0].failover[1]", "a is a member already"),
        ("{fail_over: [a, b]}", "send_to[0].fail_over", "did you mean failover"),
        ("{failover: [a, b], after: soon}", "send_to[0].after", "is not a duration"),
        ("{failover: [a, d]}", "send_to[0].failover[1]", "there is no destination d"),
        ("{balance: [a, b], weights: {d: 1}}", "send_to[0].weights.d", "d is no member"),
        (
            "{balance: [a, b], weights: {a: 0, b: 0}}",
            "send_to[0].weights",
            "every member has",
        ),
        ("{balance: [a, b], weights: {a: -1}}", "send_to[0].weights.a", "at least 0"),
        ("{balance: [a, b], by: series}", "send_to[0].by", "'study' or 'patient'"),
        ("a, {}", "send_to[1]", "a group is one of failover, balance, from_table"),
        ("", "send_to", "at least 1"),
    ],
)
def test_a_group_that_cannot_be_used(send_to: str, key: str, says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        rules_of_texts(
            {"10.yaml": f"routes:\n- name: it\n  send_to: [{send_to}]\n"},
            destinations=("a", "b", "c"),
        )
    [problem] = caught.value.problems
    assert says in str(problem)
    assert problem.key.startswith(f"routes[0].{key}"), problem.key


def test_an_object_goes_once_to_whom_two_routes_choose() -> None:
    text = """
routes:
  - {name: first, send_to: {failover: [a, b]}}
  - {name: second, send_to: [a, b]}
"""
    verdict = match(rules_of_texts({"10.yaml": text}), facts(), {"a": 100.0})
    assert [(one.route, one.destinations) for one in verdict.dispatches] == [
        ("first", ("b",)),
        ("second", ("a",)),
    ]
