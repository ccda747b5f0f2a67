"""`dicom-router studies`: a line for each study and destination."""

import time
from typing import Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_ledger, open_site
from router.cli.queue_filters import older_than
from router.cli.render import Cell, iso, local, say_json, say_table, size
from router.ledger import studies as ledger_studies
from router.ledger.studies import AtDestination, StudyLine

STATUSES = ("waiting", "delivered", "requested", "committed", "refused", "held", "failed")
"""Columns, in the order in which a delivery goes through them."""


def studies(
    value: Annotated[
        str | None,
        typer.Argument(help="A study's UID, an accession number or a patient id; default: all."),
    ] = None,
    since: Annotated[
        float,
        typer.Option(
            "--since",
            parser=older_than,
            metavar="AGE",
            show_default="24h",
            help="Of which something came in at most so long ago.",
        ),
    ] = 86400.0,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how far each destination has each study, the newest first.

    Exits with 1 if no study is called so.
    """
    with open_ledger(open_site(config)) as ledger, ledger.read() as connection:
        if value is None:
            since_ms = round((time.time() - since) * 1000)
            uids = ledger_studies.recent(connection, since_ms=since_ms, limit=limit)
        else:
            uids = ledger_studies.named(connection, value.strip(), limit=limit)
        found = ledger_studies.lines(connection, uids)
    if as_json:
        say_json([_plain(one) for one in found])
    else:
        _say(found)
    if value is not None and not found:
        fail(Exit.FAILED, "the router knows no such study")
    if len(found) == limit:
        typer.echo(f"the newest {limit}; ask for more with --limit", err=True)


def _plain(one: StudyLine) -> dict[str, object]:
    return {
        "study_instance_uid": one.study_instance_uid,
        "received": one.received,
        "size": one.size,
        "last_at": iso(one.last_at),
        "made": one.made,
        "lacking": one.lacking,
        "destinations": [
            {
                "destination": at.destination,
                **at.counts,
                "missing": at.missing,
                "changed": at.changed,
            }
            for at in one.destinations
        ],
    }


def _say(found: list[StudyLine]) -> None:
    shown = [
        word
        for word in STATUSES
        if word in STATUSES[:4]
        or any(word in at.counts for one in found for at in one.destinations)
    ]
    rows = [
        [*_of_study(one), *_at(at, shown)]
        for one in found
        for at in (one.destinations or (AtDestination(destination="-", counts={}),))
    ]
    heads = ["study", "last", "received", "made", "size", "destination"]
    say_table([*heads, *shown, "missing", "changed"], rows)


def _of_study(one: StudyLine) -> list[Cell]:
    lacks = f" ({one.lacking} lacking)" if one.lacking else ""
    made = None if one.made is None else f"{one.made}{lacks}"
    return [one.study_instance_uid, local(one.last_at), one.received, made, size(one.size)]


def _at(at: AtDestination, shown: list[str]) -> list[Cell]:
    counts: list[Cell] = [at.counts.get(word, 0) for word in shown]
    return [at.destination, *counts, at.missing, at.changed]
