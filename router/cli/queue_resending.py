"""`dicom-router queue resend`: send once more what was delivered, because somebody lost it."""

import sys
from typing import Annotated

import typer

from router.cli.options import (
    ConfigOption,
    Exit,
    JsonOption,
    fail,
    open_ledger,
    open_site,
    own_or_group,
)
from router.cli.queue_filters import DestinationOption, known_destination
from router.cli.queue_steering import operator, say_changed
from router.ledger import Ledger, queries, reconciling
from router.ledger.queries import TraceBy

BATCH = 5000
"""Rows changed in one transaction: well under a second of the write lock."""


def resend(
    ctx: typer.Context,
    value: Annotated[
        str,
        typer.Argument(
            help="UID of a SOP instance or study, accession number, patient id or object id."
        ),
    ],
    by: Annotated[TraceBy | None, typer.Option(help="What it is; default: any of them.")] = None,
    destination: DestinationOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send once more what was delivered of these objects, as long as it is kept here."""
    config, as_json = own_or_group(ctx, config, as_json)
    site = open_site(config)
    with open_ledger(site) as ledger:
        if destination is not None:
            known_destination(site, ledger, destination)
        with ledger.read() as connection:
            found = queries.delivered(connection, value.strip(), by, destination=destination)
        if not found:
            fail(Exit.FAILED, "nothing was delivered of such an object: see `dicom-router trace`")
        if not yes:
            _ask(len(found), sorted({one.destination for one in found}))
        changed = _resend(ledger, [one.id for one in found])
    if changed < len(found):
        typer.echo(f"not kept here any more: {len(found) - changed}", err=True)
    say_changed("resent", changed, as_json, "delivery")


def _resend(ledger: Ledger, ids: list[int]) -> int:
    changed, by = 0, operator()
    for start in range(0, len(ids), BATCH):
        with ledger.write() as connection:
            some = ids[start : start + BATCH]
            changed += reconciling.resend(connection, some, by=by, reason="resent_by_operator")
    return changed


def _ask(count: int, names: list[str]) -> None:
    what = f"{count} object{'s' * (count > 1)} to {', '.join(names)}"
    if not sys.stdin.isatty():
        fail(Exit.USAGE, f"this sends {what} once more: say --yes")
    typer.confirm(f"Send {what} once more?", abort=True)
