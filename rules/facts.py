"""What a rule may ask about an object: its attributes, its file, and where it came from.

Values are text: decoded by the object's character set, padding taken off, numbers as written (of
binary attributes as Python prints them), one for each value of a multi-valued attribute. What
holds no text (a sequence, bytes) has one value of any text for each item, so that `present` and
`empty` can be asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from rules.tags import AttributePath, parse_path

Values: TypeAlias = tuple[str, ...]


class Attributes(Protocol):
    """The header of one object."""

    def values(self, path: AttributePath) -> Values | None:
        """The values; () when the attribute is there and empty, None when it is absent.

        Of a path with several steps: the values in all items; None when it is in none.
        """

    def vr(self, path: AttributePath) -> str | None:
        """The value representation as the object has it; None when absent or not to be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """Who sent the object, and how. AE titles without padding; the address without a port. `user`
    may also be a function that finds it out, for it is seldom asked for."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    listener: str
    user: str | Callable[[], str | None] | None = None
    tls_subject: str | None = None

    @property
    def user_name(self) -> str | None:
        """Who the sender said it is."""
        return self.user() if callable(self.user) else self.user


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """The object as a file; `size` is that of the data set in bytes."""

    sop_class_uid: str
    transfer_syntax_uid: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """What came together with the object, where its route waits for that. None: not known, as
    the bundle is of another kind."""

    study_objects: int | None = None
    study_modalities: tuple[str, ...] | None = None
    series_objects: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of one object when its route is decided.

    `received`: when it came, with a zone; also the clock of `older_than` and `newer_than`, so that
    an object is decided on alike whenever that is done. `group`: only where a route waits.
    """

    attributes: Attributes
    source: SourceFacts
    file: FileFacts
    received: datetime | None = None
    group: GroupFacts | None = None

    def __post_init__(self) -> None:
        if self.received is not None and self.received.tzinfo is None:
            raise ValueError("`received` needs a zone")


@dataclass(frozen=True, slots=True)
class MappingAttributes:
    """Attributes from a mapping of names (as rules write them) to text or texts."""

    given: Mapping[str, str | Values]
    _values: dict[AttributePath, Values] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.given.items():
            values = (value,) if isinstance(value, str) else tuple(value)
            self._values[parse_path(name)] = () if values == ("",) else values

    def values(self, path: AttributePath) -> Values | None:
        return self._values.get(path)

    def vr(self, path: AttributePath) -> str | None:
        return path.vr if path in self._values else None
