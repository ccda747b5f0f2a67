"""What a person does about the queue: retry, hold, release, cancel; stop, start.

Each changes rows in batches, every batch a transaction of its own, and leaves a line of history
with the person's name. Deliveries under way are left alone.
"""

import getpass
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Protocol

import typer
from sqlalchemy import Connection

from router.cli.options import (
    ConfigOption,
    Exit,
    JsonOption,
    fail,
    open_ledger,
    open_site,
    own_or_group,
)
from router.cli.queue_filters import (
    DestinationOption,
    IdsArgument,
    ObjectOption,
    OlderOption,
    ReasonOption,
    RouteOption,
    SopInstanceOption,
    StateOption,
    StudyOption,
    chosen,
    known_destination,
    restricts,
)
from router.cli.render import say_json
from router.config import Site
from router.ledger import (
    DeliveryFilter,
    Ledger,
    deliveries,
    destinations,
    queries,
)

AllOption = Annotated[bool, typer.Option("--all", help="All of them, in place of a filter.")]
DestinationArgument = Annotated[str, typer.Argument(help="The destination's name.")]
PAGE = 500
BATCH = 5000
"""Rows changed in one transaction: well under a second of the write lock."""


class Change(Protocol):
    """A function of `router.ledger.deliveries`: how many rows it changed, at most `limit`."""

    def __call__(self, conn: Connection, chosen: DeliveryFilter, *, by: str, limit: int) -> int: ...


def _steering(change: Change, done: str, words: str, *, asks: bool = False) -> Callable[..., None]:
    """A command that applies `change` to what its options choose."""

    def command(
        ctx: typer.Context,
        ids: IdsArgument = None,
        destination: DestinationOption = None,
        state: StateOption = None,
        route: RouteOption = None,
        reason: ReasonOption = None,
        object_id: ObjectOption = None,
        sop_instance: SopInstanceOption = None,
        study: StudyOption = None,
        older: OlderOption = None,
        everything: AllOption = False,
        yes: Annotated[bool, typer.Option("--yes", "-y", hidden=not asks, help="Go.")] = False,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        config, as_json = own_or_group(ctx, config, as_json)
        wanted = chosen(
            ids, destination, state, route, reason, object_id, sop_instance, study, older
        )
        if restricts(wanted) == everything:
            fail(Exit.USAGE, "say which deliveries, or --all; not both")
        changed = _steer(open_site(config), change, wanted, ask=asks and not yes)
        say_changed(done, changed, as_json, "delivery")

    command.__doc__ = words
    return command


def _steer(site: Site, change: Change, wanted: DeliveryFilter, *, ask: bool) -> int:
    with open_ledger(site) as ledger:
        if wanted.destination is not None:
            known_destination(site, ledger, wanted.destination)
        if ask:
            _ask(ledger, wanted)
        changed = _apply(ledger, change, wanted)
        if change is deliveries.retry:
            for name in _probe_now(ledger, wanted.destination):
                typer.echo(f"{name} is down: it is tried at once", err=True)
    return changed


def _apply(ledger: Ledger, change: Change, wanted: DeliveryFilter) -> int:
    changed, by = 0, operator()
    while True:
        now = ledger.transact(partial(change, chosen=wanted, by=by, limit=BATCH))
        changed += now
        # Not until nothing is left: a running router may make more of them meanwhile.
        if now < BATCH:
            return changed
        say_progress(changed)


def _ask(ledger: Ledger, wanted: DeliveryFilter) -> None:
    with ledger.read() as connection:
        some = len(queries.queue_list(connection, wanted, limit=PAGE))
    count = f"{PAGE} or more" if some == PAGE else str(some)
    if not sys.stdin.isatty():
        fail(Exit.USAGE, f"this gives up {count} deliveries: say --yes")
    typer.confirm(f"Give up {count} deliveries for good?", abort=True)


def _probe_now(ledger: Ledger, destination: str | None) -> list[str]:
    """A person who retries does not want to wait for the next probe of a dead destination."""
    with ledger.write() as connection:
        names = [item.name for item in destinations.all_health(connection) if not item.up]
        chosen = names if destination is None else [destination]
        return [name for name in chosen if destinations.probe_now(connection, name)]


def stop(
    ctx: typer.Context,
    destination: DestinationArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send nothing more to a destination until `start`; what it is owed waits."""
    _set_held(ctx, destination, config, as_json, held=True)


def start(
    ctx: typer.Context,
    destination: DestinationArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send to a destination again, at once if it was thought to be down."""
    _set_held(ctx, destination, config, as_json, held=False)


def _set_held(
    ctx: typer.Context, name: str, config: ConfigOption, as_json: bool, *, held: bool
) -> None:
    config, as_json = own_or_group(ctx, config, as_json)
    site = open_site(config)
    with open_ledger(site) as ledger:
        known_destination(site, ledger, name)
        with ledger.write() as connection:
            if held:
                destinations.hold(connection, name)
            else:
                destinations.release(connection, name)
                destinations.probe_now(connection, name)
    if as_json:
        say_json({"destination": name, "held": held})
    else:
        typer.echo(f"{name}: {'stopped' if held else 'started'}")


def operator() -> str:
    """Who does this, for the history."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return "cli"


def say_progress(changed: int) -> None:
    """How far it is, where a person waits."""
    if sys.stderr.isatty():
        typer.echo(f"\r{changed} …", err=True, nl=False)


def say_changed(done: str, changed: int, as_json: bool, what: str) -> None:
    """How many there were; the end of the command if there were none."""
    if as_json:
        say_json({"done": done, "changed": changed})
    else:
        plural = {"delivery": "deliveries", "object": "objects"}[what]
        typer.echo(f"{done} {changed} {what if changed == 1 else plural}")
    if not changed:
        raise typer.Exit(Exit.FAILED)


COMMANDS: dict[str, Callable[..., None]] = {
    "retry": _steering(
        deliveries.retry,
        "retried",
        "Make held and failed deliveries due now, and those that wait for a later attempt.",
    ),
    "hold": _steering(
        deliveries.hold, "held", "Keep waiting deliveries back until they are released."
    ),
    "release": _steering(deliveries.release, "released", "Make held deliveries due."),
    "cancel": _steering(
        deliveries.cancel, "cancelled", "Give up deliveries that are not under way.", asks=True
    ),
    "stop": stop,
    "start": start,
}
