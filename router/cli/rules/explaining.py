"""`dicom-router rules explain`: one object's way through the rules, condition by condition."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import say_json, shown
from router.cli.rules.folder import chosen_rules, count, facts_of_file, read_sample

if TYPE_CHECKING:
    from router.cli.rules.objects import KnownObject
    from rules.encoded.data_set import EncodedDataSet
    from rules.explaining import ConditionTold, Explanation, RouteTold
    from rules.facts import Facts, SourceFacts
    from rules.routes import RouteTable

MOST = 12
"""Routes that are told when there are many: a screen, with the nearest ones on it."""


def explain(
    objects: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|OBJECT...",
            help="DICOM files; or objects in the ledger, by SOP Instance UID or object id.",
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--rules", help="A folder of rule files.", show_default="those in force"),
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="A version of the rules in the ledger.")
    ] = None,
    config: ConfigOption = None,
    calling: Annotated[str, typer.Option("--from", help="The calling AE title.")] = "",
    called: Annotated[str, typer.Option("--to", help="The called AE title.")] = "",
    address: Annotated[str, typer.Option("--address", help="The sender's IP address.")] = "",
    listener: Annotated[str, typer.Option("--listener", help="The listener's name.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="All routes, and the conditions that hold, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what the rules do with an object: which routes match, and why the others do not.

    A file is decided on by the files' rules; an object of the ledger by those in force. It shows
    values of the object: they are patient data. Exits with 2 if a file cannot be read, 1 for an
    object that the router does not know or no longer has.
    """
    from rules.facts import SourceFacts

    source = SourceFacts(
        calling_ae_title=calling, called_ae_title=called, address=address, listener=listener
    )
    answers = []
    for name in objects:
        with ExitStack() as open_until:
            path = Path(name)
            if not path.exists() and _looks_like_a_file(name):
                fail(
                    Exit.USAGE,
                    f"there is no file {name}; a received object goes by its SOP Instance UID or "
                    "object id, which `dicom-router trace` finds by accession number or patient",
                )
            if path.exists():
                known = None
                table = _table(folder, config, version)
                facts, data_set = _of_file(path, source)
            else:
                from router.cli.rules.objects import open_known, table_for

                known, facts, data_set = open_known(config, name, open_until)
                table = table_for(config, folder, version)
            told = _explained(name, table, facts, data_set)
        answers.append(_as_data(name, known, told))
        if not as_json:
            _say(name, known, told, everything=everything)
    if as_json:
        say_json(answers)


def _looks_like_a_file(name: str) -> bool:
    """What is neither a UID nor an object id was meant to be a file."""
    return not all(char in "0123456789abcdef." for char in name)


def _table(folder: Path | None, config: Path | None, version: str | None) -> "RouteTable":
    from rules.documents.reading import DocumentError

    if version is not None:
        from router.cli.rules.objects import table_for

        return table_for(config, folder, version)
    try:
        return chosen_rules(folder, config).load()
    except DocumentError as error:
        fail(Exit.USAGE, str(error))


def _of_file(path: Path, source: "SourceFacts") -> "tuple[Facts, EncodedDataSet]":
    from rules.encoded.data_set import MalformedDataSet

    try:
        data_set = read_sample(path)
        return facts_of_file(data_set, source), data_set
    except OSError as error:
        fail(Exit.USAGE, f"{path}: cannot be read: {error.strerror}")
    except (ValueError, MalformedDataSet) as error:
        fail(Exit.USAGE, f"{path}: cannot be read: {error}")


def _explained(
    name: str, table: "RouteTable", facts: "Facts", data_set: "EncodedDataSet"
) -> "Explanation":
    from rules.encoded.data_set import MalformedDataSet
    from rules.explaining import explained

    try:
        return explained(table, facts, data_set)
    except MalformedDataSet as error:
        fail(Exit.USAGE, f"{name}: cannot be read: {error}")


def _as_data(name: str, known: "KnownObject | None", told: "Explanation") -> dict[str, object]:
    return {
        "object": name,
        "known": known,
        "unrouted": told.verdict.unrouted,
        "held": [{"route": route, "reason": reason} for route, reason in told.held],
        "dispatches": [
            {
                "route": one.route,
                "send_to": one.destinations,
                "edits": [e.model_dump(mode="json", by_alias=True) for e in one.edits],
                "deidentify": one.deidentify,
                "priority": one.priority,
                "between": one.between,
                "choices": one.choices,
            }
            for one in told.verdict.dispatches
        ],
        "routes": told.routes,
    }


def _say(name: str, known: "KnownObject | None", told: "Explanation", *, everything: bool) -> None:
    from rules.explaining import nearest

    typer.echo(name)
    for line in known.lines() if known is not None else ():
        typer.echo(f"  {shown(line)}")
    routes = told.routes if everything else nearest(told.routes, MOST)
    for one in routes:
        _say_route(one, everything=everything)
    if len(routes) < len(told.routes):
        left = count(len(told.routes) - len(routes), "route")
        typer.echo(f"  …      {left} that fit less: --all shows them")
    held = dict(told.held)
    for dispatch in told.verdict.dispatches:
        edits = f" after {count(len(dispatch.edits), 'edit')}" if dispatch.edits else ""
        if dispatch.deidentify is not None:
            edits += f", de-identified by {dispatch.deidentify}"
        places = ", ".join(dispatch.destinations) or "nobody"
        if dispatch.route in held:
            reason = held[dispatch.route]
            word = "      " if reason.startswith("discarded") else "held  "
            typer.echo(f"  {word} {dispatch.route}, for {places}: {shown(reason)}")
        else:
            when = f", between {dispatch.between}" if dispatch.between else ""
            typer.echo(f"  to {places}{edits}, {dispatch.priority}{when}: {dispatch.route}")
        for choice in dispatch.choices:
            chosen = choice.chosen or "nobody: the object is held"
            typer.echo(f"       {choice.group}: {chosen}, {choice.why}")
    sent = {dispatch.route for dispatch in told.verdict.dispatches}
    for route in told.verdict.routes:
        if route not in sent:
            typer.echo(f"  nothing more: {route}, whose destinations get it already")
    if told.verdict.unrouted:
        typer.echo("  no route matches: the site's on_no_match decides")


def _say_route(one: "RouteTold", *, everything: bool) -> None:
    conditions: Sequence[ConditionTold] = one.conditions if everything else one.failing
    if one.matched:
        waits = f", when its {one.waits_for} is there" if one.waits_for else ""
        typer.echo(f"  match  {one.route}{waits}")
        conditions = one.conditions if everything else ()
    elif one.skipped is not None:
        typer.echo(f"  -      {one.route}: not looked at, {one.skipped}")
        conditions = one.conditions if everything else ()
    else:
        typer.echo(f"  no     {one.route}")
    for condition in conditions:
        mark = "yes  " if condition.holds else ("no   " if everything else "")
        words = f"wanted {condition.wanted}, found {condition.found}"
        typer.echo(f"           {mark}{condition.key}: {shown(words)}")
        for below in condition.below:
            typer.echo(
                f"             {below.key}: wanted {below.wanted}, found {shown(below.found)}"
            )
