"""`dicom-router rules explain`: one object's way through the rules, condition by condition."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import say_json, shown
from router.cli.rules.folder import chosen_rules, count, read_sample

if TYPE_CHECKING:
    from rules.facts import Facts, SourceFacts
    from rules.verdict import Failure, Verdict


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
        table = chosen_rules(folder, config).load()
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


@contextmanager
def _facts(path: Path, source: "SourceFacts") -> "Iterator[Facts]":
    from rules.facts import Facts, FileFacts
    from rules.tags import parse_path

    data_set = read_sample(path)
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
                "between": one.between,
                "choices": one.choices,
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
        edits = f" after {count(len(one.edits), 'edit')}" if one.edits else ""
        names = ", ".join(one.destinations) or "nobody"
        when = f", between {one.between}" if one.between else ""
        typer.echo(f"  to {names}{edits}, {one.priority}{when}: {one.route}")
        for choice in one.choices:
            chosen = choice.chosen or "nobody: the object is held"
            typer.echo(f"       {choice.group}: {chosen}, {choice.why}")
    if verdict.unrouted:
        typer.echo("  no route matches: the site's on_no_match decides")


def _say_failure(failure: "Failure", indent: str) -> None:
    typer.echo(f"{indent}{failure.key}: wanted {failure.wanted}, found {shown(failure.found)}")
    for below in failure.below:
        _say_failure(below, indent + "  ")
