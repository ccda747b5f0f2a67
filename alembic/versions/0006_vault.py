"""The vault: who was made what by de-identification, sealed; and who asked for it."""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OF_SOMEBODY = sa.text("subject_index IS NOT NULL")
_ONLY_APPENDED = "the vault''s audit is only ever appended to"


def _key(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    _entries()
    _keys_and_audit()
    _forbid_changes()


def _entries() -> None:
    op.create_table(
        "vault_entries",
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("key_name", _key(64), nullable=False),
        sa.Column("project", _key(64), nullable=False),
        sa.Column("profile", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("new_index", sa.LargeBinary(16), nullable=False),
        sa.Column("old_index", sa.LargeBinary(16), nullable=False),
        sa.Column("subject_index", sa.LargeBinary(16), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_vault_entries")),
    )
    op.create_index("ix_vault_entries_new", "vault_entries", ["new_index"], unique=False)
    op.create_index("ix_vault_entries_old", "vault_entries", ["old_index"], unique=False)
    op.create_index(
        "ix_vault_entries_subject",
        "vault_entries",
        ["subject_index"],
        unique=False,
        sqlite_where=_OF_SOMEBODY,
        postgresql_where=_OF_SOMEBODY,
    )


def _keys_and_audit() -> None:
    op.create_table(
        "vault_keys",
        sa.Column("name", _key(64), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("first_used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_vault_keys")),
    )
    op.create_table(
        "vault_audit",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=12), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=True),
        sa.Column("key_name", _key(64), nullable=True),
        sa.Column("asked", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault_audit")),
    )


def _forbid_changes() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER vault_audit_no_{change.lower()} BEFORE {change} ON vault_audit "
                f"BEGIN SELECT RAISE(ABORT, '{_ONLY_APPENDED}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION vault_audit_is_appended_to() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_ONLY_APPENDED}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER vault_audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON vault_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION vault_audit_is_appended_to()"
    )


def downgrade() -> None:
    for table in ("vault_audit", "vault_keys", "vault_entries"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION vault_audit_is_appended_to()")
