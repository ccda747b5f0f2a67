"""Peers on a command line: HOST:PORT, and what TLS needs."""

import ssl
from pathlib import Path
from typing import Annotated

import typer

from router.cli.options import Exit, fail
from router.dicom.ae_title import is_valid_ae_title

DEFAULT_PORT = 104

AsOption = Annotated[
    str, typer.Option("--as", metavar="AE", help="Our own AE title, the calling one.")
]
CalledOption = Annotated[
    str, typer.Option("--called", metavar="AE", help="The peer's AE title, the called one.")
]
TlsOption = Annotated[bool, typer.Option("--tls", help="Speak TLS; the other options imply it.")]
TlsCaOption = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="CA certificates (PEM) to verify the peer with."
    ),
]
TlsCertOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Our certificate (PEM).")
]
TlsKeyOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Its private key (PEM).")
]
TlsAnyNameOption = Annotated[
    bool, typer.Option("--tls-any-name", help="Do not compare the name in its certificate.")
]


def parse_address(text: str) -> tuple[str, int] | None:
    """`host:port`, `host`, or `[IPv6]:port`; None when it is none of these."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return None
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return host, int(port)


def address(text: str) -> tuple[str, int]:
    """Host and port, or the end of the command."""
    found = parse_address(text)
    if found is None:
        fail(Exit.USAGE, f"expected host:port, found {text!r}")
    return found


def ae_title(text: str) -> str:
    """An AE title as the standard wants it, or the end of the command."""
    title = text.strip(" ")
    if not is_valid_ae_title(title):
        fail(
            Exit.USAGE,
            f"{text!r} is no AE title: 1 to 16 characters of printable ASCII, no backslash",
        )
    return title


def tls_towards_peer(
    *, wanted: bool, ca: Path | None, cert: Path | None, key: Path | None, any_name: bool
) -> ssl.SSLContext | None:
    """The context these options ask for, None for plain TCP; or the end of the command."""
    if not (wanted or ca or cert or key or any_name):
        return None
    from router.net.errors import TlsFailed
    from router.net.tls import client_context

    if key is not None and cert is None:
        fail(Exit.USAGE, "--tls-key needs --tls-cert")
    try:
        return client_context(ca=ca, cert=cert, key=key, check_hostname=not any_name)
    except TlsFailed as error:
        fail(Exit.USAGE, str(error))
