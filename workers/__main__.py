"""The command `dicom-router`: mounts `router.cli` and adds what runs processes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli import app
from router.cli.options import (
    ConfigOption,
    Exit,
    fail,
    ledger_words,
    open_site,
    site_path,
    words_of,
)
from workers.signals import Signals

if TYPE_CHECKING:
    from router.config import Site
    from router.ingress.guests import Guests
    from workers.process import Process, Role

worker = typer.Typer(no_args_is_help=True, help="Take tickets: one role of a cluster.")
app.add_typer(worker, name="worker")

MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        envvar="DICOM_ROUTER_METRICS_PORT",
        show_default="the site's",
        help="Port of /metrics, /live and /ready, for several processes on one machine.",
    ),
]


@app.command()
def run(config: ConfigOption = None, metrics_port: MetricsPortOption = None) -> None:
    """Run everything in this process: receive, route, deliver, until SIGTERM or Ctrl-C."""
    from workers.process import Role

    _run(_site(config, metrics_port), site_path(config), tuple(Role))


@app.command()
def ingress(
    config: ConfigOption = None,
    metrics_port: MetricsPortOption = None,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that share ports and limits.")
    ] = 1,
    guests: Annotated[Path | None, typer.Option(hidden=True)] = None,
    number: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Receive only: one role of a cluster."""
    site, path = _cluster_site(config, metrics_port), site_path(config)
    if processes > 1:
        _supervise(site, path, processes)
        return
    from workers.process import Role

    if guests is None:
        _run(site, path, (Role.INGRESS,))
        return
    from router.ingress.guests import SharedGuests
    from workers.ingress_processes import end_with_parent

    end_with_parent()
    shared = {
        listener.name: SharedGuests(guests / f"{listener.name}.json", str(number))
        for listener in site.listeners
    }
    without_endpoint = site.model_copy(update={"metrics": None})
    _run(without_endpoint, path, (Role.INGRESS,), guests=shared)


def _supervise(site: Site, path: Path, processes: int) -> None:
    from router import logs
    from workers.ingress_processes import supervise

    if any(listener.port == 0 for listener in site.listeners):
        fail(Exit.USAGE, "processes cannot share a port that the system chooses: name one")
    logs.configure(level=site.log.level, style=site.log.format)
    logs.catch_all()
    try:
        raise typer.Exit(supervise(site, path, processes))
    except OSError as error:
        fail(Exit.FAILED, f"cannot start: {words_of(error)}")


@worker.command()
def rules(config: ConfigOption = None, metrics_port: MetricsPortOption = None) -> None:
    """Decide where received objects go: one role of a cluster."""
    from workers.process import Role

    _run(_cluster_site(config, metrics_port), site_path(config), (Role.RULES,))


@worker.command()
def egress(
    config: ConfigOption = None,
    metrics_port: MetricsPortOption = None,
    lane: Annotated[
        list[str] | None,
        typer.Option(
            show_default="all", help="Serve the destinations in this lane only; may be repeated."
        ),
    ] = None,
) -> None:
    """Deliver what is owed: one role of a cluster."""
    from workers.process import Role

    site = _cluster_site(config, metrics_port)
    for name in lane or ():
        if name not in site.lanes:
            fail(Exit.USAGE, f"there is no lane {name}; the site has {', '.join(site.lanes)}")
    # Who reaches a destination to deliver reaches it to ask for commitment, too.
    _run(site, site_path(config), (Role.EGRESS, Role.COMMITMENT), lanes=lane or ())


@worker.command()
def commitment(config: ConfigOption = None, metrics_port: MetricsPortOption = None) -> None:
    """Ask destinations to commit, and report to modalities: one role of a cluster."""
    from workers.process import Role

    _run(_cluster_site(config, metrics_port), site_path(config), (Role.COMMITMENT,))


@app.command()
def conductor(config: ConfigOption = None, metrics_port: MetricsPortOption = None) -> None:
    """Ring for what is due, forget, measure; of several that run, one leads."""
    from workers.process import Role

    _run(_cluster_site(config, metrics_port), site_path(config), (Role.CONDUCTOR,))


def _site(config: Path | None, metrics_port: int | None) -> Site:
    site = open_site(config)
    if metrics_port is not None and site.metrics is not None:
        where = site.metrics.model_copy(update={"port": metrics_port})
        site = site.model_copy(update={"metrics": where})
    return site


def _cluster_site(config: Path | None, metrics_port: int | None) -> Site:
    site = _site(config, metrics_port)
    if site.broker == "memory://":
        fail(
            Exit.USAGE,
            "one role alone needs a broker that the others can reach: set `broker` to amqp:// or "
            "amqps://, or use `dicom-router run`",
        )
    return site


def _run(
    site: Site,
    path: Path,
    roles: Collection[Role],
    *,
    lanes: Sequence[str] = (),
    guests: Mapping[str, Guests] | None = None,
) -> None:
    """Run these roles until a signal ends them."""
    from router import logs

    logs.configure(level=site.log.level, style=site.log.format)
    logs.catch_all()
    signals = Signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    process = _build(site, path, roles, lanes, guests)
    try:
        process.start()
    except OSError as error:
        fail(Exit.FAILED, f"cannot start: {words_of(error)}")
    # What lives now lives until the end: the collector need not look at it again.
    gc.freeze()
    _greet(process)
    while signals.wait() is signal.SIGHUP:
        process.reload()
    signals.no_longer(signal.SIGINT)
    said = "stopping: open associations and deliveries in hand are finished first"
    typer.echo(f"{said} (Ctrl-C: end at once; what was acknowledged is kept)", err=True)
    if not process.stop():
        # Python would wait for those threads, and they for the peer's time-out.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _build(
    site: Site,
    path: Path,
    roles: Collection[Role],
    lanes: Sequence[str],
    guests: Mapping[str, Guests] | None,
) -> Process:
    from router.ledger import LedgerError
    from router.net.errors import TlsFailed
    from rules.documents.reading import DocumentError
    from workers.process import Process

    try:
        return Process(site, path, roles, lanes=lanes, guests=guests)
    except (DocumentError, TlsFailed) as error:
        fail(Exit.USAGE, str(error))
    except LedgerError as error:
        fail(Exit.UNAVAILABLE, f"cannot start: the ledger: {ledger_words(site, error)}")
    except OSError as error:
        fail(Exit.UNAVAILABLE, f"cannot start: {words_of(error)}")


def _greet(process: Process) -> None:
    """Say where we listen and what to type next; the last line says that all is up."""
    from router.config import warnings

    site = process.site
    for listener in site.listeners if process.ingress is not None else ():
        assert process.ingress is not None
        port = process.ingress.acceptors[listener.name].port
        tls = " (TLS)" if listener.tls else ""
        typer.echo(f"listening as {listener.ae_title} on {listener.bind}:{port}{tls}")
    for destination in site.destinations:
        typer.echo(f"destination {destination.name} ({destination.kind})")
    for warning in warnings(site):
        typer.echo(f"warning: {warning}", err=True)
    typer.echo("ready")
    sys.stdout.flush()


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
