"""JSON Schemas of rule files and test files, for editors: they complete words, show what they
mean, and mark what is misspelt while it is typed.

A schema sees YAML as an editor reads it (numbers are numbers there) and cannot know everything:
`dicom-router rules check` has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from rules.matching.names import NAMED
from rules.scenarios.schema import ScenarioFile
from rules.schema import RuleFile
from rules.words import (
    CONDITION_WORDS,
    EXPECT_WORDS,
    FACT_WORDS,
    GROUP_WORDS,
    PROFILE_WORDS,
    ROUTE_WORDS,
)

Schema: TypeAlias = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
SCALAR = ["string", "number", "boolean"]
OTHER_FACTS = r"^(\(?[0-9A-Fa-f]{4},\s*.+\)?|[A-Z][A-Za-z0-9]*\.[^\s].*)$"
"""Numbers, private attributes and nested paths: too many to list."""
FRAMES = (0x0000, 0x0002, 0xFFFE)
"""Groups of the message, the file and the items: not of the object."""


def rules_schema() -> Schema:
    """Of a file of the folder `rules/`."""
    schema = _schema_of(RuleFile, "dicom-router: rules")
    definitions = schema["$defs"]
    _describe(definitions["Route"], ROUTE_WORDS)
    _describe(definitions["Profile"], PROFILE_WORDS)
    definitions["Vaulting"] = {"anyOf": [{"type": "boolean"}, definitions["Vaulting"]]}
    _describe(definitions["Condition"], CONDITION_WORDS)
    definitions["Condition"] = {
        "description": "A value, or words that must all hold.",
        "anyOf": [{"type": SCALAR}, definitions["Condition"]],
    }
    facts = _facts({"$ref": "#/$defs/Condition"})
    when = definitions["When"]
    _describe(when, GROUP_WORDS)
    when["properties"] |= facts["properties"]
    when["patternProperties"] = facts["patternProperties"]
    when["additionalProperties"] = False
    return schema


def tests_schema() -> Schema:
    """Of a file *.test.yaml."""
    schema = _schema_of(ScenarioFile, "dicom-router: tests of rules")
    value = {"type": [*SCALAR, "array", "null"], "items": {"type": SCALAR}}
    schema["$defs"]["Scenario"]["properties"]["given"] = {
        "description": "Facts of the object, by the names that conditions use.",
        "type": "object",
        **_facts(value),
        "additionalProperties": False,
    }
    _describe(schema["$defs"]["Expectation"], EXPECT_WORDS)
    return schema


def _schema_of(model: type[BaseModel], title: str) -> Schema:
    schema: Schema = _loosened(model.model_json_schema(), "")
    return {"$schema": DRAFT, **schema, "title": title}


def _loosened(schema: Any, key: str) -> Any:
    """As the loader reads it: every scalar is text, and one word may stand for a list of one."""
    if isinstance(schema, list):
        return [_loosened(item, key) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: _loosened(below, name) for name, below in schema.items() if name != "title"}
    if isinstance(schema.get("title"), dict):  # a property of this name, not the title of a model
        inner["title"] = _loosened(schema["title"], "title")
    kind = inner.get("type")
    if kind == "string" and "enum" not in inner:
        return {**inner, "type": SCALAR}
    if kind == "boolean":
        return {"anyOf": [inner, {"enum": ["yes", "no", "on", "off"]}]}
    if kind in ("number", "integer"):
        return {**inner, "type": ["number", "string"]}
    if kind == "array" and key != "one_of" and "items" in inner and key not in ("routes", "tests"):
        items = inner["items"]
        pair = {"type": "array", "items": {"type": SCALAR}, "minItems": 2, "maxItems": 2}
        return {"anyOf": [items, inner, *([pair] if _is_between(items) else [])]}
    return inner


def _is_between(items: Mapping[str, Any]) -> bool:
    return str(items.get("$ref", "")).endswith("Between")


def _describe(schema: Schema, words: Mapping[str, str]) -> None:
    for name, below in schema["properties"].items():
        if name in words:
            below["description"] = words[name]


def _facts(value: Schema) -> Schema:
    """A property for each fact and each attribute of the dictionary that is in use."""
    from pydicom.datadict import get_entry, keyword_dict

    named = {name: {**value, "description": FACT_WORDS.get(name, "")} for name in NAMED}
    attributes: Schema = {}
    for keyword, tag in keyword_dict.items():
        vr, _, name, retired, _ = get_entry(tag)
        if not retired and tag >> 16 not in FRAMES:
            words = f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {name}, VR {vr}"
            attributes[keyword] = {**value, "description": words}
    return {
        "properties": {**named, **attributes},
        "patternProperties": {OTHER_FACTS: value},
    }
