"""The linter: what may be written and cannot be meant, with its place, its kind and a fix."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from rules.documents.reading import parse_document
from rules.lint import KINDS, Finding, SiteNames, lint
from rules.lint.tests import of_tests, untested
from rules.lint.wanted import reached
from rules.routes import RouteTable
from rules.scenarios.coverage import Coverage
from rules.scenarios.schema import ScenarioFile

TableOf = Callable[[str], RouteTable]


TWO = """routes:
- {{name: a, send_to: x, stop: yes, when: {{{}}}}}
- {{name: b, send_to: y, when: {{{}}}}}
"""


def one(when: str) -> str:
    return f"routes:\n- name: it\n  send_to: x\n  when:\n    {when}\n"


def edits(*items: str, when: str = "{Modality: CT}") -> str:
    listed = "".join(f"  - {item}\n" for item in items)
    return f"routes:\n- name: it\n  send_to: x\n  when: {when}\n  edits:\n{listed}"


CASES = [
    # routes
    ("unreachable", "routes:\n- {name: a, send_to: x, stop: yes}\n- {name: b, send_to: y}", 3, "a"),
    ("unreachable", TWO.format("Modality: CT", "'0008,0060': CT, StationName: S"), 3, "never"),
    (
        "served-before",
        "routes:\n- {name: a, send_to: x}\n- {name: b, send_to: [x, y], when: {Modality: CT}}",
        3,
        "x gets each of these objects from a",
    ),
    (
        "served-before",
        "routes:\n- {name: a, send_to: x}\n- {name: b, send_to: x, priority: stat}",
        3,
        "reach nobody",
    ),
    ("alike-names", "routes:\n- {name: to AI, send_to: x}\n- {name: To-AI, send_to: y}", None, ""),
    ("blank", "routes:\n- {name: 'to AI ', send_to: x}", 2, "blanks at its ends"),
    ("repeated-value", "routes:\n- {name: a, send_to: [x, x]}", 2, "more than once"),
    (
        "served-before",
        "routes:\n- {name: a, send_to: x}\n- {name: b, send_to: x}",
        3,
        "does what a does",
    ),
    # values
    ("impossible-value", one("Modality: ct"), 5, "capitals"),
    ("impossible-value", one("not: {Modality: {one_of: [CT, mr]}}"), 5, "capitals"),
    ("impossible-value", one("BodyPartExamined: C-SPINE"), 5, "codes"),
    ("impossible-value", one("AccessionNumber: 12345678901234567"), 5, "at most 16"),
    ("impossible-value", one("StationName: {like: '12345678901234567*'}"), 5, "at most 16"),
    ("impossible-value", one("SeriesNumber: 1.5"), 5, "whole number"),
    ("impossible-value", one("Rows: 70000"), 5, "from 0 to 65535"),
    ("enumerated-value", one("PatientSex: W"), 5, "not among the values"),
    ("enumerated-value", one("any: [{Laterality: LEFT}, {Modality: CT}]"), 5, "Laterality"),
    ("defined-term", one("Modality: CTT"), 5, "no defined term"),
    ("defined-term", one("BodyPartExamined: {one_of: [HEAD, CHST]}"), 5, "CHST"),
    ("wildcard", one("Manufacturer: siemens*"), 5, "is a star"),
    ("wildcard", one("Manufacturer: {like: siemens}"), 5, "neither * nor ?"),
    ("wildcard", one("StationName: {like: '^CT.*'}"), 5, "regular expression"),
    ("wildcard", one("StationName: {matches: 'CT*'}"), 5, "repeats the letter"),
    ("blank", one("StationName: {ends_with: 'CT '}"), 5, "blanks"),
    ("repeated-value", one("Modality: {one_of: [CT, MR, CT]}"), 5, "already"),
    ("matches-everything", one("StationName: {matches: '.*'}"), 5, "true of every"),
    ("matches-everything", one("StationName: {like: '*'}"), 5, "true of every"),
    ("matches-nothing", one("StudyDescription: {matches: CT$x}"), 5, "after $"),
    ("matches-nothing", one("StudyDescription: {matches: CT^x}"), 5, "after $"),
    ("matches-nothing", one("BodyPartExamined: {matches: '^chest'}"), 5, "in capitals"),
    # contradictions
    ("contradiction", one("SliceThickness: {at_least: 3, at_most: 2}"), 5, "at_least 3 and"),
    ("contradiction", one("SliceThickness: {above: 2, at_most: 2.0}"), 5, "above 2 and"),
    ("contradiction", one("StudyDate: {at_least: 2026-02-01, below: 20260101}"), 5, "never true"),
    (
        "contradiction",
        one("StudyDate: {older_than: 2mo, newer_than: 30d}"),
        5,
        "older_than 2mo and",
    ),
    ("contradiction", one("PatientID: {present: false, value: x}"), 5, "absent attribute"),
    ("contradiction", one("PatientID: {empty: true, value: x}"), 5, "empty attribute"),
    ("contradiction", one("PatientID: {value: abc, starts_with: x}"), 5, "starts_with"),
    ("contradiction", one("Modality: {value: CT, one_of: [MR, US]}"), 5, "not in one_of"),
    ("contradiction", one("all: [{Modality: CT}, {Modality: MR}]"), 5, "another value"),
    ("contradiction", one("all: [{Rows: {above: 9}}, {Rows: {below: 3}}]"), 5, "above 9 and"),
    ("contradiction", one("all: [{Modality: CT}, {Modality: {present: false}}]"), 5, "elsewhere"),
    (
        "contradiction",
        one("{Modality: CT, not: {Modality: CT}}").replace("when:\n   ", "when:"),
        4,
        "under not",
    ),
    # edits
    ("same-identity", edits("set: {SOPInstanceUID: 1.2.3}"), 6, "same identity"),
    ("same-identity", edits("set: {StudyInstanceUID: 1.2.3}"), 6, "one study"),
    ("undone-edit", edits("set: {StudyID: A}", "set: {StudyID: B}"), 6, "later set"),
    ("undone-edit", edits("upper: [StudyID]", "remove: [StudyID]"), 6, "later remove"),
    ("useless-edit", edits("set: {Modality: CT}"), 6, "already"),
    ("useless-edit", edits("upper: [StudyID]", when="{StudyID: {present: false}}"), 6, "absent"),
    ("pseudonym-undone", edits("shift_dates: {days: -30}"), 6, "still say what its values were"),
    ("may-hold", edits("copy: {from: AccessionNumber, to: StudyID}"), 6, "AccessionNumber is held"),
    ("may-hold", edits('set: {StudyID: "{SeriesNumber}"}'), 6, "SeriesNumber is held"),
]


@pytest.mark.parametrize(("kind", "text", "line", "says"), CASES)
def test_a_finding(table_of: TableOf, kind: str, text: str, line: int | None, says: str) -> None:
    found = lint(table_of(text))
    assert [finding.kind for finding in found] == [kind], found
    [finding] = found
    assert says in finding.message
    assert line in (None, finding.line)
    assert finding.fix or finding.suggestion


FINE = [
    "routes: []",
    one("Modality: CT"),
    one("StudyDescription: {matches: '^CT$'}"),
    one("StudyDescription: {matches: 'a$|^b'}"),
    one(r"StudyDescription: {matches: 'US\$5'}"),
    one("BodyPartExamined: {matches: '(?i)^chest'}"),
    one("BodyPartExamined: {matches: 'CHES[a-z]?T|HEAD'}"),
    one("StationName: {matches: '^CT(3|4)$'}"),
    one("SliceThickness: {at_least: 2, at_most: 2}"),
    one("StudyDate: {older_than: 30d, newer_than: 1y}"),
    one("StudyDescription: thorax"),
    one("Modality: {value: CT, one_of: [CT, MR]}"),
    one("all: [{ImageType: ORIGINAL}, {ImageType: AXIAL}]"),
    one("all: [{PixelSpacing: {above: 1}}, {PixelSpacing: {below: 1}}]"),
    one("all: [{sop_class: image}, {sop_class: CT Image Storage}]"),
    one("any: [{Modality: CT}, {Modality: MR}]"),
    one("PatientID: {present: true, empty: false}"),
    one("source.calling_ae_title: 'CT*'"),
    one('"0029,[SIEMENS CSA HEADER],10": "any thing"'),
    "routes:\n- {name: a, send_to: x, stop: yes, disabled: yes}\n- {name: b, send_to: x}",
    TWO.format("Modality: CT", "StationName: S"),
    "routes:\n- {name: a, send_to: x}\n- {name: b, send_to: y}",
    edits("set: {SOPInstanceUID: '{SOPInstanceUID}.1'}"),
    edits("set: {StudyID: A}", "prefix: {StudyID: B}"),
    edits("copy: {from: StudyID, to: AccessionNumber}", "set: {StudyID: B}",
          when="{StudyID: {present: true}}"),
    edits("set: {StudyID: A}", "copy: {from: StudyID, to: AccessionNumber}"),
    edits("set: {StudyID: A}", "map: {tag: Modality, from: StudyID, values: {A: CT}}",
          "set: {StudyID: B}"),
    edits("set: {PatientName: '{PatientID}'}", "keep_only: [PatientID]", "remove: [PatientName]"),
]  # fmt: skip


@pytest.mark.parametrize("text", FINE)
def test_no_finding(table_of: TableOf, text: str) -> None:
    assert lint(table_of(text)) == []


SITE = SiteNames(needed=["x", "y"], listeners=["main"], calling=["CT01"], called=["ROUTER"])


def test_destinations_that_nobody_sends_to(table_of: TableOf) -> None:
    found = lint(table_of("routes: [{name: a, send_to: x}]"), site=SITE)
    assert [(finding.kind, finding.key) for finding in found] == [("unused-destination", "y")]


@pytest.mark.parametrize(
    ("when", "meant"),
    [
        ("source.listener: mian", "main"),
        ("source.calling_ae_title: {one_of: [CT01, CT1]}", "CT01"),
        ("source.called_ae_title: ROUTTER", "ROUTER"),
        ("source.listener: main", None),
        ("not: {source.listener: other}", None),
    ],
)
def test_names_that_the_site_does_not_have(table_of: TableOf, when: str, meant: str | None) -> None:
    text = f"routes: [{{name: a, send_to: [x, y], when: {{{when}}}}}]"
    found = lint(table_of(text), site=SITE)
    assert [finding.suggestion for finding in found] == ([meant] if meant else [])
    assert {finding.kind for finding in found} <= {"unknown-source"}


TESTS = """
tests:
- {name: a, given: {Modality: CT}, expect: {}}
- {name: a, given: {Modality: CT}, expect: {send_to: [x]}}
- {name: b, given: {Modality: CT}, expect: {send_to: [pcas]}}
"""


def test_tests_that_prove_nothing(table_of: TableOf) -> None:
    table = table_of("routes: [{name: r, send_to: [x, pacs]}]")
    document = parse_document(TESTS, "10.test.yaml")
    places = {name for route in table.routes for name in reached(route)}
    found = list(of_tests(document, document.validate(ScenarioFile).tests, places))
    assert [(finding.kind, finding.line, finding.suggestion) for finding in found] == [
        ("no-assertion", 3, None),
        ("alike-names", 4, None),
        ("unknown-destination", 5, "pacs"),
    ]


def test_routes_that_no_test_reaches(table_of: TableOf) -> None:
    table = table_of("routes: [{name: r, send_to: x}, {name: s, send_to: y}]")
    assert Coverage(table).matched == frozenset()
    assert [finding.key for finding in untested(table.routes, ["r"])] == ["s"]


def test_a_finding_says_all_in_one_line() -> None:
    finding = Finding(
        file="10.yaml",
        line=4,
        column=7,
        key="it: when.Modality",
        message="'CTT' is no defined term of Modality",
        suggestion="CT",
        kind="defined-term",
        fix="Right only if a device sends it",
    )
    assert str(finding) == (
        "10.yaml:4:7: it: when.Modality: 'CTT' is no defined term of Modality "
        "(did you mean CT?). Right only if a device sends it [warning: defined-term]"
    )


def test_every_kind_is_found_here_and_explained_in_the_docs() -> None:
    told = {kind for kind, *_ in CASES} | {
        "mistake",
        "unknown-source",
        "unused-destination",
        "no-assertion",
        "unknown-destination",
        "untested",
    }
    assert told == set(KINDS)
    page = (Path(__file__).parents[3] / "docs" / "rules-check.md").read_text(encoding="utf-8")
    rows = dedent(page).splitlines()
    assert [
        kind for kind in KINDS if not any(row.startswith(f"| `{kind}` |") for row in rows)
    ] == []
