"""What routing tells the vault: who became whom in a de-identified object.

It is written in the transaction that records the object's deliveries, by every process that
routes: nothing leaves under a profile with a vault that the vault does not know of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from router.config_vault import Vault
from router.ledger import LedgerRefused, RoutingResult, vault
from router.ledger.vault import Pair, SealedPair
from rules.edits import Edited
from rules.encoded.data_set import EncodedDataSet
from rules.tags import AttributePath, parse_path
from rules.verdict import Dispatch

if TYPE_CHECKING:
    from router.vault.sealing import VaultKeys

Sealed = Mapping[Pair, SealedPair]

_PATIENT_ID = parse_path("PatientID")
_ISSUER = parse_path("IssuerOfPatientID")
_PATIENT_NAME = parse_path("PatientName")
_ACCESSION_NUMBER = parse_path("AccessionNumber")
_STUDY = parse_path("StudyInstanceUID")
_SERIES = parse_path("SeriesInstanceUID")
_INSTANCE = parse_path("SOPInstanceUID")


class Vaulting:
    """The site's vault as routing writes it. Safe to use from many threads."""

    def __init__(self, settings: Vault | None) -> None:
        self.settings = settings
        self._keys = None if settings is None else _keys(settings)
        self._known = False

    def refusal(self, connection: Connection) -> str | None:
        """Why nothing can be kept now; the ledger is asked until it knows our key."""
        if self._keys is None:
            return "the site has no vault"
        key = self._keys.sealing
        if not self._known and key.name in self._keys.strangers(vault.fingerprints(connection)):
            return f"the secret of the vault's key {key.name} is not the one that sealed before"
        return None

    def sealed(self, results: Iterable[RoutingResult]) -> Sealed:
        """What a batch tells, each pair once. Before its transaction: sealing takes time."""
        pairs = dict.fromkeys(pair for result in results for pair in result.pairs)
        if not pairs or self._keys is None:
            return {}
        return dict(zip(pairs, self._keys.seal(pairs), strict=True))

    def keep(
        self,
        connection: Connection,
        sealed: Sealed,
        results: Sequence[RoutingResult],
        recorded: Collection[str],
    ) -> None:
        """What the recorded ones of these results tell; the last thing in their transaction."""
        if not sealed or self._keys is None:
            return
        key, known = self._keys.sealing, self._known
        if not known and vault.ensure_key(connection, key.name, key.fingerprint) != key.fingerprint:
            raise LedgerRefused(f"another secret has sealed as {key.name} just now")
        told = (pair for one in results if one.object_id in recorded for pair in one.pairs)
        vault.keep(connection, [sealed[pair] for pair in dict.fromkeys(told)])

    def kept(self, sealed: Sealed) -> None:
        """The transaction is committed, and the ledger knows our key."""
        self._known = self._known or bool(sealed)


def _keys(settings: Vault) -> VaultKeys:
    from router.vault.sealing import VaultKeys  # 6 MB that most sites never need

    return VaultKeys(settings)


def pairs_of(dispatch: Dispatch, original: EncodedDataSet, edited: Edited) -> tuple[Pair, ...]:
    """What an object was called as it came, and is called as it leaves; nothing where its
    profile keeps nothing."""
    profile = dispatch.profile
    if profile is None or profile.vault is None:
        return ()
    series = _Series(
        project=profile.key,
        profile=dispatch.deidentify or "",
        version=profile.fingerprint,
        patient=(_text(original, _PATIENT_ID), edited.patient_id),
        issuer=_text(original, _ISSUER),
        name=_text(original, _PATIENT_NAME) if profile.vault.names else "",
        study=(_text(original, _STUDY), edited.study_instance_uid),
        accession=(_text(original, _ACCESSION_NUMBER), edited.accession_number),
        series=(_text(original, _SERIES), edited.series_instance_uid),
        days=edited.days or None,
    )
    above = _above(series)
    if not profile.vault.instances:
        return above
    names = _text(original, _INSTANCE), edited.sop_instance_uid
    return (*above, series.pair("instance", names, parent=edited.series_instance_uid))


@dataclass(frozen=True, slots=True)
class _Series:
    """What all objects of a series tell alike; names are as they were and as they are now."""

    project: str
    profile: str
    version: str
    patient: tuple[str, str]
    issuer: str
    name: str
    study: tuple[str, str]
    accession: tuple[str, str]
    series: tuple[str, str]
    days: int | None

    def pair(
        self,
        kind: vault.Kind,
        names: tuple[str, str],
        *,
        parent: str = "",
        issuer: str = "",
        name: str = "",
        days: int | None = None,
    ) -> Pair:
        return Pair(
            project=self.project,
            profile=self.profile,
            kind=kind,
            old=names[0],
            new=names[1],
            parent=parent,
            subject=self.patient[0],
            issuer=issuer,
            name=name,
            days=days,
            version=self.version,
        )


@lru_cache(maxsize=64)
def _above(of: _Series) -> tuple[Pair, ...]:
    """The pairs of patient, study and series. Kept for the next object, which mostly has the same:
    what is there already is told once for a batch, and costs nothing to find out."""
    pairs = (
        of.pair("patient", of.patient, issuer=of.issuer, name=of.name, days=of.days),
        of.pair("study", of.study, parent=of.patient[1], days=of.days),
        of.pair("accession", of.accession, parent=of.study[1]),
        of.pair("series", of.series, parent=of.study[1]),
    )
    return tuple(pair for pair in pairs if pair.old)


def _text(data_set: EncodedDataSet, path: AttributePath) -> str:
    return "\\".join(data_set.values(path) or ()).strip(" \0")
