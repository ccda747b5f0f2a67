"""`dicom-router config`: check a site's file and its rules, and describe one to editors."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail, site_path
from router.cli.render import say_json

if TYPE_CHECKING:
    from router.config import Site
    from rules.documents.reading import Problem

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check a site's file, or write the schema of one.",
)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the site's file and its rules: every mistake with file, line, key and a suggestion.

    Exits with 0 if the site can run, 2 if it cannot.
    """
    from router.config import load_site, warnings
    from rules.documents.reading import DocumentError

    path = site_path(config)
    site: Site | None = None
    problems: tuple[Problem, ...] = ()
    try:
        site = load_site(path)
        check_tls(path, site)
        check_rules(site)
    except DocumentError as error:
        problems = error.problems
    notes = warnings(site) if site is not None else []
    if as_json:
        say_json({"file": path, "ok": not problems, "problems": problems, "warnings": notes})
    else:
        _say(path, site, problems, notes)
    if problems:
        raise typer.Exit(Exit.USAGE)


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the JSON Schema of a site's file, for editors that complete and check YAML."""
    del as_json  # it is JSON anyway
    from router.config import Site

    described = Site.model_json_schema()
    described["title"] = "A dicom-router site"
    if output is None:
        say_json(described)
        return
    import json

    try:
        output.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        fail(Exit.FAILED, f"cannot write {output}: {error.strerror}")


def check_rules(site: "Site") -> None:
    """Load the site's rules, and its shadow's, for their mistakes' sake: DocumentError."""
    from router.rulebook import rules_of

    rules_of(site)
    if site.rules_shadow is not None:
        rules_of(site, folder=site.rules_shadow)


def check_tls(path: Path, site: "Site") -> None:
    """Try every certificate and key, as the start would. DocumentError with all that do not fit."""
    from router.net.errors import TlsFailed
    from router.net.tls import broker_context, destination_context, listener_context
    from rules.documents.reading import DocumentError, load_document

    trials: list[tuple[tuple[str | int, ...], Callable[[], object]]] = []
    if site.broker.startswith("amqps:"):
        trials.append((("broker_tls",), partial(broker_context, site.broker_tls)))
    for number, listener in enumerate(site.listeners):
        if listener.tls is not None:
            trial = partial(listener_context, listener.tls)
            trials.append((("listeners", number, "tls"), trial))
    for number, destination in enumerate(site.destinations):
        if destination.dicom is not None and destination.dicom.tls is not None:
            trial = partial(destination_context, destination.dicom.tls)
            trials.append((("destinations", number, "dicom", "tls"), trial))
    for number, source in enumerate(site.sources):
        if source.commitment.tls is not None:
            trial = partial(destination_context, source.commitment.tls)
            trials.append((("sources", number, "commitment", "tls"), trial))
    problems = []
    for place, act in trials:
        try:
            act()
        except TlsFailed as failed:
            problems.append(load_document(path).problem(place, str(failed)))
    if problems:
        raise DocumentError(problems)


def _say(
    path: Path, site: "Site | None", problems: "tuple[Problem, ...]", notes: list[str]
) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)
    for note in notes:
        typer.echo(f"{path}: note: {note}", err=True)
    if problems:
        count = len(problems)
        typer.echo(f"{path}: {count} mistake{'s' if count > 1 else ''}", err=True)
    elif site is not None:
        listeners = ", ".join(f"{item.ae_title}:{item.port}" for item in site.listeners)
        destinations = ", ".join(site.destination_names) or "nowhere"
        typer.echo(f"{path}: good. Listens as {listeners}; sends to {destinations}.")
