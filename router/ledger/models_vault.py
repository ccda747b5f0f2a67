"""The tables of the vault. What says who somebody is stands in `sealed` and `asked` alone; the
indexes are keyed (`router.vault.sealing`)."""

from sqlalchemy import BigInteger, Index, LargeBinary, String, Table, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from router.ledger.models import ROW_ID, LedgerTable

_NAME = String(64).with_variant(String(64, collation="C"), "postgresql")
_INDEX = LargeBinary(16)


class VaultEntry(LedgerTable):
    """What one thing (patient, study, series, instance …) was called, and is called now."""

    __tablename__ = "vault_entries"

    digest: Mapped[bytes] = mapped_column(_INDEX, primary_key=True)  # of all it says: kept once
    at: Mapped[int] = mapped_column(BigInteger)
    key_name: Mapped[str] = mapped_column(_NAME)  # whose secret opens it
    project: Mapped[str] = mapped_column(_NAME)  # the key that pseudonyms were made with
    profile: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(12))
    new_index: Mapped[bytes] = mapped_column(_INDEX)
    old_index: Mapped[bytes] = mapped_column(_INDEX)
    subject_index: Mapped[bytes | None] = mapped_column(_INDEX)  # whose it is
    sealed: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        Index("ix_vault_entries_new", "new_index"),
        Index("ix_vault_entries_old", "old_index"),
        Index(
            "ix_vault_entries_subject",
            "subject_index",
            sqlite_where=text("subject_index IS NOT NULL"),
            postgresql_where=text("subject_index IS NOT NULL"),
        ),
    )


class VaultKey(LedgerTable):
    """Tells whether a secret is the one that sealed entries under its name before."""

    __tablename__ = "vault_keys"

    name: Mapped[str] = mapped_column(_NAME, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(32))
    first_used_at: Mapped[int] = mapped_column(BigInteger)


class VaultAudit(LedgerTable):
    """Somebody asked the vault for something. The database refuses to change or delete a row."""

    __tablename__ = "vault_audit"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    who: Mapped[str] = mapped_column(String(128))
    why: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(12))
    outcome: Mapped[str] = mapped_column(String(24))
    entries: Mapped[int | None] = mapped_column(BigInteger)
    key_name: Mapped[str | None] = mapped_column(_NAME)  # whose secret opens `asked`
    asked: Mapped[bytes | None] = mapped_column(LargeBinary)


def _table(model: type[LedgerTable]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


VAULT_ENTRIES = _table(VaultEntry)
VAULT_KEYS = _table(VaultKey)
VAULT_AUDIT = _table(VaultAudit)
