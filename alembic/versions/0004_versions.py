"""When which version of the rules was in force, and why; what a shadow would have done."""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rule_activations",
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("version", _key(64), nullable=False),
        sa.Column("source", sa.String(length=12), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_rule_activations")),
    )
    # What was in force last stays in force.
    op.execute(
        "INSERT INTO rule_activations (serial, at, version, source) "
        "SELECT 1, activated_at, version, 'files' FROM rule_versions "
        "ORDER BY activated_at DESC, version LIMIT 1"
    )
    op.create_table(
        "shadow_counts",
        sa.Column("version", _key(64), nullable=False),
        sa.Column("shadow_version", _key(64), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", "shadow_version", "kind", name=op.f("pk_shadow_counts")),
    )
    op.create_table(
        "shadow_differences",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("object_id", _key(32), nullable=False),
        sa.Column("version", _key(64), nullable=False),
        sa.Column("shadow_version", _key(64), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_differences")),
    )


def downgrade() -> None:
    op.drop_table("shadow_differences")
    op.drop_table("shadow_counts")
    op.drop_table("rule_activations")
