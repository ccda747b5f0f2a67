"""Conditions on what came together with an object: they can be asked when its bundle is closed."""

from __future__ import annotations

from collections.abc import Mapping

from rules.matching.names import NAMED
from rules.matching.schema import When

GROUP_FACTS = frozenset(name for name in NAMED if name.startswith(("study.", "series.")))


def asks_for_group(when: When | None) -> bool:
    """Whether a condition on a group fact is in it, at any depth."""
    if when is None:
        return False
    below = [*(when.all or ()), *(when.any or ()), *([when.not_] if when.not_ else [])]
    return bool(GROUP_FACTS & set(when.facts)) or any(asks_for_group(one) for one in below)


def without_group_facts(when: When | None) -> When | None:
    """What is left to be asked before the group is known. `any` and `not` round a group fact are
    left out as a whole: they may yet hold. None: nothing is left, every object may belong to it."""
    if when is None:
        return None
    rest: dict[str, object] = {
        name: condition for name, condition in when.facts.items() if name not in GROUP_FACTS
    }
    parts = [part for one in when.all or () if (part := without_group_facts(one)) is not None]
    if parts:
        rest["all"] = tuple(parts)
    if when.any is not None and not any(asks_for_group(one) for one in when.any):
        rest["any"] = when.any
    if when.not_ is not None and not asks_for_group(when.not_):
        rest["not"] = when.not_
    return _made_of(rest) if rest else None


def _made_of(parts: Mapping[str, object]) -> When:
    return When.model_validate(dict(parts))
