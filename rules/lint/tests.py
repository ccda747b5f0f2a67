"""Tests that prove nothing, and routes that no test proves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rules.documents.problems import Step, suggest
from rules.documents.reading import Document
from rules.lint.findings import Finding
from rules.routes import CompiledRoute
from rules.scenarios.schema import Scenario


def of_tests(
    document: Document, tests: Sequence[Scenario], destinations: Collection[str]
) -> Iterator[Finding]:
    """What is odd in the tests of one file. `destinations`: all that a route may send to."""
    names: set[str] = set()
    for index, test in enumerate(tests):
        at: tuple[Step, ...] = ("tests", index)
        if not test.expect.model_fields_set:
            message = "this test asserts nothing: it passes whatever the rules do"
            fix = "Say what must come of it: send_to, routes, edited …"
            yield _finding(document, (*at, "expect"), test, "no-assertion", message, fix)
        if test.name in names:
            message = "another test of this file has the same name"
            yield _finding(document, at, test, "alike-names", message, "Say what is different")
        names.add(test.name)
        for name in test.expect.send_to or ():
            if name not in destinations:
                message = f"never true: no route sends to {name}"
                near = suggest(name, destinations)
                fix = f"Routes send to {', '.join(sorted(destinations)) or 'nobody'}"
                place = (*at, "expect", "send_to")
                yield _finding(document, place, test, "unknown-destination", message, fix, near)


def untested(routes: Sequence[CompiledRoute], matched: Collection[str]) -> Iterator[Finding]:
    """Routes that match in no test; none where there are no tests at all."""
    for route in routes:
        if not route.route.disabled and route.route.name not in matched:
            yield Finding(
                file=route.file,
                line=route.line,
                column=1,
                key=route.route.name,
                message="no test has an object that this route takes",
                kind="untested",
                level="hint",
                fix="Add one beside the rules (*.test.yaml)",
            )


def _finding(
    document: Document,
    path: tuple[Step, ...],
    test: Scenario,
    kind: str,
    message: str,
    fix: str,
    suggestion: str | None = None,
) -> Finding:
    place = document.problem(path, "")
    return Finding(
        file=place.file,
        line=place.line,
        column=place.column,
        key=test.name,
        message=message,
        suggestion=suggestion,
        kind=kind,
        fix=fix,
    )
