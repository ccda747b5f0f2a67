"""The first tables: objects, deliveries, their histories, destinations, rules, leases."""

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "delivery_events",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("delivery_id", _ROW_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=True),
        sa.Column("association_id", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("took_ms", sa.BigInteger(), nullable=True),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_events")),
    )
    op.create_index(
        "ix_delivery_events_delivery_id", "delivery_events", ["delivery_id"], unique=False
    )

    op.create_table(
        "destination_slots",
        sa.Column("destination", _key(64), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("destination", "n", name=op.f("pk_destination_slots")),
    )
    op.create_table(
        "destinations",
        sa.Column("name", _key(64), nullable=False),
        sa.Column("state", sa.String(length=4), server_default="up", nullable=False),
        sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_probe_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_owner", sa.String(length=64), nullable=True),
        sa.Column("probe_until", sa.BigInteger(), nullable=True),
        sa.Column("down_since", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_destinations")),
    )
    op.create_table(
        "intake_marks",
        sa.Column("node", _key(128), nullable=False),
        sa.Column("checkpoint", _key(32), nullable=False),
        sa.Column("marked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_intake_marks")),
    )
    op.create_table(
        "leaders",
        sa.Column("name", _key(64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leaders")),
    )
    op.create_table(
        "object_events",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("object_id", _key(32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("rules_version", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_object_events")),
    )
    op.create_index("ix_object_events_object_id", "object_events", ["object_id"], unique=False)

    op.create_table(
        "objects",
        sa.Column("id", _key(32), nullable=False),
        sa.Column("derived_from", _key(32), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("listener", sa.String(length=64), nullable=True),
        sa.Column("association_id", sa.String(length=64), nullable=True),
        sa.Column("peer_address", sa.String(length=64), nullable=True),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=True),
        sa.Column("called_ae_title", sa.String(length=16), nullable=True),
        sa.Column("tls_subject", sa.String(length=256), nullable=True),
        sa.Column("sop_class_uid", _key(64), nullable=False),
        sa.Column("sop_instance_uid", _key(64), nullable=False),
        sa.Column("transfer_syntax_uid", _key(64), nullable=False),
        sa.Column("study_instance_uid", _key(64), nullable=True),
        sa.Column("series_instance_uid", _key(64), nullable=True),
        sa.Column("patient_id", sa.String(length=64), nullable=True),
        sa.Column("accession_number", sa.String(length=64), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data_set_offset", sa.Integer(), nullable=False),
        sa.Column("checksum", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("routed_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("rules_version", sa.String(length=64), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objects")),
    )
    op.create_index(
        "ix_objects_accession",
        "objects",
        ["accession_number"],
        unique=False,
        sqlite_where=sa.text("accession_number IS NOT NULL"),
        postgresql_where=sa.text("accession_number IS NOT NULL"),
    )
    op.create_index(
        "ix_objects_derived",
        "objects",
        ["derived_from"],
        unique=False,
        sqlite_where=sa.text("derived_from IS NOT NULL"),
        postgresql_where=sa.text("derived_from IS NOT NULL"),
    )
    op.create_index("ix_objects_patient", "objects", ["patient_id"], unique=False)
    op.create_index(
        "ix_objects_settled",
        "objects",
        ["settled_at"],
        unique=False,
        sqlite_where=sa.text("settled_at IS NOT NULL"),
        postgresql_where=sa.text("settled_at IS NOT NULL"),
    )
    op.create_index(
        "ix_objects_sop_instance", "objects", ["sop_instance_uid", "recorded_at"], unique=False
    )
    op.create_index("ix_objects_study", "objects", ["study_instance_uid"], unique=False)
    op.create_index(
        "ix_objects_unfinished",
        "objects",
        ["state", "recorded_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('received', 'unrouted', 'held', 'failed')"),
        postgresql_where=sa.text("state IN ('received', 'unrouted', 'held', 'failed')"),
    )

    op.create_table(
        "rule_versions",
        sa.Column("version", _key(64), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=False),
        sa.Column("texts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_rule_versions")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("object_id", _key(32), nullable=False),
        sa.Column("payload_id", _key(32), nullable=False),
        sa.Column("destination", _key(64), nullable=False),
        sa.Column("route", sa.String(length=128), nullable=False),
        sa.Column("rules_version", sa.String(length=64), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("owed_since", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["object_id"], ["objects.id"], name=op.f("fk_deliveries_object_id")
        ),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["objects.id"], name=op.f("fk_deliveries_payload_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "object_id",
            "destination",
            "generation",
            name=op.f("uq_deliveries_object_id_destination_generation"),
        ),
        postgresql_with={"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02},
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["destination", "priority", "next_attempt_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_deliveries_leased",
        "deliveries",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "ix_deliveries_open",
        "deliveries",
        ["destination", "state", "created_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'leased', 'held', 'failed')"),
        postgresql_where=sa.text("state IN ('waiting', 'leased', 'held', 'failed')"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_deliveries_open",
        table_name="deliveries",
        sqlite_where=sa.text("state IN ('waiting', 'leased', 'held', 'failed')"),
        postgresql_where=sa.text("state IN ('waiting', 'leased', 'held', 'failed')"),
    )
    op.drop_index(
        "ix_deliveries_leased",
        table_name="deliveries",
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.drop_index(
        "ix_deliveries_due",
        table_name="deliveries",
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )

    op.drop_table("deliveries")
    op.drop_table("rule_versions")
    op.drop_index(
        "ix_objects_unfinished",
        table_name="objects",
        sqlite_where=sa.text("state IN ('received', 'unrouted', 'held', 'failed')"),
        postgresql_where=sa.text("state IN ('received', 'unrouted', 'held', 'failed')"),
    )
    op.drop_index("ix_objects_study", table_name="objects")
    op.drop_index("ix_objects_sop_instance", table_name="objects")
    op.drop_index(
        "ix_objects_settled",
        table_name="objects",
        sqlite_where=sa.text("settled_at IS NOT NULL"),
        postgresql_where=sa.text("settled_at IS NOT NULL"),
    )
    op.drop_index("ix_objects_patient", table_name="objects")
    op.drop_index(
        "ix_objects_derived",
        table_name="objects",
        sqlite_where=sa.text("derived_from IS NOT NULL"),
        postgresql_where=sa.text("derived_from IS NOT NULL"),
    )
    op.drop_index(
        "ix_objects_accession",
        table_name="objects",
        sqlite_where=sa.text("accession_number IS NOT NULL"),
        postgresql_where=sa.text("accession_number IS NOT NULL"),
    )

    op.drop_table("objects")
    op.drop_index("ix_object_events_object_id", table_name="object_events")

    op.drop_table("object_events")
    op.drop_table("leaders")
    op.drop_table("intake_marks")
    op.drop_table("destinations")
    op.drop_table("destination_slots")
    op.drop_index("ix_delivery_events_delivery_id", table_name="delivery_events")

    op.drop_table("delivery_events")
