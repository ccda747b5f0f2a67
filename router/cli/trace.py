"""`dicom-router trace`: everything known about an object."""

from typing import Annotated

import typer

from router.cli.histories import say_outline, say_traced, traced_json, with_explanations
from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_ledger, open_site
from router.cli.render import say_json
from router.ledger import queries
from router.ledger.queries import TraceBy

MANY = 5
"""More stories than this are told in a line each."""


def trace(
    value: Annotated[
        str,
        typer.Argument(
            help="UID of a SOP instance or study, accession number, patient id or object id."
        ),
    ],
    by: Annotated[TraceBy | None, typer.Option(help="What it is; default: any of them.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 100,
    full: Annotated[bool, typer.Option("--full", help="Whole stories, however many.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell an object's story: received, the route and why, edits, every attempt.

    More than a few objects are told in a line each.

    Exits with 1 if the router has never seen it.
    """
    site = open_site(config)
    with open_ledger(site) as ledger, ledger.read() as connection:
        traces = queries.trace(connection, value.strip(), by, limit=limit)
        explained = with_explanations(connection, traces)
    if as_json:
        say_json([traced_json(one) for one in explained])
    elif len(explained) > MANY and not full:
        say_outline(explained)
        typer.echo("the story of one: dicom-router trace OBJECT; of all: --full", err=True)
    else:
        for index, one in enumerate(explained):
            if index:
                typer.echo("")
            say_traced(one)
    if not explained:
        vault = "; its vault may know the name: dicom-router deid lookup" if site.vault else ""
        fail(Exit.FAILED, f"the router knows no such object{vault}")
    if len(explained) == limit:
        typer.echo(f"the newest {limit}; ask for more with --limit", err=True)
