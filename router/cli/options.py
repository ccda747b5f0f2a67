"""What commands share: their options, exit codes, and the way to the site and its ledger."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from router.config import Site
    from router.ledger import Ledger

DEFAULT_SITES = ("site.yaml", "dicom-router.yaml")


class Exit(IntEnum):
    """How a command ends; docs/cli.md says the same."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="DICOM_ROUTER_CONFIG",
        show_default="./site.yaml or ./dicom-router.yaml",
        help="The site's file.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]


def own_or_group(
    ctx: typer.Context, config: Path | None, as_json: bool
) -> tuple[Path | None, bool]:
    """A sub-command's options, or those that stood before its name (the group's `ctx.obj`)."""
    source = ctx.get_parameter_source("config")
    typed = source is not None and source.name == "COMMANDLINE"
    return config if typed else ctx.obj[0], as_json or ctx.obj[1]


def fail(code: Exit, message: str) -> NoReturn:
    """End the command; the message goes to standard error."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def words_of(error: Exception) -> str:
    """What an error says to a person; of the system's, which file and why, without its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}"


def site_path(config: Path | None) -> Path:
    """The site's file: as given, or the first of the usual names in this folder."""
    if config is not None:
        return config
    found = next((Path(name) for name in DEFAULT_SITES if Path(name).is_file()), None)
    if found is None:
        fail(
            Exit.USAGE,
            f"no site: name its file with --config or DICOM_ROUTER_CONFIG, or work where "
            f"{' or '.join(DEFAULT_SITES)} lies",
        )
    return found


def open_site(config: Path | None) -> "Site":
    """The site, or the end of the command with every mistake in its file."""
    from router.config import load_site
    from rules.documents.reading import DocumentError

    try:
        return load_site(site_path(config))
    except DocumentError as error:
        fail(Exit.USAGE, str(error))


@contextmanager
def open_ledger(site: "Site") -> Iterator["Ledger"]:
    """The site's ledger, whose schema is up to date; or the end of the command."""
    from router.ledger import Ledger, LedgerError

    refuse_missing_ledger(site)
    try:
        ledger = Ledger(site.ledger)
        try:
            ledger.check()
            yield ledger
        finally:
            ledger.dispose()
    except LedgerError as error:
        fail(Exit.UNAVAILABLE, f"the ledger cannot be used: {ledger_words(site, error)}")


def ledger_words(site: "Site", error: Exception) -> str:
    """What went wrong, and with which file; a database's server is named by its own words."""
    name = site.ledger.removeprefix("sqlite:///")
    return str(error) if name == site.ledger else f"{name}: {error}"


def refuse_missing_ledger(site: "Site") -> None:
    """To look at a ledger must not make one: SQLite would create an empty file."""
    name = site.ledger.removeprefix("sqlite:///")
    if name != site.ledger and not os.path.exists(name):
        fail(Exit.UNAVAILABLE, f"there is no ledger {name} yet: has this router ever run?")


def is_terminal() -> bool:
    """Whether a person watches standard output."""
    return sys.stdout.isatty()
