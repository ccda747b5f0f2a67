"""An encoded data set with changes laid over it: what was written or removed, level by level.

Nothing is copied until the end: `pieces` then cuts the changed elements out of the source and
puts the new ones in. Lengths of the sequences around a change follow; group lengths (retired,
PS3.5 7.2) of changed groups are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rules.encoded.charsets import CharacterSet
from rules.encoded.data_set import EncodedDataSet, Piece, Slice, charset_of
from rules.encoded.forms import UNDEFINED
from rules.encoded.level import PIXELS, Element, Level
from rules.encoded.values import is_creator, is_legible, private_vr, standard_vr, values_of
from rules.encoded.writing import (
    BeyondCharacterSet,
    Unfit,
    encode_element,
    encode_item,
    encode_value,
)
from rules.tags import Tag, TagPattern

SIGNATURES = (0x4FFE0001, 0xFFFAFFFA)
"""MAC Parameters Sequence, Digital Signatures Sequence."""
VITAL = frozenset({0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E})


class EditFailed(Exception):
    """An edit that cannot be carried out: the object is held. Names attributes, never values."""


class NeedsUnicode(EditFailed):
    """A text that the object's character set cannot hold; in Unicode the edit can be done."""


class Value(NamedTuple):
    """A VR and the encoded value."""

    vr: str
    data: bytes


class Cut(NamedTuple):
    """The source from `start` to `end` is replaced. Equal: something is put in there."""

    start: int
    tag: int
    end: int
    new: bytes


