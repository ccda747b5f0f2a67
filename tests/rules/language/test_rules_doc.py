"""docs/rules.md has every word of the language, and its examples are rules that work."""

import re
from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import BaseModel

from rules.deid.profile import Danger, Profile
from rules.deid.table import Option
from rules.documents.reading import parse_document
from rules.editing.schema import EDITS, FromTo, Replacement
from rules.editing.schema_keyed import Hashing, Renumbering, Shifting
from rules.editing.schema_lookup import LookupTable, MappedValues
from rules.editing.schema_pixels import TARGETS, Burning, Lossy, Transcoding
from rules.editing.schema_structure import NewItem
from rules.flow_schema import Between as TimeOfDay
from rules.flow_schema import WaitFor
from rules.loading import rules_of_texts
from rules.matching.names import NAMED
from rules.matching.schema import Between, Condition, When
from rules.scenarios.schema import Expectation, Scenario, ScenarioFile
from rules.schema import Route, RuleFile
from rules.send_to import GROUPS as GROUP_WORDS
from rules.send_to import Balance, Failover, TableKey
from rules.uids import GROUPS

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
SECTIONS = dict(zip(*[iter(re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True))
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def keys(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


def explained(section: str) -> set[str]:
    """The words in the first column of a section's tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", SECTIONS[section], flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("A route", keys(Route)),
        ("Facts", set(NAMED)),
        ("Conditions", keys(Condition) | keys(When)),
        ("Edits", set(EDITS)),
        ("Tests", keys(Scenario) | keys(Expectation)),
    ],
)
def test_every_word_is_explained_and_no_other(section: str, words: set[str]) -> None:
    attributes = {"Modality", '"0008,0060"', '"0029,[SIEMENS CSA HEADER],10"'}
    attributes |= {"RequestAttributesSequence.ScheduledProcedureStepID"}
    assert explained(section) - attributes == words


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("A route", keys(RuleFile) | {"stat", "high", "routine", "low"}),
        ("Facts", set(GROUPS)),
        ("Conditions", keys(Between) | {"y", "mo", "w", "d", "h", "min"}),
        ("Edits", keys(FromTo) | keys(Replacement) | {"private"}),
        (
            "Edits",
            keys(LookupTable) | keys(MappedValues) | {"hold", "keep", "vr", "{value: UNKNOWN}"},
        ),
        ("Edits", keys(Hashing) | keys(Shifting) | keys(Renumbering) | keys(NewItem)),
        (
            "Edits",
            keys(Transcoding)
            | keys(Lossy)
            | keys(Burning)
            | {one.keyword for one in TARGETS.values()},
        ),
        (
            "Groups of destinations",
            set(GROUP_WORDS) | keys(Failover) | keys(Balance) | keys(TableKey),
        ),
        ("Waiting for a study or series", keys(WaitFor) | {"route", "hold", "rebundle"}),
        ("Windows", keys(TimeOfDay)),
        ("Profiles", keys(Profile) | set(Danger) | set(Option) - {Option.CLEAN_VISUAL_FEATURES}),
        ("YAML, and what this router makes of it", {"null", "~"}),
    ],
)
def test_the_words_inside_are_told(section: str, words: set[str]) -> None:
    assert [word for word in words if f"`{word}`" not in SECTIONS[section]] == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split(":")[0])
def test_the_blocks_are_sound(block: str) -> None:
    if block.startswith("tests:"):
        assert parse_document(block).validate(ScenarioFile).tests
    else:
        assert rules_of_texts({"block.yaml": block}).routes


def examples(section: str) -> list[str]:
    cells = re.findall(r"\| `([^`]+)` \|$", SECTIONS[section], flags=re.MULTILINE)
    return [cell.replace("\\|", "|") for cell in cells]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the lists and tables that the page names."""
    made = tmp_path_factory.mktemp("rules")
    for name in sorted(set(re.findall(r"[a-z0-9-]+\.(?:csv|txt)\b", PAGE))):
        (made / name).write_text("old,new,ward\n1,2,3\n" if name.endswith("csv") else "1\n")
    return made


@pytest.mark.parametrize("example", examples("Conditions"))
def test_an_example_of_a_condition_is_one(example: str, folder: Path) -> None:
    text = f"routes:\n- name: it\n  send_to: there\n  when:\n    {example}\n"
    assert rules_of_texts({"example.yaml": text}, folder=folder).routes


@pytest.mark.parametrize("example", examples("Edits"))
def test_an_example_of_an_edit_is_one(example: str, folder: Path) -> None:
    text = f"routes:\n- name: it\n  send_to: there\n  edits:\n  - {example}\n"
    assert rules_of_texts({"example.yaml": dedent(text)}, folder=folder).routes


def test_each_word_with_an_example_shows_itself() -> None:
    for section, words in (("Conditions", keys(Condition) - {"value"}), ("Edits", set(EDITS))):
        shown = "\n".join(examples(section))
        assert [word for word in words if f"{word}:" not in shown] == []
