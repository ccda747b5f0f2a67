"""`dicom-router sink`: a Storage SCP that counts, keeps, and answers as told."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from router.cli.endpoints import ae_title
from router.cli.options import Exit, JsonOption, fail
from router.cli.render import say_json, size

if TYPE_CHECKING:
    import ssl

    from router.cli.sinking import Sink, Totals
    from router.dicom.reasons import RejectReason

_SHOW_EVERY = 1.0
_LOOK_AGAIN = 0.2


class Reject(StrEnum):
    """Reasons to reject an association, as PS3.8 table 9-21 has them."""

    NO_REASON = "no-reason"
    CALLING_AE_UNKNOWN = "calling-ae-unknown"
    CALLED_AE_UNKNOWN = "called-ae-unknown"
    CONGESTION = "congestion"
    LIMIT = "limit"


class ClientCertificate(StrEnum):
    """Whether senders must, may or need not show a certificate."""

    REQUIRE = "require"
    REQUEST = "request"
    NONE = "none"


def sink(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 11112,
    bind: Annotated[str, typer.Option(help="The local address to listen on.")] = "0.0.0.0",
    title: Annotated[
        str | None,
        typer.Option("--as", metavar="AE", help="Reject who calls us by another AE title."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Keep objects as files in this folder; it is made."),
    ] = None,
    status: Annotated[
        str, typer.Option(metavar="HEX", help="Answer with this status, as 0xA700.")
    ] = "0x0000",
    status_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="... but only to every n-th object.")
    ] = 1,
    abort_every: Annotated[
        int, typer.Option(min=0, metavar="N", help="Abort instead of answering every n-th object.")
    ] = 0,
    reject: Annotated[
        Reject | None, typer.Option(help="Reject every association, for this reason.")
    ] = None,
    delay: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait before each answer.")
    ] = 0.0,
    until: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="End after so many objects.")
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Speak TLS with this certificate (PEM)."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Its private key (PEM).")
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CA certificates (PEM) of the senders."),
    ] = None,
    tls_client: Annotated[
        ClientCertificate, typer.Option(help="Whether senders show a certificate.")
    ] = ClientCertificate.NONE,
    as_json: JsonOption = False,
) -> None:
    """Receive, count, and answer as told: a Storage SCP for trying things out.

    Runs until Ctrl-C or SIGTERM, and then says what has come. Takes any storage class in any
    transfer syntax. Files are not flushed to disk: keep nothing here that is needed.
    """
    from router.cli.sinking import Behaviour, Sink

    behaviour = Behaviour(
        called_ae_title=None if title is None else ae_title(title),
        reject=None if reject is None else _reject_reason(reject),
        status=_status(status),
        status_every=status_every,
        abort_every=abort_every,
        delay=delay,
        into=into,
    )
    context = _tls(tls_cert, tls_key, tls_ca, tls_client.value)
    if into is not None:
        into.mkdir(parents=True, exist_ok=True)
    receiving = Sink(behaviour)
    _serve(receiving, bind, port, context, until, watched=not as_json)
    _report(receiving.totals(), as_json=as_json)


def _serve(
    receiving: "Sink",
    bind: str,
    port: int,
    tls: "ssl.SSLContext | None",
    until: int | None,
    *,
    watched: bool,
) -> None:
    """Listen until told to end, showing what comes meanwhile."""
    from router.net.acceptor import Acceptor

    acceptor = Acceptor(host=bind, port=port, serve=receiving.serve, tls=tls, name="sink")
    try:
        acceptor.start()
    except OSError as error:
        fail(Exit.FAILED, f"cannot listen: {error.strerror}")
    typer.echo(f"listening on {bind} port {acceptor.port}", err=True)
    with _stopped_by_signals() as stopped:
        shown = next_look = 0.0
        while not stopped.wait(_LOOK_AGAIN):
            totals = receiving.totals()
            if until is not None and totals.objects >= until:
                break
            if watched and totals.objects != shown and time.monotonic() >= next_look:
                typer.echo(_line(totals), err=True)
                shown, next_look = totals.objects, time.monotonic() + _SHOW_EVERY
    # The peer of the last object wants its answer, and to release.
    acceptor.drain(_SHOW_EVERY if until is not None else 0.0)
    acceptor.close()


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; only the main thread may ask for signals."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(totals: "Totals", *, as_json: bool) -> None:
    if as_json:
        say_json({**asdict(totals), "seconds": round(totals.seconds, 3)})
        return
    typer.echo(_line(totals))
    for status, count in totals.statuses.items():
        typer.echo(f"  {count} answered {status}" if status != "aborted" else f"  {count} aborted")
    if totals.rejected:
        typer.echo(f"  {_count(totals.rejected, 'association')} rejected")
    if totals.incomplete:
        typer.echo(f"  {_count(totals.incomplete, 'object')} broken off by their senders")


def _line(totals: "Totals") -> str:
    said = (
        f"{_count(totals.objects, 'object')}, {size(totals.bytes)}, "
        f"{_count(totals.associations, 'association')}"
    )
    return f"{said}, {totals.rate:,.0f} objects/s" if totals.rate else said


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _status(text: str) -> int:
    try:
        status = int(text.lower().removeprefix("0x"), 16)
    except ValueError:
        status = -1
    if not 0 <= status <= 0xFFFF:
        fail(Exit.USAGE, f"expected a status such as 0xA700, found {text!r}")
    return status


def _tls(
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    client: Literal["require", "request", "none"],
) -> "ssl.SSLContext | None":
    from router.net.errors import TlsFailed
    from router.net.tls import server_context

    if cert is None:
        if key or ca or client != "none":
            fail(Exit.USAGE, "TLS needs --tls-cert")
        return None
    try:
        return server_context(cert=cert, key=key, ca=ca, client=client)
    except TlsFailed as error:
        fail(Exit.USAGE, str(error))


def _reject_reason(reject: Reject) -> "RejectReason":
    from router.dicom.reasons import RejectReason

    return {
        Reject.NO_REASON: RejectReason.NO_REASON,
        Reject.CALLING_AE_UNKNOWN: RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED,
        Reject.CALLED_AE_UNKNOWN: RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED,
        Reject.CONGESTION: RejectReason.TEMPORARY_CONGESTION,
        Reject.LIMIT: RejectReason.LOCAL_LIMIT_EXCEEDED,
    }[reject]
