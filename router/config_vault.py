"""The site's vault: with which secrets the ledger keeps who became whom under de-identification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from router.config_keys import Keys
from router.config_values import Name, Settings


def _at_least_one(keys: Mapping[str, str]) -> Mapping[str, str]:
    if not keys:
        raise ValueError("a vault needs a key: {vault-1: file:secrets/vault-1}")
    if len(set(keys.values())) < len(keys):
        raise ValueError("two of the keys have the same secret")
    return keys


class Vault(Settings):
    """Secrets of the vault alone, apart from those that pseudonyms are made with."""

    keys: Annotated[Keys, AfterValidator(_at_least_one)] = Field(
        repr=False, description="secrets by name; earlier ones stay to read with"
    )
    seal_with: Name | None = Field(
        None, description="the key that seals what is new; default: the only one"
    )

    @model_validator(mode="after")
    def _one_seals(self) -> Vault:
        if self.seal_with is None and len(self.keys) > 1:
            raise ValueError("which of the keys seals what is new? say `seal_with`")
        if self.seal_with is not None and self.seal_with not in self.keys:
            raise ValueError(f"`seal_with` names none of the keys: {', '.join(self.keys)}")
        return self

    @property
    def sealing_key(self) -> str:
        """The name of the key that seals what is new."""
        return self.seal_with or next(iter(self.keys))


def shared_secrets(vault: Vault | None, keys: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Keys of the vault whose secret makes pseudonyms, too: whoever may read the one could read
    the other. The vault's name of it and the message."""
    for name, secret in (vault.keys if vault is not None else {}).items():
        for other in (other for other, same in keys.items() if same == secret):
            yield name, f"the same secret as the key {other}, which makes pseudonyms"
