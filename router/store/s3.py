"""A store in a bucket: `<prefix>/<bucket of the id>/<object id>.dcm`, whole or not there at all.

Every request is bounded in time and repeated a few times with growing pauses; what still fails is
StoreUnavailable. Uploads carry a checksum that the server compares. Readers take ranges.
"""

import errno
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import S3Store as Client

from router.config_store import S3Settings, StoreBucket
from router.store.ids import BUCKET_DIGITS, bucket_of, is_object_id
from router.store.port import Aborting, Bytes, Store
from router.store.recent import Recent, RecentFile
from router.store.remote_file import READ_BLOCK, RemoteFile
from router.store.s3_errors import translated

if TYPE_CHECKING:
    from obstore import WritableFile
    from obstore.store import ClientConfig, S3Config

SUFFIX = ".dcm"
PART = 8 << 20
"""What is not longer goes up in one request, the rest in parts of this size: a writer holds at
most three of them, and S3's 10,000 parts make 80 GB."""
PARTS_AT_ONCE = 2
READERS = 16
"""Threads that read ahead, for all associations together; they mostly wait."""

_RETRIES = 3
_FIRST_PAUSE = timedelta(milliseconds=100)
_LONGEST_PAUSE = timedelta(seconds=2)
_CONNECT = timedelta(seconds=5)
_CHECK = ".check"


class S3Writer(Aborting):
    """One new object: gathered in memory, or sent in parts once it is longer than one."""

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key
        self._gathered = bytearray()
        self._parts: WritableFile | None = None
        self.size = 0

    def write(self, data: Bytes) -> None:
        self._gathered += data
        self.size += len(data)
        if len(self._gathered) > PART:
            self._send()

    def writev(self, pieces: Sequence[Bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def write_at(self, offset: int, data: Bytes) -> None:
        gone = self.size - len(self._gathered)
        if offset < gone:
            raise OSError(errno.ESPIPE, "what was written has left for the store")
        self._gathered[offset - gone : offset - gone + len(data)] = data

    def commit(self, sync: bool = True) -> None:
        with translated("write"):
            if self._parts is None:
                obstore.put(self._client, self._key, bytes(self._gathered), use_multipart=False)
            else:
                self._send()
                self._parts.close()
        self._gathered.clear()

    def abort(self) -> None:
        """Parts that are at the server already stay there, unseen, until its own rules end it."""
        self._gathered.clear()
        self._parts = None

    def _send(self) -> None:
        with translated("write"):
            if self._parts is None:
                self._parts = obstore.open_writer(
                    self._client, self._key, buffer_size=PART, max_concurrency=PARTS_AT_ONCE
                )
            self._parts.write(bytes(self._gathered))
        self._gathered.clear()


class S3Store:
    """Objects in a bucket of an S3 server. Make it after a fork, not before: it has threads."""

    def __init__(
        self,
        where: StoreBucket,
        settings: S3Settings,
        *,
        temporary: Path | None = None,
        recent: Recent | None = None,
    ) -> None:
        """Asks nothing of the server yet. `temporary`: the folder for objects that must be had
        whole; None for the system's. `recent`: what need not be asked for."""
        self._client = _client(where, settings)
        self._temporary = temporary
        self._recent = recent
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    def check(self) -> None:
        """Whether we may list and write. StoreRefuses for what only a person can change."""
        with translated("check"):
            next(iter(obstore.list(self._client, _CHECK, chunk_size=1)), None)
            obstore.put(self._client, _CHECK, b"written at the start of a router")

    def create(self, object_id: str) -> S3Writer:
        return S3Writer(self._client, _key(object_id))

    def adopt(self, object_id: str, source: Store) -> bool:
        return False

    def open(self, object_id: str, *, ahead: int | None = None) -> RemoteFile | RecentFile:
        if self._recent is not None and (content := self._recent.find(object_id)) is not None:
            return RecentFile(content, partial(self._open, object_id, ahead))
        return self._open(object_id, ahead)

    def _open(self, object_id: str, ahead: int | None) -> RemoteFile:
        return RemoteFile(
            self._client,
            _key(object_id),
            readers=self._readers,
            ahead=READ_BLOCK if ahead is None else ahead,
            temporary=self._temporary,
        )

    def delete(self, object_ids: Iterable[str]) -> int:
        object_ids = list(object_ids)
        keys = [_key(object_id) for object_id in object_ids]
        if self._recent is not None:
            self._recent.forget(object_ids)
        if keys:
            with translated("delete"):
                obstore.delete(self._client, keys)
        return len(keys)

    def free_bytes(self) -> int:
        return sys.maxsize

    def buckets(self) -> list[str]:
        with translated("list"):
            found = obstore.list_with_delimiter(self._client)["common_prefixes"]
        names = (path.rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if _is_bucket(name))

    def ids_in(self, bucket: str) -> list[str]:
        if not _is_bucket(bucket):
            return []
        with translated("list"):
            found = obstore.list(self._client, bucket).collect()
        names = (one["path"].rpartition("/")[2] for one in found)
        stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
        return sorted(stem for stem in stems if is_object_id(stem))

    def close(self) -> None:
        """End the threads that read ahead."""
        self._readers.shutdown(wait=False, cancel_futures=True)


def _client(where: StoreBucket, settings: S3Settings) -> Client:
    config: S3Config = {
        "region": settings.region,
        "virtual_hosted_style_request": not settings.path_style,
    }
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
    if settings.access_key_id is not None and settings.secret_access_key is not None:
        config["access_key_id"] = settings.access_key_id
        config["secret_access_key"] = settings.secret_access_key
    if settings.session_token is not None:
        config["session_token"] = settings.session_token
    if settings.checksum == "crc64nvme":
        config["checksum_algorithm"] = "CRC64NVME"
        config["unsigned_payload"] = True
    options: ClientConfig = {
        "allow_http": (settings.endpoint or "").startswith("http://"),
        "timeout": timedelta(seconds=settings.timeout),
        "connect_timeout": min(_CONNECT, timedelta(seconds=settings.timeout)),
    }
    if settings.ca is not None:
        options["root_certificate"] = settings.ca.read_bytes()
    with translated("open"):
        return Client(
            where.bucket,
            prefix=where.prefix or None,
            config=config,
            client_options=options,
            retry_config={
                "max_retries": _RETRIES,
                "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE},
                "retry_timeout": timedelta(seconds=settings.timeout),
            },
        )


def _key(object_id: str) -> str:
    if not is_object_id(object_id):
        raise ValueError("not an object id")
    return f"{bucket_of(object_id)}/{object_id}{SUFFIX}"


def _is_bucket(name: str) -> bool:
    return len(name) == BUCKET_DIGITS and is_object_id(name + "0" * (32 - BUCKET_DIGITS))
