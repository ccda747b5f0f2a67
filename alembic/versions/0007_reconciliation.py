"""Runs of reconciliation and their findings; what modalities say they have made."""

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TO_CHECK = sa.text("check_at IS NOT NULL")
_OF_STUDY = sa.text("study_instance_uid IS NOT NULL")
_COUNTS = (
    "studies",
    "objects",
    "missing",
    "changed",
    "waiting",
    "unknown",
    "incomplete",
    "resent",
    "failures",
)


def _key(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    _runs()
    _performed()


def _runs() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("destination", _key(64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("range_start", _key(32), nullable=False),
        sa.Column("range_end", _key(32), nullable=False),
        sa.Column("position", _key(32), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTS),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
    )
    op.create_index("ix_reconciliations_destination", "reconciliations", ["destination", "id"])
    op.create_table(
        "reconciliation_findings",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("study_instance_uid", _key(64), nullable=False),
        sa.Column("sop_instance_uid", _key(64), nullable=True),
        sa.Column("delivery_id", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_findings")),
    )
    op.create_index(
        "ix_reconciliation_findings_run",
        "reconciliation_findings",
        ["run_id", "study_instance_uid"],
    )


def _performed() -> None:
    op.create_table(
        "performed_steps",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("sop_instance_uid", _key(64), nullable=False),
        sa.Column("calling_ae_title", _key(16), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("study_instance_uid", _key(64), nullable=True),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("lacking", sa.Integer(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("check_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performed_steps")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_performed_steps_sop_instance_uid")),
    )
    for name, column, where in (
        ("check", "check_at", _TO_CHECK),
        ("study", "study_instance_uid", _OF_STUDY),
    ):
        op.create_index(
            f"ix_performed_steps_{name}",
            "performed_steps",
            [column],
            unique=False,
            sqlite_where=where,
            postgresql_where=where,
        )
    op.create_table(
        "performed_instances",
        sa.Column("step_id", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("sop_instance_uid", _key(64), nullable=False),
        sa.Column("sop_class_uid", _key(64), nullable=False),
        sa.Column("series_instance_uid", _key(64), nullable=True),
        sa.PrimaryKeyConstraint("step_id", "sop_instance_uid", name=op.f("pk_performed_instances")),
    )


def downgrade() -> None:
    for table in (
        "performed_instances",
        "performed_steps",
        "reconciliation_findings",
        "reconciliations",
    ):
        op.drop_table(table)
