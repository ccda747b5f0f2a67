"""What waits for a dead member of a group is found group by group, in the order of its ids."""

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MOVABLE = sa.text("state = 'waiting' AND members IS NOT NULL")


def upgrade() -> None:
    _replace("ix_deliveries_members", "ix_deliveries_movable", "members", "move_after_ms", "id")


def downgrade() -> None:
    _replace("ix_deliveries_movable", "ix_deliveries_members")


def _replace(old: str, new: str, *columns: str) -> None:
    op.create_index(
        new,
        "deliveries",
        ["destination", *columns],
        sqlite_where=_MOVABLE,
        postgresql_where=_MOVABLE,
    )
    op.drop_index(old, table_name="deliveries")
