"""The HTTP port of a process: `/metrics` for Prometheus, `/live` and `/ready` for orchestrators.

Both answer 200 and `ok`, or 503 and a line for each reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app

from router.net.listening import listening_failed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Reasons = Callable[[], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A running endpoint: the port it got, and how to end it."""

    port: int
    close: Callable[[], None]


def serve(
    bind: str,
    port: int,
    *,
    dead: Reasons,
    unready: Reasons,
    registry: CollectorRegistry = REGISTRY,
) -> Endpoint:
    """Answer on `bind`:`port` (0: any free port) from a thread; OSError if it is taken."""
    pages = {"/live": _page(dead), "/ready": _page(unready), "/metrics": make_wsgi_app(registry)}
    try:
        server = make_server(bind, port, _routed(pages), _Server, handler_class=_Silent)
    except OSError as error:
        failed = listening_failed(error, bind, port)
        words = f"{failed.strerror} (metrics: --metrics-port or `metrics` choose another)"
        raise OSError(failed.errno, words) from None
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    return Endpoint(port=server.server_port, close=lambda: _close(server, thread))


def _routed(pages: dict[str, WSGIApplication]) -> WSGIApplication:
    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        page = pages.get(environ.get("PATH_INFO", ""))
        if page is None:
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"there are /metrics, /live and /ready\n"]
        return page(environ, start)

    return application


def _page(reasons: Reasons) -> WSGIApplication:
    def application(_environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        found = reasons()
        start(
            "503 Service Unavailable" if found else "200 OK",
            [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")],
        )
        return [("\n".join(found or ["ok"]) + "\n").encode()]

    return application


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a probe that hangs must not keep the process


class _Silent(WSGIRequestHandler):
    timeout = 10

    def log_message(self, *_: object) -> None:
        """Probes come every few seconds: no line for each."""


def _close(server: WSGIServer, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
