"""The schemas for editors: they accept what the loader accepts, and mark what is misspelt."""

import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from rules import json_schema, words
from rules.deid.profile import Profile
from rules.matching.names import NAMED
from rules.matching.schema import Condition, When
from rules.scenarios.schema import Expectation
from rules.schema import Route

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "examples").glob("*/rules/*.yaml"))
BLOCKS = [
    block
    for page in ("rules.md", "cookbook.md")
    for block in re.findall(
        r"^```yaml\n(.*?)^```",
        (ROOT / "docs" / page).read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
]
RULES = jsonschema.Draft202012Validator(json_schema.rules_schema())
TESTS = jsonschema.Draft202012Validator(json_schema.tests_schema())


class Editor(yaml.SafeLoader):
    """Reads scalars as editors do: dates are text."""


Editor.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in found if not tag.endswith(":timestamp")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def complaints(text: str) -> list[str]:
    read: Any = yaml.load(text, Loader=Editor)
    schema = TESTS if "tests" in read else RULES
    return [error.message for error in schema.iter_errors(read)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.name}")
def test_the_examples_are_accepted(file: Path) -> None:
    assert complaints(file.read_text(encoding="utf-8")) == []


def test_the_blocks_of_the_page_are_accepted() -> None:
    blocks = [block for block in BLOCKS if block.startswith(("routes:", "tests:"))]
    assert blocks
    assert [found for block in blocks if (found := complaints(block))] == []


ROUTE = "routes: [{{name: a, send_to: x, {}}}]"


@pytest.mark.parametrize(
    "inside",
    [
        "when: {Modality: CT, Rows: 512, SliceThickness: {at_most: 1.5}}",
        "when: {'0008,0060': CT, '0029,[SIEMENS CSA HEADER],10': {present: yes}}",
        "when: {RequestAttributesSequence.StudyID: A, source.address: 10.0.0.0/8}",
        "when: {any: [{Modality: CT}, {not: {Modality: {one_of: [MR, US]}}}]}",
        "when: {StudyDate: {between: [2020-01-01, 2021-01-01]}}",
        "edits: [{set: {StudyID: 5}}, {remove: private}, {upper: [PatientID]}]",
        "stop: yes, record: false, priority: stat",
    ],
)
def test_what_may_be_written_is_accepted(inside: str) -> None:
    assert complaints(ROUTE.format(inside)) == []


@pytest.mark.parametrize(
    "inside",
    [
        "when: {Modallity: CT}",
        "when: {Modality: {on_of: [CT]}}",
        "when: {source.adress: 10.0.0.1}",
        "edit: []",
        "edits: [{sett: {StudyID: A}}]",
        "priority: urgent",
        "stop: maybe",
    ],
)
def test_what_is_misspelt_is_marked(inside: str) -> None:
    assert complaints(ROUTE.format(inside))


@pytest.mark.parametrize(
    ("vault", "fine"),
    [("true", True), ("{names: true, instances: false}", True), ("maybe", False), ("[]", False)],
)
def test_a_profile_has_a_vault_or_has_none(vault: str, fine: bool) -> None:
    assert (complaints(f"profiles: {{a: {{key: k, vault: {vault}}}}}") == []) is fine


def test_tests_are_checked_too() -> None:
    text = "tests: [{{name: a, given: {{{}: CT}}, expect: {{{}: x}}}}]"
    assert complaints(text.format("Modality", "send_to")) == []
    assert complaints(text.format("Modallity", "send_to"))
    assert complaints(text.format("Modality", "sent_to"))


def keys(model: Any) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


@pytest.mark.parametrize(
    ("described", "known"),
    [
        (words.ROUTE_WORDS, keys(Route)),
        (words.PROFILE_WORDS, keys(Profile)),
        (words.CONDITION_WORDS, keys(Condition)),
        (words.GROUP_WORDS, keys(When)),
        (words.FACT_WORDS, set(NAMED)),
        (words.EXPECT_WORDS, keys(Expectation)),
    ],
)
def test_every_word_has_its_sentence(described: dict[str, str], known: set[str]) -> None:
    assert known <= set(described)
