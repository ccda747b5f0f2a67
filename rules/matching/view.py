"""One object as the conditions see it: every fact is read once, in the form that they compare.

Conditions with the same fact and the same form share a slot, so three hundred routes that look at
`Modality` read and fold it once for each object.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from rules.facts import Facts, Values
from rules.matching.kinds import Keys, Kind
from rules.matching.names import Fact

UNREAD: Any = object()


class View(list[Any]):
    """The slots of one object; a slot is UNREAD until a condition asks for it."""

    __slots__ = ("facts", "slots")

    def __init__(self, slots: Slots, facts: Facts) -> None:
        super().__init__(slots.blank)
        self.slots = slots
        self.facts = facts

    def read(self, slot: int) -> Any:
        value = self[slot] = self.slots.readers[slot](self)
        return value

    def get(self, slot: int) -> Any:
        value = self[slot]
        return self.read(slot) if value is UNREAD else value


Reader = Callable[[View], Any]


@dataclass(slots=True)
class Slots:
    """Hands out slots while a table is compiled."""

    readers: list[Reader] = field(default_factory=list)
    blank: list[Any] = field(default_factory=list)
    _known: dict[Hashable, int] = field(default_factory=dict)

    def raw(self, fact: Fact) -> int:
        """The values as they are; None when absent."""
        return self.slot(("raw", fact.name), lambda view: fact.read(view.facts))

    def keys(self, fact: Fact, kind: Kind) -> int:
        """All that a value may be equal to (see kinds); of several values, also all in one."""
        raw = self.raw(fact)

        def read(view: View) -> Keys:
            values: Values = view.get(raw) or ()
            if len(values) == 1:
                return kind.keys(values[0])
            each = [kind.keys(value) for value in values]
            alone = tuple(key for keys in each for key in keys)
            whole = tuple(keys[-1] for keys in each if keys)
            return (*alone, whole) if kind.splits and whole else alone

        return self.slot(("keys", kind.name, fact.name), read)

    def ordered(self, fact: Fact, kind: Kind) -> int:
        """What can be compared with a limit, one for each value."""
        raw = self.raw(fact)

        def read(view: View) -> Keys:
            return tuple(key for value in view.get(raw) or () for key in kind.keys(value)[:1])

        return self.slot(("ordered", kind.name, fact.name), read)

    def folded(self, fact: Fact) -> int:
        """The texts without difference of capitals."""
        raw = self.raw(fact)

        def read(view: View) -> Values:
            return tuple([value.casefold() for value in view.get(raw) or ()])

        return self.slot(("folded", fact.name), read)

    def answer(self, name: Hashable, holds: Callable[[View], bool]) -> Callable[[View], bool]:
        """The same question, asked once for each object: for what costs more than remembering.
        Whoever asks with the same name gets the same answer."""
        slot = self.slot(("answer", name), holds)

        def remembered(view: View) -> bool:
            known = view[slot]
            return bool(view.read(slot) if known is UNREAD else known)

        return remembered

    def slot(self, name: Hashable, read: Reader) -> int:
        """The slot of this name; `read` fills it for one object when it is asked for."""
        if name not in self._known:
            self._known[name] = len(self.readers)
            self.readers.append(read)
            self.blank.append(UNREAD)
        return self._known[name]
