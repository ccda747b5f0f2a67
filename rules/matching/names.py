"""The facts that a rule can name: attributes of the object, and those of file and source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rules.documents.problems import Mistake, suggest
from rules.facts import Facts, GroupFacts, Values
from rules.matching.kinds import (
    FLAG,
    NETWORK,
    RECEIVED,
    SIZE,
    SOP_CLASS,
    TEXT,
    TRANSFER_SYNTAX,
    WHOLE_OR_DECIMAL,
    Kind,
    kind_of_vr,
)
from rules.tags import AttributePath, parse_path
from rules.uids import NATIVE

GROUP_WORDS = ("all", "any", "not")
PREFIXES = ("source.", "study.", "series.")


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact and how its values compare. Without a kind, the object's own VR decides."""

    name: str
    kind: Kind | None
    read: Callable[[Facts], Values | None]
    path: AttributePath | None = None


def parse_fact(name: str) -> Fact:
    """The fact of this name; Mistake with the name that was meant, where one is near."""
    if name in NAMED:
        kind, read = NAMED[name]
        return Fact(name, kind, read)
    near = suggest(name, (*NAMED, *GROUP_WORDS))
    is_named = "_" in name or name.startswith(PREFIXES)
    if is_named or name.casefold() in {*GROUP_WORDS, "received"}:
        raise Mistake("there is no such fact", suggestion=near)
    try:
        path = parse_path(name)
    except Mistake as mistake:
        raise Mistake(str(mistake), suggestion=mistake.suggestion or near) from None
    kind_known = kind_of_vr(path.vr) if path.vr else None
    return Fact(str(path), kind_known, lambda facts: facts.attributes.values(path), path)


def _or_absent(value: str | None) -> Values | None:
    return None if value is None else (value,)


def _compressed(facts: Facts) -> Values:
    return ("false" if facts.file.transfer_syntax_uid in NATIVE else "true",)


def _received(facts: Facts) -> Values | None:
    return None if facts.received is None else (facts.received.isoformat(),)


def _count(number: int | None) -> Values | None:
    return None if number is None else (str(number),)


def _group(read: Callable[[GroupFacts], Values | None]) -> Callable[[Facts], Values | None]:
    return lambda facts: None if facts.group is None else read(facts.group)


GROUP: dict[str, tuple[Kind, Callable[[Facts], Values | None]]] = {
    "study.objects": (WHOLE_OR_DECIMAL, _group(lambda group: _count(group.study_objects))),
    "study.modalities": (TEXT, _group(lambda group: group.study_modalities)),
    "series.objects": (WHOLE_OR_DECIMAL, _group(lambda group: _count(group.series_objects))),
}
"""Known only where a route waits for what belongs together (`wait_for`)."""

NAMED: dict[str, tuple[Kind, Callable[[Facts], Values | None]]] = {
    "sop_class": (SOP_CLASS, lambda facts: (facts.file.sop_class_uid,)),
    "transfer_syntax": (TRANSFER_SYNTAX, lambda facts: (facts.file.transfer_syntax_uid,)),
    "size": (SIZE, lambda facts: (str(facts.file.size),)),
    "compressed": (FLAG, _compressed),
    "source.calling_ae_title": (TEXT, lambda facts: (facts.source.calling_ae_title,)),
    "source.called_ae_title": (TEXT, lambda facts: (facts.source.called_ae_title,)),
    "source.address": (NETWORK, lambda facts: (facts.source.address,)),
    "source.listener": (TEXT, lambda facts: (facts.source.listener,)),
    "source.user": (TEXT, lambda facts: _or_absent(facts.source.user_name)),
    "source.tls_subject": (TEXT, lambda facts: _or_absent(facts.source.tls_subject)),
    "received": (RECEIVED, _received),
    **GROUP,
}
