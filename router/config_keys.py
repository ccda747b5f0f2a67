"""The site's keys: secrets by the names that edits give them (`hash`, `new_uid`, `shift_dates`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from router.config_values import Name, Secret

SHORTEST_KEY = 16
"""Characters. Who can try all keys can undo every pseudonym."""


def check_key(value: str) -> str:
    """A secret that cannot be guessed by trying: long enough, and not one character over again."""
    if len(value) < SHORTEST_KEY or len(set(value)) < SHORTEST_KEY // 2:
        raise ValueError(
            f"a key has at least {SHORTEST_KEY} characters, by chance: openssl rand -hex 32"
        )
    return value


#: Give its field `repr=False`.
Keys = Mapping[Name, Annotated[Secret, AfterValidator(check_key)]]
