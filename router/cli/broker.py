"""`dicom-router broker`: how full the queues are, and the tickets that nobody could do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_site
from router.cli.render import say_json, say_table

if TYPE_CHECKING:
    from router.broker import Broker

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="How full the broker's queues are, and the tickets that nobody could do.",
)


@app.command()
def queues(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """How many tickets wait in each queue, and how many processes take from it."""
    with _broker(config) as broker:
        found = broker.depths()
    if as_json:
        say_json(found)
    else:
        rows = [(one.queue, one.tickets, one.consumers) for one in found]
        say_table(("queue", "tickets", "consumers"), rows)


@app.command()
def dead(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    drop: Annotated[bool, typer.Option("--drop", help="Remove those that are shown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the tickets that were put aside, with the reason; no object is lost with them."""
    with _broker(config) as broker:
        found = broker.dead(limit=limit, drop=drop)
    if as_json:
        say_json(found)
    else:
        say_table(
            ("reason", "from", "ticket"), [(one.reason, one.queue, one.body) for one in found]
        )


@contextmanager
def _broker(config: Path | None) -> Iterator["Broker"]:
    from router.broker import Broker, BrokerUnavailable
    from router.net.errors import TlsFailed

    site = open_site(config)
    if site.broker == "memory://":
        fail(Exit.USAGE, "this site's broker lives in the memory of `dicom-router run` alone")
    try:
        broker = Broker(site.broker, lanes=site.lanes, tls=site.broker_tls)
    except TlsFailed as error:
        fail(Exit.USAGE, str(error))
    try:
        yield broker
    except BrokerUnavailable as error:
        fail(Exit.UNAVAILABLE, f"the broker cannot be used: {error}")
