"""The ledger's tables of bundles: objects that wait for their study or series to be there."""

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, Table, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from router.ledger.models import OBJECT_ID, ROW_ID, UID, LedgerTable

ROUTE = String(128).with_variant(String(128, collation="C"), "postgresql")

_OPEN = text("state = 'open'")
_CLOSED = text("state = 'closed'")
_WAITING = text("state = 'waiting'")


class Bundle(LedgerTable):
    """What one route gathers of one study or series. At most one of them is open at a time."""

    __tablename__ = "bundles"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    route: Mapped[str] = mapped_column(ROUTE)
    level: Mapped[str] = mapped_column(String(8))  # study | series
    uid: Mapped[str] = mapped_column(UID)  # of the study or series
    state: Mapped[str] = mapped_column(String(8))  # open | closed
    objects: Mapped[int] = mapped_column(Integer)
    opened_at: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[int] = mapped_column(BigInteger)  # when the newest of them joined
    due_at: Mapped[int] = mapped_column(BigInteger)  # when it closes, if nothing joins before
    closed_at: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(String(64))  # why it is due then, or was closed
    lacks: Mapped[str | None] = mapped_column(Text)  # what is expected and not there, in words
    again: Mapped[bool] = mapped_column(Boolean)  # takes along what earlier ones had gathered

    __table_args__ = (
        Index(
            "uq_bundles_open",
            "route",
            "level",
            "uid",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index("ix_bundles_due", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_bundles_uid", "uid", "route"),
        Index("ix_bundles_closed", "closed_at", sqlite_where=_CLOSED, postgresql_where=_CLOSED),
    )


class BundleMember(LedgerTable):
    """One object in one bundle. No foreign keys: histories of both are dropped apart."""

    __tablename__ = "bundle_members"

    bundle_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    object_id: Mapped[str] = mapped_column(OBJECT_ID, primary_key=True)
    state: Mapped[str] = mapped_column(String(8))  # waiting | routed
    joined_at: Mapped[int] = mapped_column(BigInteger)
    modality: Mapped[str | None] = mapped_column(String(16))
    series_description: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        Index("ix_bundle_members_object", "object_id"),
        Index(
            "ix_bundle_members_waiting",
            "bundle_id",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
    )


def _table(model: type[LedgerTable]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


BUNDLES = _table(Bundle)
BUNDLE_MEMBERS = _table(BundleMember)