class Draft:
    """Changes to one level. Items that were asked for have drafts of their own."""

    __slots__ = (
        "_added", "_items", "_recoded", "_written", "charset", "data_set", "is_new", "level",
    )  # fmt: skip

    def __init__(
        self, data_set: EncodedDataSet, level: Level, charset: CharacterSet, *, is_new: bool = False
    ) -> None:
        self.data_set = data_set
        self.level = level
        self.charset = charset
        self.is_new = is_new
        """An item that the source does not have."""
        self._written: dict[int, Value | None] = {}
        self._recoded: set[int] = set()
        self._items: dict[int, list[Draft]] = {}
        self._added: dict[int, list[Draft]] = {}

    def at(self, steps: tuple[Tag, ...]) -> Iterator[Draft]:
        """This draft, or those of all items that the steps of a path lead to."""
        if not steps:
            yield self
            return
        number = self.number(steps[0])
        for item in self.items(number) if number is not None else ():
            yield from item.at(steps[1:])

    def items(self, tag: int) -> list[Draft]:
        """Drafts of the items of a sequence, new ones too; none where there is no sequence."""
        return [*self._there(tag), *self._added.get(tag, ())]

    def _there(self, tag: int) -> list[Draft]:
        element = self.level.find(tag)
        if tag in self._written or element is None:
            return []
        if tag not in self._items:
            if self.data_set.vr_of(self.level, tag, element) != "SQ":
                return []
            levels = self.level.items(element)
            self._items[tag] = [
                Draft(self.data_set, level, charset_of(level, self.charset)) for level in levels
            ]
        return self._items[tag]

    def number(self, tag: Tag) -> int | None:
        """The number a tag has at this level; None if its private block is not reserved."""
        found = self.data_set.tag_in(self.level, tag)
        if found is not None or tag.creator is None:
            return found
        for number, value in self._written.items():
            in_group = is_creator(number) and number >> 16 == tag.group
            if in_group and value and value.data.decode("latin-1").strip() == tag.creator:
                return tag.group << 16 | (number & 0xFF) << 8 | tag.element
        return None

    def claim(self, tag: Tag) -> int:
        """The same; where it is none, in a block that is reserved now."""
        number = self.number(tag)
        return self._reserve(tag) if number is None else number

    def current(self, tag: Tag) -> Value | None:
        """The value as it is after the edits so far."""
        number = self.number(tag)
        if number is None or number in self._written:
            return self._written.get(number) if number is not None else None
        element = self.level.find(number)
        if element is None:
            return None
        vr = self.data_set.vr_of(self.level, number, element)
        return Value(vr, self._source(element.value, element.stop))

    def values(self, tag: Tag) -> tuple[str, ...] | None:
        """The values as texts; None: absent. EditFailed where they are no texts."""
        value = self.current(tag)
        if value is None or not value.data:
            return None if value is None else ()
        vr, data = value
        if vr in _OPAQUE or (vr == "UN" and not is_legible(data)):
            raise EditFailed(f"{tag} holds no text")
        return values_of(vr, data, self.level.form, self.charset)

    def write_text(self, tag: Tag, text: str) -> None:
        """Set the element, reserving a private block where its creator has none here."""
        number = self.claim(tag)
        vr = self.vr_for(tag, number)
        try:
            self.write(number, Value(vr, encode_value(vr, text, self.level.form, self.charset)))
        except BeyondCharacterSet as unfit:
            raise NeedsUnicode(f"{tag}: {unfit}") from None
        except Unfit as unfit:
            raise EditFailed(f"{tag}: {unfit}") from None

    def recode(self, number: int, value: Value) -> None:
        """Set the element to the same text in other bytes."""
        self.write(number, value)
        self._recoded.add(number)

    def write(self, number: int, value: Value) -> None:
        """Set the element to an encoded value. One that is there already changes nothing."""
        self._items.pop(number, None)
        if number in self._recoded and value == self._written.get(number):
            return
        self._recoded.discard(number)
        element = self.level.find(number)
        self._written[number] = value
        if element is None:
            return
        same_vr = element.vr is None or element.vr.decode("latin-1") == value.vr
        if same_vr and self._source(element.value, element.stop) == value.data:
            del self._written[number]

    def vr_for(self, tag: Tag, number: int) -> str:
        """The VR to write: the dictionaries', then the one that the element has, then LO."""
        known = standard_vr(number) if tag.creator is None else private_vr(number, tag.creator)
        if known is not None:
            return self.data_set.unambiguous(known, number)
        value = self.current(tag)
        return "LO" if value is None else value.vr

    def remove(self, tag: Tag) -> None:
        number = self.number(tag)
        if number is not None:
            self.remove_number(number)

    def remove_matching(self, pattern: TagPattern) -> None:
        """Take out what matches at this level and below; EditFailed for what an object needs."""
        self.level.complete_with_pixels()
        for number in self.numbers():
            if pattern.matches(number):
                if self.is_root and (number in VITAL or 0 <= number - PIXELS <= 8):
                    raise EditFailed(f"{pattern} takes out what an object cannot be without")
                self.remove_number(number)
        for number in self._sequences():
            for item in self.items(number):
                item.remove_matching(pattern)

    @property
    def is_root(self) -> bool:
        return self.level.depth == 0 and not self.is_new

    def numbers(self) -> list[int]:
        """The tags that are at this level now, as far as it has been read."""
        gone = {tag for tag, value in self._written.items() if value is None}
        return sorted({*self.level.entries, *self._written, *self._added} - (gone - {*self._added}))

    def _sequences(self) -> set[int]:
        """The tags that may have items, as far as the level has been read."""
        written = {tag for tag, entry in self.level.entries.items() if entry[0] in _MAY_BE_SEQUENCE}
        return (written - self._written.keys()) | self._added.keys()

    def every(self) -> Iterator[tuple[Draft, int, str]]:
        """Every element at this level and below with its VR; sequences after their items."""
        self.level.complete()
        sequences = self._sequences()
        for number in self.numbers():
            for item in self.items(number) if number in sequences else ():
                yield from item.every()
            yield self, number, self.vr_at(number)

    def vr_at(self, number: int) -> str:
        """The VR of an element that is there."""
        if number not in self._written:
            element = self.level.find(number)
            if element is not None:
                return self.data_set.vr_of(self.level, number, element)
        value = self._written.get(number)
        return "SQ" if value is None else value.vr

    def append(self, tag: int, body: bytes = b"") -> Draft:
        """A new item, with these elements or empty, at the end of a sequence, which is made if it
        is not there."""
        replaced = tag in self._written
        element = None if replaced else self.level.find(tag)
        if element is not None and element.vr not in (None, b"SQ"):
            raise EditFailed(f"{tag >> 16:04X},{tag & 0xFFFF:04X} is not written as a sequence")
        level = Level(body, 0, len(body), self.level.form, depth=self.level.depth + 1)
        item = Draft(self.data_set, level, self.charset, is_new=True)
        self._added.setdefault(tag, []).append(item)
        return item

    def drop_signatures(self) -> None:
        """Take out the digital signatures of each level that changed: they sign what is not there
        any more (PS3.3 C.12.1.1.3.1)."""
        for items in self._items.values():
            for item in items:
                item.drop_signatures()
        if any(map(_can_be_signed, self.changed())):
            for tag in SIGNATURES:
                if tag in self.level.entries or self.level.holds_later(tag):
                    self.remove_number(tag)

    def changed(self) -> list[int]:
        """The tags at this level that are not as in the source."""
        below = [tag for tag, items in self._items.items() if any(map(Draft.changed, items))]
        return sorted({*self._written, *below, *self._added})

    def edited(self) -> list[int]:
        """The same without texts that are only written in other bytes."""
        below = [tag for tag, items in self._items.items() if any(map(Draft.edited, items))]
        return sorted(({*self._written} - self._recoded) | {*below, *self._added})

    def pieces(self) -> Iterator[Piece]:
        """The level, from its first element to its last, with its changes."""
        position = self.level.start
        for cut in self._cuts():
            if cut.start > position:
                yield Slice(position, cut.start - position)
            if cut.new:
                yield cut.new
            position = cut.end
        end = self.level.end if self.level.is_defined else self.level.position
        if end > position:
            yield Slice(position, end - position)

    def _cuts(self) -> list[Cut]:
        self.level.complete()
        entries = self.level.entries
        cuts = []
        groups = set()
        for tag in self.changed():
            groups.add(tag >> 16)
            new = self._encoded(tag)
            if tag in entries:
                start, end = entries[tag][1], entries[tag][4]
            else:
                after = [entry[1] for other, entry in entries.items() if other > tag]
                start = end = min(after, default=self.level.position)
            cuts.append(Cut(start, tag, end, new))
            cuts += [Cut(e[1], tag, e[4], b"") for hidden, e in self.level.strays if hidden == tag]
        for tag in (group << 16 for group in groups):
            if tag in entries and tag not in self._written:
                cuts.append(Cut(entries[tag][1], tag, entries[tag][4], b""))
        return sorted(cuts)

    def _encoded(self, tag: int) -> bytes:
        if tag in self.level.entries and tag not in self._written:
            return self._encoded_sequence(Element._make(self.level.entries[tag]), tag)
        value = self._written.get(tag)
        if tag in self._added:
            value = Value("SQ", b"".join([item._encoded_item() for item in self._added[tag]]))
        if value is None:
            return b""
        try:
            return encode_element(tag, value.vr, value.data, self.level.form)
        except Unfit as unfit:
            raise EditFailed(f"{Tag(tag >> 16, tag & 0xFFFF)}: {unfit}") from None

    def _encoded_sequence(self, element: Element, tag: int) -> bytes:
        """A sequence with changed items, of undefined length wherever it was so."""
        content = b""
        if tag in self._items:
            content = b"".join([item._encoded_item() for item in self._items[tag]])
        else:
            content = self._source(element.value, element.stop)
        content += b"".join([item._encoded_item() for item in self._added.get(tag, ())])
        if element.is_undefined:
            end = self._source(element.stop, element.end)
            return self._source(element.start, element.value) + content + end
        if len(content) >= UNDEFINED:
            raise EditFailed("a sequence grows beyond 4 GiB")
        head = self._source(element.start, element.value - 4)
        return head + self.level.form.number.pack(len(content)) + content

    def _encoded_item(self) -> bytes:
        level = self.level
        if self.is_new:
            return encode_item(self.joined(), level.form)
        if not self.changed():
            return self._source(level.start - 8, level.end)
        body = self.joined()
        if not level.is_defined:
            head = self._source(level.start - 8, level.start)
            return head + body + self._source(level.position, level.end)
        head = self._source(level.start - 8, level.start - 4)
        return head + level.form.number.pack(len(body)) + body

    def joined(self) -> bytes:
        """The level with its changes, as one piece."""
        return b"".join(
            piece
            if isinstance(piece, bytes)
            else self._source(piece.offset, piece.offset + piece.length)
            for piece in self.pieces()
        )

    def remove_number(self, number: int) -> None:
        """Take out an element with all that is in it."""
        self._items.pop(number, None)
        self._added.pop(number, None)
        self._recoded.discard(number)
        if number not in self.level.entries and self.level.find(number) is None:
            self._written.pop(number, None)
        else:
            self._written[number] = None

    def _reserve(self, tag: Tag) -> int:
        """Reserve the first free block of the group (PS3.5 7.8.1)."""
        taken = {*self.level.entries, *self._written, *self._added}
        for block in range(0x10, 0x100):
            number = tag.group << 16 | block
            if number not in taken:
                creator = tag.creator or ""
                data = encode_value("LO", creator, self.level.form, self.charset)
                self._written[number] = Value("LO", data)
                return tag.group << 16 | block << 8 | tag.element
        raise EditFailed(f"{tag}: the group has no free block")

    def _source(self, start: int, end: int) -> bytes:
        return bytes(self.level.source[start:end])


_MAY_BE_SEQUENCE = frozenset({b"SQ", b"UN", None})
_OPAQUE = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ"})


def _can_be_signed(tag: int) -> bool:
    """Group lengths, the signatures themselves and trailing padding cannot."""
    return bool(tag & 0xFFFF) and tag not in SIGNATURES and tag != 0xFFFCFFFC
