"""What routing tells the vault: who became whom in a de-identified object.

It is written in the transaction that records the object's deliveries, by every process that
routes: nothing leaves under a profile with a vault that the vault does not know of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from router.config_vault import Vault
from router.ledger import LedgerRefused, RoutingResult, vault
from router.ledger.vault import Pair, SealedPair
from rules.edits import Edited
from rules.encoded import EncodedDataSet
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


def pairs_of(dispatch: Dispatch, original: EncodedDataSet, edited: Edited) -> list[Pair]:
    """What an object was called as it came, and is called as it leaves; nothing where its
    profile keeps nothing."""
    profile = dispatch.profile
    if profile is None or profile.vault is None:
        return []
    patient = _text(original, _PATIENT_ID)
    days = edited.days or None

    def pair(kind: vault.Kind, old: str, new: str, parent: str, **more: object) -> Pair:
        return Pair(
            project=profile.key,
            profile=dispatch.deidentify or "",
            kind=kind,
            old=old,
            new=new,
            parent=parent,
            subject=patient,
            version=profile.fingerprint,
            **more,  # type: ignore[arg-type]
        )

    study, series = _text(original, _STUDY), _text(original, _SERIES)
    found = [
        pair("study", study, edited.study_instance_uid, edited.patient_id, days=days),
        pair("series", series, edited.series_instance_uid, edited.study_instance_uid),
    ]
    if patient:
        name = _text(original, _PATIENT_NAME) if profile.vault.names else ""
        issuer = _text(original, _ISSUER)
        found.append(
            pair("patient", patient, edited.patient_id, "", issuer=issuer, name=name, days=days)
        )
    if accession := _text(original, _ACCESSION_NUMBER):
        study_now = edited.study_instance_uid
        found.append(pair("accession", accession, edited.accession_number, study_now))
    if profile.vault.instances:
        uid = _text(original, _INSTANCE)
        found.append(pair("instance", uid, edited.sop_instance_uid, edited.series_instance_uid))
    return [one for one in found if one.old]


def _text(data_set: EncodedDataSet, path: AttributePath) -> str:
    return "\\".join(data_set.values(path) or ()).strip(" \0")
