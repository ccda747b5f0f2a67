"""`dicom-router echo`: asks a destination, or any peer, whether it answers (C-ECHO)."""

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.endpoints import (
    TlsAnyNameOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    TlsOption,
    address,
    ae_title,
    tls_towards_peer,
)
from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_site
from router.cli.render import duration, say_json

if TYPE_CHECKING:
    import ssl

    from router.config import Site
    from router.net.requestor import Timeouts

_TIMEOUT = 10.0


def echo(
    peer: Annotated[str, typer.Argument(help="A destination's name, or HOST:PORT.")],
    calling: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="AE",
            show_default="the destination's setting or DICOM_ROUTER",
            help="Our own AE title.",
        ),
    ] = None,
    called: Annotated[
        str | None,
        typer.Option(
            "--called",
            metavar="AE",
            show_default="the destination's setting or ANY-SCP",
            help="The peer's AE title.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            show_default="the destination's setting or 10",
            help="Seconds to wait for each answer.",
        ),
    ] = None,
    tls: TlsOption = False,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    tls_any_name: TlsAnyNameOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a destination whether it answers (C-ECHO).

    A destination of the site is asked as the router itself would ask it, TLS included. Exits with 0
    if it answers with status 0000, 1 if not.
    """
    if ":" in peer:
        context = tls_towards_peer(
            wanted=tls, ca=tls_ca, cert=tls_cert, key=tls_key, any_name=tls_any_name
        )
        target = _address(peer, context)
    else:
        target = _destination(peer, open_site(config))
    if calling is not None:
        target = replace(target, calling=ae_title(calling))
    if called is not None:
        target = replace(target, called=ae_title(called))
    if timeout is not None:
        target = replace(target, timeouts=_patience(timeout))
    _report(peer, _ask(target), as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    host: str
    port: int
    timeouts: "Timeouts"
    tls: "ssl.SSLContext | None"
    server_name: str | None = None
    calling: str = "DICOM_ROUTER"
    called: str = "ANY-SCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What came of it: a status, or why there is none. Times in seconds."""

    status: int | None = None
    reason: str | None = None
    message: str | None = None
    association_seconds: float | None = None
    echo_seconds: float | None = None


def _address(text: str, context: "ssl.SSLContext | None") -> _Target:
    host, port = address(text)
    return _Target(host=host, port=port, timeouts=_patience(_TIMEOUT), tls=context)


def _destination(name: str, site: "Site") -> _Target:
    """As the router itself would call it."""
    from router.net.errors import TlsFailed
    from router.net.requestor import Timeouts
    from router.net.tls import destination_context

    found = site.destination(name)
    if found is None:
        known = ", ".join(site.destination_names) or "none"
        fail(Exit.USAGE, f"there is no destination {name} (there are: {known}), and no host:port")
    dicom = found.dicom
    if dicom is None:
        fail(Exit.USAGE, f"{name} is a folder: it has no echo")
    try:
        context = None
        if dicom.tls is not None:
            context = destination_context(dicom.tls)
    except TlsFailed as error:
        fail(Exit.USAGE, str(error))
    return _Target(
        host=dicom.host,
        port=dicom.port,
        timeouts=Timeouts(**dicom.timeouts.model_dump()),
        tls=context,
        server_name=dicom.tls.server_name if dicom.tls else None,
        calling=dicom.calling_ae_title,
        called=dicom.ae_title,
    )


def _patience(seconds: float) -> "Timeouts":
    from router.net.requestor import Timeouts

    return Timeouts(connect=seconds, acse=seconds, dimse=seconds, network=seconds)


def _ask(target: _Target) -> _Answer:
    from router.cli.outbox import request_for
    from router.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
    from router.net.errors import NetError
    from router.net.requestor import open_association

    pairs = ((VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN),)
    request = request_for(pairs, calling=target.calling, called=target.called)
    started = time.monotonic()
    try:
        with open_association(
            target.host,
            target.port,
            request,
            tls=target.tls,
            server_name=target.server_name,
            timeouts=target.timeouts,
        ) as association:
            associated = time.monotonic()
            status = association.echo()
            ended = time.monotonic()
    except NetError as error:
        return _Answer(reason=error.reason, message=str(error))
    return _Answer(
        status=status,
        association_seconds=round(associated - started, 6),
        echo_seconds=round(ended - associated, 6),
    )


def _report(peer: str, answer: _Answer, *, as_json: bool) -> None:
    if as_json:
        say_json({"peer": peer, "ok": answer.status == 0, **asdict(answer)})
    elif answer.status is None or answer.echo_seconds is None or answer.association_seconds is None:
        typer.echo(f"{peer} does not answer: {answer.message}", err=True)
    else:
        typer.echo(
            f"{peer} answers with status {answer.status:04X} in {duration(answer.echo_seconds)}, "
            f"after {duration(answer.association_seconds)} for the association"
        )
    if answer.status != 0:
        raise typer.Exit(Exit.FAILED)
