"""Storage commitment: what destinations are asked to commit, and what modalities ask of us."""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TO_ASK = sa.text("state IN ('due', 'check')")
_REQUESTED = sa.text("state = 'requested'")
_UNPROVEN = sa.text("state IN ('due', 'check', 'requested')")
_OPEN = sa.text("state = 'open'")
_UNFINISHED = sa.text("state IN ('open', 'reporting')")
_PENDING = sa.text("result IS NULL")


def _key(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    _asked_of_destinations()
    _asked_by_modalities()
    # Code before this step settles an object without asking for its proofs, and deletes it.
    op.execute("UPDATE schema_floor SET revision = '0005'")


def _asked_of_destinations() -> None:
    op.create_table(
        "commitments",
        sa.Column("delivery_id", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("object_id", _key(32), nullable=False),
        sa.Column("destination", _key(64), nullable=False),
        sa.Column("sop_class_uid", _key(64), nullable=False),
        sa.Column("sop_instance_uid", _key(64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_commitments")),
    )
    _index("ix_commitments_due", "commitments", ["destination", "state", "due_at"], _TO_ASK)
    _index("ix_commitments_request", "commitments", ["request_id"], _REQUESTED)
    _index("ix_commitments_unproven", "commitments", ["object_id"], _UNPROVEN)
    _index("ix_commitments_oldest", "commitments", ["destination", "delivered_at"], _UNPROVEN)
    op.create_table(
        "commitment_requests",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("transaction_uid", _key(64), nullable=False),
        sa.Column("destination", _key(64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("answer_by", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment_requests")),
        sa.UniqueConstraint("transaction_uid", name=op.f("uq_commitment_requests_transaction_uid")),
    )
    _index("ix_commitment_requests_open", "commitment_requests", ["answer_by"], _OPEN)


def _asked_by_modalities() -> None:
    op.create_table(
        "commitment_orders",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("transaction_uid", _key(64), nullable=False),
        sa.Column("calling_ae_title", _key(16), nullable=False),
        sa.Column("called_ae_title", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("policy", sa.String(length=12), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("answer_by", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment_orders")),
        sa.UniqueConstraint(
            "calling_ae_title",
            "transaction_uid",
            name=op.f("uq_commitment_orders_calling_ae_title_transaction_uid"),
        ),
    )
    _index("ix_commitment_orders_due", "commitment_orders", ["next_attempt_at"], _UNFINISHED)
    op.create_table(
        "commitment_order_items",
        sa.Column("order_id", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("sop_instance_uid", _key(64), nullable=False),
        sa.Column("sop_class_uid", _key(64), nullable=False),
        sa.Column("result", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint(
            "order_id", "sop_instance_uid", name=op.f("pk_commitment_order_items")
        ),
    )
    _index(
        "ix_commitment_order_items_pending",
        "commitment_order_items",
        ["sop_instance_uid"],
        _PENDING,
    )


def downgrade() -> None:
    op.execute("UPDATE schema_floor SET revision = '0002'")
    for table in (
        "commitment_order_items",
        "commitment_orders",
        "commitment_requests",
        "commitments",
    ):
        op.drop_table(table)
