"""Bundles; deliveries that may move to another member of a group, or wait for a time of day;
what a destination's limits have been used for.
"""

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("state = 'open'")
_CLOSED = sa.text("state = 'closed'")
_WAITING = sa.text("state = 'waiting'")
_MOVABLE = sa.text("state = 'waiting' AND members IS NOT NULL")


def _key(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("route", _key(128), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("uid", _key(64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("lacks", sa.Text(), nullable=True),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundles")),
    )
    op.create_index(
        "uq_bundles_open",
        "bundles",
        ["route", "level", "uid"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    _index("ix_bundles_due", "bundles", ["due_at"], _OPEN)
    _index("ix_bundles_closed", "bundles", ["closed_at"], _CLOSED)
    op.create_index("ix_bundles_uid", "bundles", ["uid", "route"], unique=False)
    op.create_table(
        "bundle_members",
        sa.Column("bundle_id", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("object_id", _key(32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=True),
        sa.Column("series_description", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("bundle_id", "object_id", name=op.f("pk_bundle_members")),
    )
    op.create_index("ix_bundle_members_object", "bundle_members", ["object_id"], unique=False)
    _index("ix_bundle_members_waiting", "bundle_members", ["bundle_id"], _WAITING)
    op.add_column("deliveries", sa.Column("members", sa.String(length=512), nullable=True))
    op.add_column("deliveries", sa.Column("move_after_ms", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("send_between", sa.String(length=255), nullable=True))
    _index("ix_deliveries_members", "deliveries", ["destination"], _MOVABLE)
    op.add_column("destinations", sa.Column("paced_until", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    # Who goes back loses the bundles, not the objects: they are routed anew, each by itself.
    op.execute("UPDATE objects SET state = 'received' WHERE state = 'bundled'")
    op.drop_column("destinations", "paced_until")
    op.drop_index("ix_deliveries_members", table_name="deliveries")
    op.drop_column("deliveries", "send_between")
    op.drop_column("deliveries", "move_after_ms")
    op.drop_column("deliveries", "members")
    op.drop_table("bundle_members")
    op.drop_table("bundles")
