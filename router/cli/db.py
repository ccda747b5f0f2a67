"""`dicom-router db`: bring the ledger's schema forward or back, or tell whether it fits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import (
    ConfigOption,
    Exit,
    JsonOption,
    fail,
    is_terminal,
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
def downgrade(
    revision: Annotated[str, typer.Argument(help="The revision to go back to, as 0004.")],
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Go, without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take the ledger's schema back to an earlier revision, with the version that made it.

    What only the later revisions keep is lost. Stop every process of the router first.
    """
    site = open_site(config)
    refuse_missing_ledger(site)
    if not yes:
        if as_json or not is_terminal():
            fail(Exit.USAGE, "what only later revisions keep is lost: say --yes")
        typer.confirm("What only the later revisions keep is lost. Go back?", abort=True)
    with _ledger(site) as ledger:
        before = ledger.revision()
        ledger.downgrade(revision)
    if as_json:
        say_json({"from": before, "to": revision})
    else:
        typer.echo(f"the ledger went from revision {before} back to {revision}")


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check that this version can work with the ledger's schema: its own, or a later one.

    Exits with 0 if it can, 1 if `db upgrade` is due, 3 if the ledger cannot be used.
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
        typer.echo(f"the ledger is at revision {revision}, {_fit(revision)}")
    if problem is not None:
        fail(Exit.FAILED, problem)


def _fit(revision: str | None) -> str:
    from router.ledger.migrations import NEWEST_REVISION

    if revision == NEWEST_REVISION:
        return "as it should be"
    return f"with which this version ({NEWEST_REVISION}) can work"


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
