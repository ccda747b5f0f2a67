"""The tables of the rules' versions: when which was in force, and what a shadow would have done."""

from sqlalchemy import BigInteger, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from router.ledger.models import OBJECT_ID, ROW_ID, LedgerTable

VERSION = String(64).with_variant(String(64, collation="C"), "postgresql")


class RuleActivation(LedgerTable):
    """A version put in force; that with the highest serial is the one in force."""

    __tablename__ = "rule_activations"

    serial: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[str] = mapped_column(VERSION)
    source: Mapped[str] = mapped_column(String(12))  # files | command | rollback
    who: Mapped[str | None] = mapped_column(String(128))
    why: Mapped[str | None] = mapped_column(Text)


class ShadowCount(LedgerTable):
    """How many objects a shadow would have treated the same, or differently in one way."""

    __tablename__ = "shadow_counts"

    version: Mapped[str] = mapped_column(VERSION, primary_key=True)
    shadow_version: Mapped[str] = mapped_column(VERSION, primary_key=True)
    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class ShadowDifference(LedgerTable):
    """One object that a shadow would have treated differently. No patient data; bounded."""

    __tablename__ = "shadow_differences"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    object_id: Mapped[str] = mapped_column(OBJECT_ID)
    version: Mapped[str] = mapped_column(VERSION)
    shadow_version: Mapped[str] = mapped_column(VERSION)
    kind: Mapped[str] = mapped_column(String(24))
    detail: Mapped[str] = mapped_column(Text)


def _table(model: type[LedgerTable]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


RULE_ACTIVATIONS = _table(RuleActivation)
SHADOW_COUNTS = _table(ShadowCount)
SHADOW_DIFFERENCES = _table(ShadowDifference)
