"""Makes the connection an association is requested on: TCP, and TLS where wanted."""

import socket
import ssl

from router.net.errors import TimedOut, connect_failed, tls_failed
from router.net.peer import Peer, peer_of
from router.net.tls import subject_of
from router.net.wire import TlsWire, Wire


def connect(
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    server_name: str | None,
    timeout: float,
) -> tuple[Wire, Peer]:
    """Return a wire to `host` (each of its addresses is tried) and who answered there.

    ConnectFailed, TlsFailed or TimedOut; TCP and TLS may each take `timeout` seconds.
    """
    try:
        sock = socket.create_connection((host, port), timeout)
    except TimeoutError as error:
        raise TimedOut("connect", timeout) from error
    except OSError as error:
        raise connect_failed(error) from error
    try:
        if tls is None:
            return Wire(sock), peer_of(sock)
        return _secured(sock, tls, server_name or host, timeout)
    except OSError as error:
        sock.close()
        raise connect_failed(error) from error
    except BaseException:
        sock.close()
        raise


def _secured(
    sock: socket.socket, tls: ssl.SSLContext, server_name: str, timeout: float
) -> tuple[Wire, Peer]:
    session: socket.socket = sock
    try:
        session = tls.wrap_socket(sock, server_hostname=server_name, do_handshake_on_connect=False)
        wire = TlsWire(session)
        wire.handshake(timeout)
        return wire, peer_of(session, subject_of(wire.peer_certificate()))
    except TimeoutError as error:
        session.close()
        raise TimedOut("tls", timeout) from error
    except OSError as error:
        session.close()
        raise tls_failed(error) from error
