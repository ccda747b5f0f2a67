"""`dicom-router rules check`: every mistake, and what cannot be meant."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import say_json
from router.cli.rules.folder import FolderArgument, Rules, chosen_rules, count, read_sample

if TYPE_CHECKING:
    from rules.lint import Finding
    from rules.routes import RouteTable

LEVELS = ("error", "warning", "hint")


def check(
    folder: FolderArgument = None,
    config: ConfigOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", help="Leave out findings of this kind; may be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the rules: every mistake with its place, and what cannot be meant, each with a fix.

    Exits with 0 if the rules can be used, 2 if not, 1 for warnings with --strict.
    """
    from rules.documents.reading import DocumentError
    from rules.lint import KINDS, in_order, lint, mistake

    for kind in ignore or ():
        if kind not in KINDS or kind == "mistake":
            fail(Exit.USAGE, f"there is no kind {kind} to ignore; there are {', '.join(KINDS)}")
    rules = chosen_rules(folder, config)
    table: RouteTable | None = None
    try:
        table = rules.load()
        found = [*lint(table, site=rules.names()), *_of_tests(table, rules)]
    except DocumentError as error:
        found = [mistake(problem) for problem in error.problems]
    found = [one for one in in_order(found) if one.kind not in (ignore or ())]
    counts = {level: sum(one.level == level for one in found) for level in LEVELS}
    if as_json:
        version = table.version if table else None
        say_json({"folder": rules.folder, "version": version, **counts, "findings": found})
    else:
        _say(rules.folder, table, found, counts)
    if counts["error"]:
        raise typer.Exit(Exit.USAGE)
    if counts["warning"] and strict:
        raise typer.Exit(Exit.FAILED)


def _of_tests(table: "RouteTable", rules: Rules) -> "Iterator[Finding]":
    """Findings in the tests beside the rules. DocumentError for a file that is no test file."""
    from rules.lint.tests import of_tests, untested
    from rules.lint.wanted import reached
    from rules.loading import scenario_files
    from rules.scenarios.coverage import Coverage
    from rules.scenarios.running import load_scenarios, run_scenarios

    files = scenario_files(rules.folder)
    places = {name for route in table.routes for name in reached(route)}
    for path in files:
        document, tests = load_scenarios(path)
        yield from of_tests(document, tests, places)
    if files:
        coverage = Coverage(table)
        run_scenarios(table, files, read_sample=read_sample, coverage=coverage)
        yield from untested(table.routes, coverage.matched)


def _say(
    folder: Path,
    table: "RouteTable | None",
    found: "Sequence[Finding]",
    counts: dict[str, int],
) -> None:
    for finding in found:
        typer.echo(str(finding), err=True)
    if table is None:
        typer.echo(f"{folder}: {count(counts['error'], 'mistake')}", err=True)
        return
    if counts["error"]:
        typer.echo(f"{folder}: {count(counts['error'], 'mistake')} in the tests", err=True)
        return
    disabled = len(table.all_routes) - len(table.routes)
    aside = f", {disabled} of them disabled" if disabled else ""
    routes = count(len(table.all_routes), "route")
    noted = "".join(f"; {count(counts[level], level)}" for level in LEVELS[1:] if counts[level])
    typer.echo(f"{folder}: good. {routes}{aside}, version {table.version}{noted}.")
