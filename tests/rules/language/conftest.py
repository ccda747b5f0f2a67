"""Rules as a user types them, and the facts of an object as a test gives them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from textwrap import dedent, indent

import pytest

from rules.facts import Facts, FileFacts, GroupFacts, MappingAttributes, SourceFacts
from rules.loading import rules_of_texts
from rules.matching.names import GROUP
from rules.routes import RouteTable, match

RECEIVED = "2026-03-31T12:00:00+00:00"  # a Tuesday
Given = Mapping[str, str | tuple[str, ...]]

SOURCE = {
    "calling_ae_title": "CT01",
    "called_ae_title": "ROUTER",
    "address": "10.1.2.3",
    "listener": "main",
}
FILE = {
    "sop_class": "1.2.840.10008.5.1.4.1.1.2",
    "transfer_syntax": "1.2.840.10008.1.2.1",
    "size": "525000",
}


def _facts_of(given: Given) -> Facts:
    source = dict(SOURCE)
    file = dict(FILE)
    group = {name: given[name] for name in GROUP if name in given}
    attributes: dict[str, str | tuple[str, ...]] = {}
    for name, value in given.items():
        if name.startswith("source."):
            source[name.removeprefix("source.")] = str(value)
        elif name in FILE:
            file[name] = str(value)
        elif name != "received" and name not in GROUP:
            attributes[name] = value
    return Facts(
        attributes=MappingAttributes(attributes),
        source=SourceFacts(**source),
        file=FileFacts(
            sop_class_uid=file["sop_class"],
            transfer_syntax_uid=file["transfer_syntax"],
            size=int(file["size"]),
        ),
        received=datetime.fromisoformat(str(given.get("received", RECEIVED))),
        group=_group(group) if group else None,
    )


def _group(given: Given) -> GroupFacts:
    def count(name: str) -> int | None:
        return int(str(given[name])) if name in given else None

    modalities = given.get("study.modalities")
    return GroupFacts(
        study_objects=count("study.objects"),
        study_modalities=None if modalities is None else tuple(modalities),
        series_objects=count("series.objects"),
    )


@pytest.fixture(scope="session")
def facts_of() -> Callable[[Given], Facts]:
    """Facts by their names in rules; what is not given of source and file is a CT's."""
    return _facts_of


@pytest.fixture(scope="session")
def table_of() -> Callable[[str], RouteTable]:
    """A table from the text of one file."""
    return lambda text: rules_of_texts({"10.yaml": dedent(text)})


@pytest.fixture(scope="session")
def holds() -> Callable[[str, Given], bool]:
    """Whether conditions, written as under `when`, hold for what is given."""

    def holds(when: str, given: Given) -> bool:
        text = f"routes:\n- name: it\n  send_to: there\n  when:\n{indent(dedent(when), '    ')}\n"
        return match(rules_of_texts({"10.yaml": text}), _facts_of(given)).routes == ("it",)

    return holds
