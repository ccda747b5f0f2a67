"""The ledger's tables of what is compared: runs of reconciliation and what they found, and what
modalities say they have made (performed procedure steps)."""

from sqlalchemy import BigInteger, Index, Integer, String, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from router.ledger.models import OBJECT_ID, ROW_ID, UID, LedgerTable
from router.ledger.models_commitment import AE_TITLE, NAME

_TO_CHECK = text("check_at IS NOT NULL")
_OF_STUDY = text("study_instance_uid IS NOT NULL")


class Reconciliation(LedgerTable):
    """One look at all that a destination should have of a range of receptions."""

    __tablename__ = "reconciliations"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    destination: Mapped[str] = mapped_column(NAME)
    state: Mapped[str] = mapped_column(String(12))  # running | done
    range_start: Mapped[str] = mapped_column(OBJECT_ID)  # ids, or beginnings of ids
    range_end: Mapped[str] = mapped_column(OBJECT_ID)
    position: Mapped[str] = mapped_column(OBJECT_ID)  # where to go on
    until: Mapped[int] = mapped_column(BigInteger)  # what was delivered later is left alone
    studies: Mapped[int] = mapped_column(Integer)
    objects: Mapped[int] = mapped_column(Integer)
    missing: Mapped[int] = mapped_column(Integer)
    changed: Mapped[int] = mapped_column(Integer)
    waiting: Mapped[int] = mapped_column(Integer)  # not there, and still in the queue
    unknown: Mapped[int] = mapped_column(Integer)  # cannot be asked for
    incomplete: Mapped[int] = mapped_column(Integer)  # studies of which more was announced
    resent: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer)  # times in a row that it did not tell
    reason: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_reconciliations_destination", "destination", "id"),)


class ReconciliationFinding(LedgerTable):
    """An object that was missing or changed, or a study of which not all came. No patient data."""

    __tablename__ = "reconciliation_findings"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    run_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(12))  # missing | changed | unknown | incomplete
    study_instance_uid: Mapped[str] = mapped_column(UID)
    sop_instance_uid: Mapped[str | None] = mapped_column(UID)
    delivery_id: Mapped[int | None] = mapped_column(BigInteger)
    why: Mapped[str] = mapped_column(String(255))

    __table_args__ = (Index("ix_reconciliation_findings_run", "run_id", "study_instance_uid"),)


class PerformedStep(LedgerTable):
    """A performed procedure step of a modality (MPPS, PS3.4 F.7): how many instances it made."""

    __tablename__ = "performed_steps"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    calling_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    source: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(12))  # in progress | completed | discontinued
    study_instance_uid: Mapped[str | None] = mapped_column(UID)
    instances: Mapped[int] = mapped_column(Integer)
    lacking: Mapped[int | None] = mapped_column(Integer)  # not received; null: not looked for yet
    received_at: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    check_at: Mapped[int | None] = mapped_column(BigInteger)  # when to look for them

    __table_args__ = (
        Index(
            "ix_performed_steps_check",
            "check_at",
            sqlite_where=_TO_CHECK,
            postgresql_where=_TO_CHECK,
        ),
        Index(
            "ix_performed_steps_study",
            "study_instance_uid",
            sqlite_where=_OF_STUDY,
            postgresql_where=_OF_STUDY,
        ),
    )


class PerformedInstance(LedgerTable):
    """One SOP instance that a performed step made."""

    __tablename__ = "performed_instances"

    step_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    series_instance_uid: Mapped[str | None] = mapped_column(UID)


def _table(model: type[LedgerTable]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


RECONCILIATIONS = _table(Reconciliation)
RECONCILIATION_FINDINGS = _table(ReconciliationFinding)
PERFORMED_STEPS = _table(PerformedStep)
PERFORMED_INSTANCES = _table(PerformedInstance)
