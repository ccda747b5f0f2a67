"""`dicom-router rules test`: the tests that lie beside the rules."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import say_json, shown
from router.cli.rules.folder import FolderArgument, chosen_rules, count, read_sample

if TYPE_CHECKING:
    from rules.scenarios import Result


def run_tests(
    folder: FolderArgument = None,
    config: ConfigOption = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the results as JUnit XML.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the tests that lie beside the rules (*.test.yaml).

    Exits with 0 if all pass, 1 if one fails, 2 if a file cannot be used.
    """
    from rules.documents import DocumentError
    from rules.loading import scenario_files
    from rules.scenarios import run_scenarios

    rules = chosen_rules(folder, config)
    try:
        table = rules.load()
        results = run_scenarios(table, scenario_files(rules.folder), read_sample=read_sample)
    except DocumentError as error:
        fail(Exit.USAGE, str(error))
    if junit is not None:
        _write_junit(junit, results)
    if as_json:
        say_json([{"passed": result.passed, "result": result} for result in results])
    else:
        _say_results(rules.folder, results)
    if not all(result.passed for result in results):
        raise typer.Exit(Exit.FAILED)


def _say_results(folder: Path, results: "Sequence[Result]") -> None:
    for result in results:
        typer.echo(f"{'pass' if result.passed else 'FAIL'}  {result.name}")
        if not result.passed:
            typer.echo(f"      {result.file}:{result.line}")
        for difference in result.differences:
            typer.echo(f"      {shown(difference)}")
    failed = sum(not result.passed for result in results)
    passed = len(results) - failed
    if results:
        typer.echo(f"{count(len(results), 'test')}: {passed} passed, {failed} failed")
    else:
        typer.echo(f"{folder}: no tests (files *.test.yaml)")


def _write_junit(path: Path, results: "Sequence[Result]") -> None:
    from xml.etree import ElementTree

    failed = sum(not result.passed for result in results)
    counts = {"tests": str(len(results)), "failures": str(failed)}
    suites = ElementTree.Element("testsuites", counts)
    for file in dict.fromkeys(result.file for result in results):
        own = [result for result in results if result.file == file]
        failures = sum(not result.passed for result in own)
        suite = ElementTree.SubElement(
            suites, "testsuite", name=file, tests=str(len(own)), failures=str(failures)
        )
        for result in own:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                name=result.name,
                classname=file,
                file=file,
                line=str(result.line),
            )
            if not result.passed:
                differences = [shown(difference) for difference in result.differences]
                told = ElementTree.SubElement(case, "failure", message=differences[0])
                told.text = "\n".join(differences)
    try:
        ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        fail(Exit.FAILED, f"cannot write {path}: {error.strerror}")
