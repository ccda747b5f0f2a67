"""Several processes that receive on the same ports, so that reception uses several cores.

The parent receives nothing: it starts the processes, starts one anew that has ended, and answers
for all of them on one HTTP port. They share the limits of associations through a file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import typer
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from router.config import Site
from router.logs import get_logger
from workers.health import serve
from workers.signals import Signals

AGAIN_SECONDS = 1.0
"""Before a process that has ended is started anew."""
STOP_SECONDS = 50.0
"""What draining takes at most, and a little more."""

log = get_logger("ingress")


class Child:
    """One receiving process, started again and again until it is told to stop."""

    def __init__(self, command: list[str], environ: dict[str, str], *, speaks: bool) -> None:
        """`speaks`: what it says at its start is passed on."""
        self._command = command
        self._environ = environ
        self._speaks = speaks
        self._stopping = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="child", daemon=True)
        self.ready = threading.Event()
        self.failed: int | None = None  # the exit code of a first start that came to nothing

    def start(self) -> None:
        """Start it, and keep it running."""
        self._thread.start()

    def signal(self, number: signal.Signals) -> None:
        """Pass it on."""
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(number)

    def stop(self) -> None:
        """Ask it to drain and to end."""
        self._stopping.set()
        self.signal(signal.SIGTERM)

    def join(self, timeout: float) -> bool:
        """Wait for its end; whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def kill(self) -> None:
        """Do not wait any longer."""
        self.signal(signal.SIGKILL)
        self._thread.join()

    def _run(self) -> None:
        was_ready = False
        while not self._stopping.is_set():
            code = self._live()
            was_ready = was_ready or self.ready.is_set()
            self.ready.clear()
            if not was_ready:
                self.failed = code
                os.kill(os.getpid(), signal.SIGTERM)  # the parent's: it ends the others
                return
            if not self._stopping.is_set():
                log.error("a receiving process has ended; it is started anew", code=code)
                self._stopping.wait(AGAIN_SECONDS)

    def _live(self) -> int:
        # Its standard input is a pipe from us: when we are gone, however that came, it ends.
        self._process = subprocess.Popen(
            self._command,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with self._process as process:
            if self._stopping.is_set():
                process.terminate()
            assert process.stdout is not None  # PIPE
            for line in process.stdout:
                if line.strip() == "ready":
                    self.ready.set()
                elif self._speaks:
                    typer.echo(line.rstrip())
            code = process.wait()
        # prometheus_client has no types here.
        mark_process_dead(process.pid, self._environ["PROMETHEUS_MULTIPROC_DIR"])  # type: ignore[no-untyped-call]
        return code


def supervise(site: Site, path: Path, processes: int) -> int:
    """Run so many until a signal ends them; the exit code. OSError if the HTTP port is taken."""
    signals = Signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    with tempfile.TemporaryDirectory(prefix="dicom-router-") as folder:
        children = [_child(path, Path(folder), number) for number in range(processes)]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]

        def unready() -> list[str]:
            missing = sum(not child.ready.is_set() for child in children)
            return [f"{missing} of {processes} processes not ready"] if missing else []

        endpoint = None
        if site.metrics is not None:
            where = site.metrics
            endpoint = serve(where.bind, where.port, dead=list, unready=unready, registry=registry)
        for child in children:
            child.start()
        threading.Thread(target=_greet, args=(children,), daemon=True).start()
        while signals.wait() is signal.SIGHUP:
            for child in children:
                child.signal(signal.SIGHUP)
        _stop(children)
        if endpoint is not None:
            endpoint.close()
        return max(child.failed or 0 for child in children)


def end_with_parent() -> None:
    """In a child: end in good order when the parent is gone."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _child(path: Path, folder: Path, number: int) -> Child:
    command = [sys.executable, "-m", "workers", "ingress", "--config", str(path)]
    command += ["--guests", str(folder), "--number", str(number)]
    # Before the interpreter starts: prometheus_client decides when it is imported.
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    return Child(command, environ, speaks=number == 0)


def _greet(children: list[Child]) -> None:
    for child in children:
        child.ready.wait()
    typer.echo("ready")
    sys.stdout.flush()


def _stop(children: list[Child]) -> None:
    for child in children:
        child.stop()
    for child in children:
        if not child.join(STOP_SECONDS):
            log.warning("a receiving process did not end in time")
            child.kill()
