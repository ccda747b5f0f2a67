"""`dicom-router rules`: check rules, run the tests beside them, explain one object's way."""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_site
from router.cli.render import say_json, shown

if TYPE_CHECKING:
    from rules.documents import Problem
    from rules.encoded import EncodedDataSet
    from rules.facts import Facts, SourceFacts
    from rules.routes import RouteTable
    from rules.scenarios import Result
    from rules.verdict import Failure, Verdict

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check rules, run their tests, explain what they do with an object.",
)

FolderArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A folder of rule files, to look at apart from a site.",
        show_default="the rules of the site",
    ),
]
HEAD = 1 << 16  # bytes: more than the file meta information of any object takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A folder of rules and, where a site stands behind them, its destinations."""

    folder: Path
    destinations: tuple[str, ...] | None
    on_no_match: str = ""

    @property
    def to_be_used(self) -> tuple[str, ...]:
        """The destinations that only a route can send to."""
        return tuple(name for name in self.destinations or () if name != self.on_no_match)

    def load(self) -> "RouteTable":
        """DocumentError with every mistake."""
        from rules.loading import load_rules

        return load_rules(self.folder, destinations=self.destinations)


@app.command()
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

    rules = _rules(folder, config)
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


@app.command("test")
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

    rules = _rules(folder, config)
    try:
        table = rules.load()
        results = run_scenarios(table, scenario_files(rules.folder), read_sample=_read_sample)
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


@app.command()
def explain(
    files: Annotated[list[Path], typer.Argument(help="DICOM files.")],
    folder: Annotated[
        Path | None,
        typer.Option("--rules", help="A folder of rule files.", show_default="the site's"),
    ] = None,
    config: ConfigOption = None,
    calling: Annotated[str, typer.Option("--from", help="The calling AE title.")] = "",
    called: Annotated[str, typer.Option("--to", help="The called AE title.")] = "",
    address: Annotated[str, typer.Option("--address", help="The sender's IP address.")] = "",
    listener: Annotated[str, typer.Option("--listener", help="The listener's name.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show what the rules do with a file: which routes match, and why the others do not.

    It shows values of the object: they are patient data. Exits with 2 if a file cannot be read.
    """
    from rules.documents import DocumentError
    from rules.encoded import MalformedDataSet
    from rules.facts import SourceFacts
    from rules.routes import explain as explained

    source = SourceFacts(
        calling_ae_title=calling, called_ae_title=called, address=address, listener=listener
    )
    try:
        table = _rules(folder, config).load()
    except DocumentError as error:
        fail(Exit.USAGE, str(error))
    answers = []
    for path in files:
        try:
            with _facts(path, source) as facts:
                verdict = explained(table, facts)
        except (OSError, ValueError, MalformedDataSet) as error:
            fail(Exit.USAGE, f"{path}: cannot be read: {error}")
        answers.append(_as_data(path, verdict))
        if not as_json:
            _say_verdict(path, verdict)
    if as_json:
        say_json(answers)


def _rules(folder: Path | None, config: Path | None) -> Rules:
    """Of the folder alone, of the site alone, or of the folder with the site's destinations."""
    if folder is not None and config is None:
        return Rules(folder=folder, destinations=None)
    site = open_site(config)
    return Rules(
        folder=folder or site.rules,
        destinations=tuple(site.destination_names),
        on_no_match=site.on_no_match,
    )


@contextmanager
def _facts(path: Path, source: "SourceFacts") -> "Iterator[Facts]":
    from rules.facts import Facts, FileFacts
    from rules.tags import parse_path

    data_set = _read_sample(path)
    sop_class = data_set.values(parse_path("SOPClassUID")) or ("",)
    yield Facts(
        attributes=data_set,
        source=source,
        file=FileFacts(
            sop_class_uid=sop_class[0],
            transfer_syntax_uid=data_set.transfer_syntax_uid,
            size=len(data_set.source) - data_set.start,
        ),
    )


def _read_sample(path: Path) -> "EncodedDataSet":
    """A Part 10 file, mapped: pixel data is not read. OSError, or ValueError with the reason."""
    from router.dicom.errors import Part10Error
    from router.dicom.part10 import read_file_meta
    from rules.encoded import EncodedDataSet, MalformedDataSet

    with path.open("rb") as file:
        try:
            meta, offset = read_file_meta(file.read(HEAD))
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return EncodedDataSet.read(content, meta.transfer_syntax_uid, offset)
        except (Part10Error, MalformedDataSet) as error:
            raise ValueError(str(error)) from None


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
        typer.echo(f"{folder}: {_count(len(mistakes), 'mistake')}", err=True)
        return
    disabled = len(table.all_routes) - len(table.routes)
    aside = f", {disabled} of them disabled" if disabled else ""
    routes = _count(len(table.all_routes), "route")
    noted = f"; {_count(len(warnings), 'warning')}" if warnings else ""
    typer.echo(f"{folder}: good. {routes}{aside}, version {table.version}{noted}.")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


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
        typer.echo(f"{_count(len(results), 'test')}: {passed} passed, {failed} failed")
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


def _as_data(path: Path, verdict: "Verdict") -> dict[str, object]:
    return {
        "file": path,
        "unrouted": verdict.unrouted,
        "dispatches": [
            {
                "route": one.route,
                "send_to": one.destinations,
                "edits": [e.model_dump(mode="json", by_alias=True) for e in one.edits],
                "priority": one.priority,
            }
            for one in verdict.dispatches
        ],
        "trail": verdict.trail,
    }


def _say_verdict(path: Path, verdict: "Verdict") -> None:
    typer.echo(f"{path}")
    for step in verdict.trail:
        if step.matched:
            typer.echo(f"  match  {step.route}")
        elif step.skipped is not None:
            typer.echo(f"  -      {step.route}: not looked at, {step.skipped}")
        elif step.failure is not None:
            typer.echo(f"  no     {step.route}")
            _say_failure(step.failure, "           ")
    for one in verdict.dispatches:
        edits = f" after {_count(len(one.edits), 'edit')}" if one.edits else ""
        typer.echo(f"  to {', '.join(one.destinations)}{edits}, {one.priority}: {one.route}")
    if verdict.unrouted:
        typer.echo("  no route matches: the site's on_no_match decides")


def _say_failure(failure: "Failure", indent: str) -> None:
    typer.echo(f"{indent}{failure.key}: wanted {failure.wanted}, found {shown(failure.found)}")
    for below in failure.below:
        _say_failure(below, indent + "  ")
