"""`dicom-router rules check`: every mistake, and what cannot be meant."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption
from router.cli.render import say_json
from router.cli.rules.folder import FolderArgument, chosen_rules, count

if TYPE_CHECKING:
    from rules.documents import Problem
    from rules.routes import RouteTable


def check(
    folder: FolderArgument = None,
    config: ConfigOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the rules: every mistake with its place, and warnings about what cannot be meant.

    Exits with 0 if the rules can be used, 2 if not, 1 for warnings with --strict.
    """
    from rules.documents import DocumentError
    from rules.lint import lint

    rules = chosen_rules(folder, config)
    table: RouteTable | None = None
    mistakes: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    try:
        table = rules.load()
        warnings = lint(table, destinations=rules.to_be_used)
    except DocumentError as error:
        mistakes = error.problems
    if as_json:
        say_json({"folder": rules.folder, "mistakes": mistakes, "warnings": warnings})
    else:
        _say_check(rules.folder, table, mistakes, warnings)
    if mistakes:
        raise typer.Exit(Exit.USAGE)
    if warnings and strict:
        raise typer.Exit(Exit.FAILED)


def _say_check(
    folder: Path,
    table: "RouteTable | None",
    mistakes: "Sequence[Problem]",
    warnings: "Sequence[Problem]",
) -> None:
    for mistake in mistakes:
        typer.echo(str(mistake), err=True)
    for warning in warnings:
        typer.echo(f"{warning} [warning]", err=True)
    if table is None:
        typer.echo(f"{folder}: {count(len(mistakes), 'mistake')}", err=True)
        return
    disabled = len(table.all_routes) - len(table.routes)
    aside = f", {disabled} of them disabled" if disabled else ""
    routes = count(len(table.all_routes), "route")
    noted = f"; {count(len(warnings), 'warning')}" if warnings else ""
    typer.echo(f"{folder}: good. {routes}{aside}, version {table.version}{noted}.")
