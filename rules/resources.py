"""What rules name and do not hold themselves: tables beside them, and the site's keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationInfo

from rules.documents.problems import Mistake, suggest
from rules.tables import Tables


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of the site by its name. Without the secret (rules apart from their site) nothing
    can be made with it."""

    name: str
    secret: bytes | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str:
        """Tells two secrets apart without giving either away."""
        return self.digest("fingerprint", "").hex()[:16] if self.secret else ""

    def digest(self, purpose: str, text: str) -> bytes:
        """32 bytes that only who has the secret can tell from chance; other ones for every
        purpose. KeyUnknown without the secret."""
        if self.secret is None:
            raise KeyUnknown(f"the secret of the key {self.name} is not known here")
        return hmac.digest(self.secret, f"{purpose}\0{text}".encode(), hashlib.sha256)


class StandIns(Mapping[str, str]):
    """A secret for any name, the same everywhere: to try rules out apart from their site. No
    pseudonym: nothing that is made with it may go anywhere."""

    def __getitem__(self, name: str) -> str:
        return f"not secret: {name}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class KeyUnknown(Exception):
    """A key whose secret is not at hand."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Handed to the models as the validation context `resources`. Without `keys`, any name will
    do, and what needs a secret fails when it is carried out. `vault`: whether the site has one;
    None where that is not known."""

    tables: Tables
    keys: Mapping[str, str] | None = field(default=None, repr=False)
    vault: bool | None = None

    def key(self, name: str) -> Key:
        """The site's key of this name, or Mistake."""
        if self.keys is None:
            return Key(name)
        if name not in self.keys:
            known = ", ".join(self.keys) or "none"
            message = f"the site has no key {name} (its `keys`: {known})"
            raise Mistake(message, at=("key",), suggestion=suggest(name, self.keys))
        return Key(name, self.keys[name].encode())


def resources_of(info: ValidationInfo) -> Resources:
    """What the loader handed in; nothing where a model is made without it."""
    found = (info.context or {}).get("resources")
    return found if isinstance(found, Resources) else Resources(Tables(None))
