"""Carries out `remove`, `keep_only` and `add_item` on a draft."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from rules.editing.templates import Template
from rules.encoded.data_set import CHARACTER_SET
from rules.encoded.draft import VITAL, Draft, EditFailed
from rules.encoded.values import is_creator
from rules.tags import AttributePath, OfVr, Tag, TagPattern

PIXEL_GROUP = 0x7FE0
PIXEL_DESCRIPTION = frozenset(
    {
        0x00280002, 0x00280003, 0x00280004, 0x00280006, 0x00280008, 0x00280009, 0x00280010,
        0x00280011, 0x00280034, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280106,
        0x00280107, 0x00280120, 0x00280121, 0x00281052, 0x00281053, 0x00281054, 0x00281101,
        0x00281102, 0x00281103, 0x00281199, 0x00281201, 0x00281202, 0x00281203, 0x00281221,
        0x00281222, 0x00281223, 0x00282110, 0x00282112, 0x00282114,
    }
)  # fmt: skip
"""What pixel data cannot be read without, and whether it is as it was (PS3.3 C.7.6.3, C.11.1)."""

Render: TypeAlias = Callable[[Template], str]
_Tree: TypeAlias = "dict[Tag, _Tree | None]"


def remove(draft: Draft, target: AttributePath | TagPattern | OfVr) -> None:
    """A path where it points; a pattern and VRs at every level. EditFailed for a pattern that
    would take out what an object cannot be without; VRs spare it."""
    if isinstance(target, TagPattern):
        draft.remove_matching(target)
    elif isinstance(target, AttributePath):
        for level in draft.at(target.steps[:-1]):
            level.remove(target.tag)
    else:
        chosen = [(level, tag) for level, tag, vr in draft.every() if vr in target.vrs]
        for level, tag in chosen:
            is_vital = level.is_root and (tag in VITAL or tag >> 16 == PIXEL_GROUP)
            if tag != CHARACTER_SET and not is_vital:
                level.remove_number(tag)


def keep_only(draft: Draft, targets: Sequence[AttributePath | TagPattern]) -> None:
    """Paths where they point, patterns at the top level; a private attribute with its creator."""
    tree: _Tree = {}
    for path in (target for target in targets if isinstance(target, AttributePath)):
        _plant(tree, path.steps)
    patterns = [target for target in targets if isinstance(target, TagPattern)]
    _prune(draft, tree, patterns)


def _plant(tree: _Tree, steps: tuple[Tag, ...]) -> None:
    """A branch that ends keeps all that is below it, whatever else is named there."""
    first, rest = steps[0], steps[1:]
    below = tree.setdefault(first, {})
    if not rest:
        tree[first] = None
    elif below is not None:
        _plant(below, rest)


def _prune(draft: Draft, tree: _Tree, patterns: Sequence[TagPattern]) -> None:
    draft.level.complete_with_pixels()
    kept: set[int] = {CHARACTER_SET}
    for tag, below in tree.items():
        number = draft.number(tag)
        if number is None:
            continue
        kept.add(number)
        for item in draft.items(number) if below is not None else ():
            _prune(item, below or {}, ())
    if draft.is_root:
        kept |= {*VITAL, *PIXEL_DESCRIPTION}
        kept |= {n for n in draft.numbers() if n >> 16 == PIXEL_GROUP}
        kept |= {n for n in draft.numbers() if any(p.matches(n) for p in patterns)}
    kept |= {n & 0xFFFF0000 | n >> 8 & 0xFF for n in kept if n & 0x10000 and not is_creator(n)}
    for number in draft.numbers():
        if number not in kept:
            draft.remove_number(number)


def add_item(draft: Draft, to: AttributePath, item: Mapping[Tag, Any], render: Render) -> None:
    """An item at the end of the sequence, in every item that its path leads to. EditFailed where
    it leads to none."""
    levels = list(draft.at(to.steps[:-1]))
    if not levels:
        raise EditFailed(f"{to}: there is no item to add it in")
    for level in levels:
        number = level.claim(to.tag)
        _fill(level.append(number), item, render)


def _fill(draft: Draft, item: Mapping[Tag, Any], render: Render) -> None:
    for tag, value in item.items():
        if isinstance(value, Template):
            draft.write_text(tag, render(value))
            continue
        for below in value:
            _fill(draft.append(draft.claim(tag)), below, render)
