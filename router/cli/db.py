"""`dicom-router db`: bring the ledger's schema up to date, or tell whether it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from router.cli.options import (
    ConfigOption,
    Exit,
    JsonOption,
    fail,
    open_site,
    refuse_missing_ledger,
)
from router.cli.render import say_json

if TYPE_CHECKING:
    from router.config import Site
    from router.ledger import Ledger

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Bring the ledger's schema up to date, or check that it is.",
)


@app.command()
def upgrade(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the ledger if there is none, and bring its schema to this version's.

    Safe to run again, and by several processes at once.
    """
    with _ledger(open_site(config)) as ledger:
        before = ledger.revision()
        ledger.upgrade()
        after = ledger.revision()
    if as_json:
        say_json({"from": before, "to": after})
    elif before == after:
        typer.echo(f"the ledger is at revision {after} already")
    else:
        typer.echo(f"the ledger went from {before or 'nothing'} to revision {after}")


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check that the ledger's schema is this version's.

    Exits with 0 if it is, 1 if `db upgrade` is due, 3 if the ledger cannot be used.
    """
    from router.ledger import SchemaOutdated

    site = open_site(config)
    refuse_missing_ledger(site)
    problem: str | None = None
    with _ledger(site) as ledger:
        revision = ledger.revision()
        try:
            ledger.check()
        except SchemaOutdated as error:
            problem = str(error)
    if as_json:
        say_json({"ok": problem is None, "revision": revision, "problem": problem})
    elif problem is None:
        typer.echo(f"the ledger is at revision {revision}, as it should be")
    if problem is not None:
        fail(Exit.FAILED, problem)


@contextmanager
def _ledger(site: "Site") -> Iterator["Ledger"]:
    """The site's ledger, whatever its schema; or the end of the command."""
    from router.ledger import Ledger, LedgerError

    try:
        ledger = Ledger(site.ledger)
        try:
            yield ledger
        finally:
            ledger.dispose()
    except LedgerError as error:
        fail(Exit.UNAVAILABLE, f"the ledger cannot be used: {error}")
