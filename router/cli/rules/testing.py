"""`dicom-router rules test`: the tests that lie beside the rules."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import say_json, shown
from router.cli.rules.folder import FolderArgument, chosen_rules, count, read_sample
from router.cli.rules.junit import write_junit

if TYPE_CHECKING:
    from rules.scenarios.coverage import RouteCoverage
    from rules.scenarios.running import Result


def run_tests(
    folder: FolderArgument = None,
    config: ConfigOption = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the results as JUnit XML.")
    ] = None,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Show which routes and conditions no test has tried."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the tests that lie beside the rules (*.test.yaml).

    Exits with 0 if all pass, 1 if one fails, 2 if a file cannot be used.
    """
    from rules.documents.reading import DocumentError
    from rules.loading import scenario_files
    from rules.scenarios.coverage import Coverage
    from rules.scenarios.running import run_scenarios

    rules = chosen_rules(folder, config)
    try:
        table = rules.load()
        seen = Coverage(table)
        files = scenario_files(rules.folder)
        results = run_scenarios(table, files, read_sample=read_sample, coverage=seen)
    except DocumentError as error:
        fail(Exit.USAGE, str(error))
    if junit is not None:
        write_junit(junit, results)
    told = [{"passed": result.passed, "result": result} for result in results]
    if as_json and coverage:
        say_json({"results": told, "coverage": seen.routes()})
    elif as_json:
        say_json(told)
    else:
        _say_results(rules.folder, results)
        if coverage:
            _say_coverage(seen.routes())
    if not all(result.passed for result in results):
        raise typer.Exit(Exit.FAILED)


def _say_results(folder: Path, results: "Sequence[Result]") -> None:
    for result in results:
        typer.echo(f"{'pass' if result.passed else 'FAIL'}  {result.name}")
        if not result.passed:
            typer.echo(f"      {result.file}:{result.line}")
        for difference in result.differences:
            typer.echo(f"      {shown(difference)}")
        for line in result.why:
            typer.echo(f"        {shown(line)}")
    failed = sum(not result.passed for result in results)
    passed = len(results) - failed
    if results:
        typer.echo(f"{count(len(results), 'test')}: {passed} passed, {failed} failed")
    else:
        typer.echo(f"{folder}: no tests (files *.test.yaml)")


def _say_coverage(routes: "Sequence[RouteCoverage]") -> None:
    """Each route with the tests that it matched in, and below it what no test has tried."""
    typer.echo("")
    for one in routes:
        typer.echo(f"{one.matched:5} matched, {one.passed_by} passed by  {shown(one.route)}")
        for condition in one.conditions:
            words = f"{condition.key}: {condition.wanted}"
            if not condition.held:
                typer.echo(f"      never held:   {shown(words)}")
            if not condition.failed:
                typer.echo(f"      never failed: {shown(words)}")
    conditions = [condition for one in routes for condition in one.conditions]
    both = sum(condition.held and condition.failed for condition in conditions)
    matched = sum(bool(one.matched) for one in routes)
    typer.echo(
        f"coverage: {matched} of {count(len(routes), 'route')} matched, "
        f"{both} of {count(len(conditions), 'condition')} seen both ways"
    )
