"""Bringing the schema forward (Alembic), and telling whether it is.

The migration scripts lie in `alembic/` at the repository's root, and in the wheel inside this
package's parent as `_alembic`. Steps are expand, deploy, contract: the old code keeps running on
the later schema, as far down as the floor that the schema itself names (`schema_floor`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select, text

import router
from router.ledger.errors import LedgerRefused, SchemaOutdated
from router.ledger.models import SCHEMA_FLOOR

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST_REVISION = "0008"
"""The newest of the scripts, written here because Alembic takes long to import, and every command
asks. Revisions are numbers of four digits in order. Tests hold both to the scripts."""
ADVISORY_LOCK = 0x64726F75  # "drou": two pods that migrate at once take turns


def scripts_folder() -> Path:
    """Where env.py and versions/ are: in the wheel, or in the checkout."""
    package = Path(router.__file__).resolve().parent
    for folder in (package / "_alembic", package.parent / "alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise LedgerRefused("the migration scripts are not installed")


MIGRATION_LOCK_SECONDS = 10
"""A step that waits for its lock makes everybody behind it wait: rather give up and come again."""


def upgrade_schema(conn: Connection) -> None:
    """Run the missing migrations in this connection's transaction; none on a later schema."""
    _take_turns(conn)
    found = current_revision(conn)
    if found == NEWEST_REVISION:
        return
    if found is not None and found > NEWEST_REVISION:
        refuse_later_version(conn, found)
        return
    from alembic import command

    command.upgrade(_alembic(conn), "head")


def downgrade_schema(conn: Connection, revision: str) -> None:
    """Take the schema back to an earlier revision; what only later ones keep is lost."""
    _take_turns(conn)
    found = current_revision(conn)
    if found is None or not _is_revision(revision) or revision > found or revision < "0001":
        raise LedgerRefused(f"there is no way back from revision {found} to {revision}")
    if found > NEWEST_REVISION:
        raise LedgerRefused(
            f"the ledger is at revision {found}: only the version that made it knows the way back"
        )
    if revision != found:
        from alembic import command

        command.downgrade(_alembic(conn), revision)


def check_schema(conn: Connection) -> None:
    """Raise SchemaOutdated unless this version can work with the schema: its own, or a later one
    that says so."""
    found = current_revision(conn)
    if found == NEWEST_REVISION:
        return
    if found is None:
        raise SchemaOutdated("the ledger is empty: run `dicom-router db upgrade`")
    if found > NEWEST_REVISION:
        refuse_later_version(conn, found)
        return
    raise SchemaOutdated(
        f"the ledger is at revision {found}, this version needs {NEWEST_REVISION}: "
        "run `dicom-router db upgrade`"
    )


def refuse_later_version(conn: Connection, found: str) -> None:
    """Raise LedgerRefused if code of this revision may not run on the later schema `found`."""
    floor = schema_floor(conn)
    if floor is None or floor > NEWEST_REVISION:
        raise LedgerRefused(
            f"the ledger is at revision {found}, which this version ({NEWEST_REVISION}) cannot "
            f"work with: a later version of dicom-router has upgraded it"
        )


def schema_floor(conn: Connection) -> str | None:
    """The oldest revision whose code may work on this schema; None before it was written down."""
    if not inspect(conn).has_table(SCHEMA_FLOOR.name):
        return None
    found: str | None = conn.execute(select(SCHEMA_FLOOR.c.revision)).scalar()
    return found


def current_revision(conn: Connection) -> str | None:
    """The revision the database says it is at; None before the first upgrade."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    found: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _take_turns(conn: Connection) -> None:
    if conn.dialect.name == "postgresql":
        conn.execute(text("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0"))
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        conn.execute(text(f"SET LOCAL lock_timeout = '{MIGRATION_LOCK_SECONDS}s'"))


def _is_revision(text: str) -> bool:
    return len(text) == 4 and text.isdecimal()


def _alembic(conn: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.attributes["connection"] = conn
    return config
