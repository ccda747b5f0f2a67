"""Bringing the schema forward (Alembic), and telling whether it is.

The migration scripts lie in `alembic/` at the repository's root, and in the wheel inside this
package's parent as `_alembic`. Steps are expand, deploy, contract: the old code keeps running.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

import router
from router.ledger.errors import LedgerRefused, SchemaOutdated

NEWEST_REVISION = "0006"
"""The newest of the scripts, written here because Alembic takes long to import, and every command
asks. A test holds it to the scripts."""
ADVISORY_LOCK = 0x64726F75  # "drou": two pods that migrate at once take turns


def scripts_folder() -> Path:
    """Where env.py and versions/ are: in the wheel, or in the checkout."""
    package = Path(router.__file__).resolve().parent
    for folder in (package / "_alembic", package.parent / "alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise LedgerRefused("the migration scripts are not installed")


def upgrade_schema(conn: Connection) -> None:
    """Run the missing migrations in this connection's transaction."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0"))
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    found = current_revision(conn)
    if found == NEWEST_REVISION:
        return
    refuse_later_version(found)
    from alembic.config import Config

    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def check_schema(conn: Connection) -> None:
    """Raise SchemaOutdated unless the database is at the newest migration."""
    found = current_revision(conn)
    if found == NEWEST_REVISION:
        return
    if found is None:
        raise SchemaOutdated("the ledger is empty: run `dicom-router db upgrade`")
    refuse_later_version(found)
    raise SchemaOutdated(
        f"the ledger is at revision {found}, this version needs {NEWEST_REVISION}: "
        "run `dicom-router db upgrade`"
    )


def refuse_later_version(found: str | None) -> None:
    """Raise LedgerRefused for a revision that is not among the scripts."""
    if found is not None and found not in _revisions():
        raise LedgerRefused(
            f"the ledger is at revision {found}, which this version does not know: "
            "a later version of dicom-router has upgraded it"
        )


def current_revision(conn: Connection) -> str | None:
    """The revision the database says it is at; None before the first upgrade."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    found: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _revisions() -> list[str]:
    from alembic.script import ScriptDirectory

    walked = ScriptDirectory(str(scripts_folder())).walk_revisions()
    return [script.revision for script in walked]
