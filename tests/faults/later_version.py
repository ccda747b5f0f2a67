"""A later version of the router: a copy of this one, with a migration more."""

from __future__ import annotations

import shutil
from pathlib import Path

import router
from router.ledger.migrations import NEWEST_REVISION, scripts_folder
from tests.contracts.later_schema import LATER

_COLUMN = """    later_note: Mapped[str | None] = mapped_column(String(64), default=text("'later'"))
"""
# Its value is the statement's own: what rows bring along is listed where they are inserted.
_STEP = f'''"""One more, which expands."""

import sqlalchemy as sa

from alembic import op

revision = "{LATER}"
down_revision = "{NEWEST_REVISION}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("objects", "deliveries"):
        op.add_column(table, sa.Column("later_note", sa.String(64), nullable=True))
    op.create_table("later_things", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade() -> None:
    op.drop_table("later_things")
    for table in ("deliveries", "objects"):
        op.drop_column(table, "later_note")
'''


def later_version(folder: Path) -> dict[str, str]:
    """Make it in this folder; the environment in which `dicom-router` is that version.

    It writes `later` into the column `later_note` of each object that it records and each delivery
    that it decides upon; of what the version before it wrote, the column is NULL.
    """
    code = Path(router.__file__).resolve().parent.parent
    leave_out = shutil.ignore_patterns("__pycache__")
    for package in ("router", "rules", "workers"):
        shutil.copytree(code / package, folder / package, ignore=leave_out)
    shutil.copytree(scripts_folder(), folder / "alembic", ignore=leave_out)
    (folder / "alembic" / "versions" / f"{LATER}_later.py").write_text(_STEP)
    ledger = folder / "router" / "ledger"
    _change(ledger / "migrations.py", f'NEWEST_REVISION = "{NEWEST_REVISION}"', LATER)
    for table in ("objects", "deliveries"):
        _add_column(ledger / "models.py", table)
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


def _change(file: Path, line: str, revision: str) -> None:
    text = file.read_text()
    assert text.count(line) == 1
    file.write_text(text.replace(line, line.replace(NEWEST_REVISION, revision)))


def _add_column(file: Path, table: str) -> None:
    text, head = file.read_text(), f'    __tablename__ = "{table}"\n'
    assert text.count(head) == 1
    file.write_text(text.replace(head, head + "\n" + _COLUMN))
