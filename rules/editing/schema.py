"""The edits of a route as models: each is a mapping with one key, the edit's word.

What an edit means is said here once; `rules.edits` carries it out. For all of them:

* a path with dots changes the attribute in every item that is there, and makes no items;
* an edit that cannot be carried out raises, and the object is held: it never goes out half edited;
* what a prefix, suffix, replace, upper, lower or strip does not find, or finds empty, it leaves so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    model_validator,
)

from rules.documents.problems import Mistake, suggest
from rules.documents.reading import Section
from rules.editing.schema_keyed import Hash, NewUid, ShiftDates
from rules.editing.schema_lookup import Lookup, Map
from rules.editing.schema_pixels import Burn, TransferSyntax
from rules.editing.schema_structure import AddItem, Charset, KeepOnly, Remove
from rules.editing.values import (
    OPAQUE,
    Assignments,
    Paths,
    ReadablePath,
    WritablePath,
    check_values,
    removable,
)
from rules.matching.patterns import Pattern, Substitution, compile_pattern, parse_substitution


class Set(Section):
    """Write these values, whether the attribute is there or not. A field that the object lacks
    is an error; one that is empty gives nothing."""

    values: Assignments = Field(alias="set")

    @model_validator(mode="after")
    def _fitting(self) -> Set:
        check_values("set", self.values)
        return self


class SetIfMissing(Section):
    """Write these values where the attribute is absent or empty."""

    values: Assignments = Field(alias="set_if_missing")

    @model_validator(mode="after")
    def _fitting(self) -> SetIfMissing:
        check_values("set_if_missing", self.values)
        return self


class FromTo(Section):
    """Of a nested source, the values of all items one after another; a nested target is written in
    every item."""

    source: ReadablePath = Field(alias="from")
    target: WritablePath = Field(alias="to")

    @model_validator(mode="after")
    def _two_ends(self) -> FromTo:
        if self.source.vr in OPAQUE:
            raise Mistake(f"{self.source} holds no text (its VR is {self.source.vr})", at=("from",))
        if self.source == self.target:
            raise Mistake("both ends are the same attribute", at=("to",))
        return self


class Copy(Section):
    """Write the source's value to the target, too. An absent source is an error."""

    ends: FromTo = Field(alias="copy")


class Move(Section):
    """Copy, then remove the source."""

    ends: FromTo = Field(alias="move")

    @model_validator(mode="after")
    def _leaves_a_valid_object(self) -> Move:
        try:
            removable(str(self.ends.source))
        except Mistake as mistake:
            raise Mistake(str(mistake), at=("move", "from")) from None
        return self


class Prefix(Section):
    """Put a text before every value."""

    values: Assignments = Field(alias="prefix")


class Suffix(Section):
    """Put a text after every value."""

    values: Assignments = Field(alias="suffix")


class Replacement(Section):
    """Every match of `pattern` in every value becomes `text`, where \\1 stands for a group."""

    tag: WritablePath
    pattern: str = Field(min_length=1)
    text: str = Field(alias="with")
    _compiled: Pattern = PrivateAttr()
    _substitution: Substitution = PrivateAttr()

    @model_validator(mode="after")
    def _sound(self) -> Replacement:
        self._compiled = compile_pattern(self.pattern, at=("pattern",))
        groups = self._compiled.groups
        self._substitution = parse_substitution(self.text, groups, at=("with",))
        return self

    def apply(self, value: str) -> str:
        """The value with every match replaced."""
        return self._compiled.sub(self._substitution, value)


class Replace(Section):
    """Replace by a regular expression (RE2: linear time, so no back references in the pattern)."""

    replacement: Replacement = Field(alias="replace")


class Upper(Section):
    """Make capitals."""

    paths: Paths = Field(alias="upper")


class Lower(Section):
    """Make small letters."""

    paths: Paths = Field(alias="lower")


class Strip(Section):
    """Take blanks off both ends of every value."""

    paths: Paths = Field(alias="strip")


EDITS: dict[str, type[Section]] = {
    "set": Set,
    "set_if_missing": SetIfMissing,
    "remove": Remove,
    "keep_only": KeepOnly,
    "copy": Copy,
    "move": Move,
    "prefix": Prefix,
    "suffix": Suffix,
    "replace": Replace,
    "upper": Upper,
    "lower": Lower,
    "strip": Strip,
    "lookup": Lookup,
    "map": Map,
    "hash": Hash,
    "shift_dates": ShiftDates,
    "new_uid": NewUid,
    "add_item": AddItem,
    "charset": Charset,
    "transfer_syntax": TransferSyntax,
    "burn": Burn,
}


def _one_word(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    if len(value) != 1:
        raise Mistake(f"an edit has one word, this one has {len(value)}: begin each with a dash")
    word = next(iter(value))
    if word not in EDITS:
        near = suggest(word, EDITS)
        known = "" if near else f"; known are {', '.join(EDITS)}"
        raise Mistake(f"there is no edit of this name{known}", at=(word,), suggestion=near)
    return value


def _word(value: object) -> str | None:
    if isinstance(value, Mapping):
        return next(iter(value), None)
    return next((word for word, model in EDITS.items() if isinstance(value, model)), None)


Edit: TypeAlias = Annotated[
    Annotated[Set, Tag("set")]
    | Annotated[SetIfMissing, Tag("set_if_missing")]
    | Annotated[Remove, Tag("remove")]
    | Annotated[KeepOnly, Tag("keep_only")]
    | Annotated[Copy, Tag("copy")]
    | Annotated[Move, Tag("move")]
    | Annotated[Prefix, Tag("prefix")]
    | Annotated[Suffix, Tag("suffix")]
    | Annotated[Replace, Tag("replace")]
    | Annotated[Upper, Tag("upper")]
    | Annotated[Lower, Tag("lower")]
    | Annotated[Strip, Tag("strip")]
    | Annotated[Lookup, Tag("lookup")]
    | Annotated[Map, Tag("map")]
    | Annotated[Hash, Tag("hash")]
    | Annotated[ShiftDates, Tag("shift_dates")]
    | Annotated[NewUid, Tag("new_uid")]
    | Annotated[AddItem, Tag("add_item")]
    | Annotated[Charset, Tag("charset")]
    | Annotated[TransferSyntax, Tag("transfer_syntax")]
    | Annotated[Burn, Tag("burn")],
    Discriminator(
        _word,
        custom_error_type="edit",
        custom_error_message="expected an edit such as `prefix: {PatientID: EH-}`",
    ),
    BeforeValidator(_one_word),
]


def edits_key(edits: Sequence[Edit], *, record: bool, profile: str = "") -> str:
    """A short name for what these edits, and then the profile of this fingerprint, make of any
    object; the same text for the same edits, tables and keys, in every process and version.
    Without either it is empty: the object is sent as it came."""
    if not edits and not profile:
        return ""
    written = [edit.model_dump(mode="json", by_alias=True) for edit in edits]
    beside = [text for edit in edits if (text := _beside(edit))]
    beside += [profile] if profile else []
    text = json.dumps([written, record, *beside], sort_keys=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _beside(edit: Edit) -> str:
    """What an edit depends on beside its own text."""
    match edit:
        case Lookup():
            return edit.replacing.digest
        case Hash():
            return edit.hashing.fingerprint
        case NewUid():
            return edit.renumbering.fingerprint
        case ShiftDates():
            return edit.shifting.fingerprint
        case _:
            return ""
