"""History that ends: when an object was forgotten, and room to delete its rows without locks.

Also the floor: which code may run on a schema that is later than its own.
"""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FORGOTTEN = sa.text("forgotten_at IS NOT NULL")
_NOW = {
    "sqlite": "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    "postgresql": "CAST(floor(extract(epoch FROM statement_timestamp()) * 1000) AS BIGINT)",
}


def upgrade() -> None:
    op.create_table(
        "schema_floor",
        sa.Column(
            "revision",
            sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_schema_floor")),
    )
    # The code of 0001 looks at no floor: it refuses every schema that it does not know.
    op.execute("INSERT INTO schema_floor (revision) VALUES ('0002')")
    op.add_column("objects", sa.Column("forgotten_at", sa.BigInteger(), nullable=True))
    now = _NOW[op.get_bind().dialect.name]
    op.execute(f"UPDATE objects SET forgotten_at = {now} WHERE state = 'forgotten'")
    op.create_index(
        "ix_objects_forgotten",
        "objects",
        ["forgotten_at"],
        unique=False,
        sqlite_where=_FORGOTTEN,
        postgresql_where=_FORGOTTEN,
    )
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.drop_constraint(op.f("fk_deliveries_payload_id"), type_="foreignkey")


def downgrade() -> None:
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.create_foreign_key(
            op.f("fk_deliveries_payload_id"), "objects", ["payload_id"], ["id"]
        )
    op.drop_index(
        "ix_objects_forgotten",
        table_name="objects",
        sqlite_where=_FORGOTTEN,
        postgresql_where=_FORGOTTEN,
    )
    op.drop_column("objects", "forgotten_at")
    op.drop_table("schema_floor")
