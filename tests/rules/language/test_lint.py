"""Warnings: what may be written and cannot be meant."""

from collections.abc import Callable

import pytest

from rules.lint import lint
from rules.routes import RouteTable

TableOf = Callable[[str], RouteTable]


TWO = """routes:
- {{name: a, send_to: x, stop: yes, when: {{{}}}}}
- {{name: b, send_to: x, when: {{{}}}}}
"""


def one(when: str) -> str:
    return f"routes:\n- name: it\n  send_to: x\n  when:\n    {when}\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            "routes:\n- {name: a, send_to: x, stop: yes}\n- {name: b, send_to: x}",
            3,
            "never reached",
        ),
        (
            TWO.format("Modality: CT", "'0008,0060': CT, StationName: S"),
            3,
            "never reached: a takes",
        ),
        (one("Modality: ct"), 2, "capitals"),
        (one("not: {Modality: {one_of: [CT, mr]}}"), 2, "capitals"),
        (one("AccessionNumber: 12345678901234567"), 2, "at most 16"),
        (one("StudyDescription: {matches: CT$x}"), 2, "after $"),
        (one("StudyDescription: {matches: CT^x}"), 2, "after $"),
        (one("SliceThickness: {at_least: 3, at_most: 2}"), 2, "never true of one value"),
        (one("SliceThickness: {above: 2, at_most: 2.0}"), 2, "never true of one value"),
        (one("StudyDate: {at_least: 2026-02-01, below: 20260101}"), 2, "never true of one value"),
        (one("PatientID: {present: false, value: x}"), 2, "absent attribute"),
        ("routes:\n- {name: to AI, send_to: x}\n- {name: To-AI, send_to: y}", None, "reads like"),
        ("routes:\n- {name: a, send_to: [x, x]}", 2, "more than once"),
        (
            "routes:\n- {name: a, send_to: x, edits: [set: {SOPInstanceUID: 1.2.3}]}",
            2,
            "same identity",
        ),
    ],
)
def test_a_warning(table_of: TableOf, text: str, line: int | None, says: str) -> None:
    [problem] = lint(table_of(text))

    assert says in problem.message
    assert line in (None, problem.line)


@pytest.mark.parametrize(
    "text",
    [
        "routes: []",
        one("Modality: CT"),
        one("StudyDescription: {matches: '^CT$'}"),
        one("StudyDescription: {matches: 'a$|^b'}"),
        one(r"StudyDescription: {matches: 'US\$5'}"),
        one("SliceThickness: {at_least: 2, at_most: 2}"),
        one("StudyDescription: thorax"),
        "routes:\n- {name: a, send_to: x, stop: yes, disabled: yes}\n- {name: b, send_to: x}",
        TWO.format("Modality: CT", "StationName: S"),
        "routes:\n- {name: a, send_to: x}\n- {name: b, send_to: x}",
        "routes:\n- {name: a, send_to: x, edits: [set: {SOPInstanceUID: '{SOPInstanceUID}.1'}]}",
    ],
)
def test_no_warning(table_of: TableOf, text: str) -> None:
    assert lint(table_of(text), destinations=["x"] if "send_to" in text else []) == []


def test_destinations_that_nobody_sends_to(table_of: TableOf) -> None:
    found = lint(table_of("routes: [{name: a, send_to: x}]"), destinations=["y", "x"])
    assert [problem.key for problem in found] == ["y"]
