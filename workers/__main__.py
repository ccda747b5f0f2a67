"""The command `dicom-router`: mounts `router.cli` and adds what runs processes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

import typer

from router.cli import app
from router.cli.options import ConfigOption, Exit, fail, open_site, site_path
from workers.signals import Signals

if TYPE_CHECKING:
    from pathlib import Path

    from router.config import Site
    from workers.embedded import Embedded

SWITCH_SECONDS = 0.0002
"""How long one Python thread may keep the others waiting. The default of 5 ms is longer than it
takes to receive an object."""


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run everything in this process: receive, route, deliver, until SIGTERM or Ctrl-C."""
    from router import logs

    site = open_site(config)
    logs.configure(level=site.log.level, style=site.log.format)
    sys.setswitchinterval(SWITCH_SECONDS)
    signals = Signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    embedded = _build(site, site_path(config))
    try:
        embedded.start()
    except OSError as error:
        fail(Exit.FAILED, f"cannot start: {error}")
    # What lives now lives until the end: the collector need not look at it again.
    gc.freeze()
    _greet(embedded)
    while signals.wait() is signal.SIGHUP:
        embedded.reload()
    typer.echo("stopping: open associations and deliveries in hand are finished first", err=True)
    if not embedded.stop():
        # Python would wait for those threads, and they for the peer's time-out.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _build(site: Site, path: Path) -> Embedded:
    from router.ledger import LedgerError
    from rules.documents import DocumentError
    from workers.embedded import Embedded

    try:
        return Embedded(site, path)
    except DocumentError as error:
        fail(Exit.USAGE, str(error))
    except (LedgerError, OSError) as error:
        fail(Exit.UNAVAILABLE, f"cannot start: {error}")


def _greet(embedded: Embedded) -> None:
    """Say where we listen and what to type next; the last line says that all is up."""
    from router.config import warnings

    for listener in embedded.site.listeners:
        port = embedded.ingress.acceptors[listener.name].port
        tls = " (TLS)" if listener.tls else ""
        typer.echo(f"listening as {listener.ae_title} on {listener.bind}:{port}{tls}")
    for destination in embedded.site.destinations:
        typer.echo(f"destination {destination.name} ({destination.kind})")
    for warning in warnings(embedded.site):
        typer.echo(f"warning: {warning}", err=True)
    typer.echo("ready")
    sys.stdout.flush()


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
