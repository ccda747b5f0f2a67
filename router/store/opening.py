"""The store and the spool that a site names."""

import contextlib
import errno
import fcntl
import uuid
from pathlib import Path
from typing import TextIO

from router.config import Site
from router.config_store import StoreFolder
from router.logs import get_logger
from router.store.directory import DirectoryStore
from router.store.port import Store, StoreUnavailable
from router.store.recent import Recent
from router.store.s3 import S3Store
from router.store.s3_errors import StoreRefuses
from router.store.spool import Spool

LOCK_FILE = "spool.lock"
NODE_FILE = "spool.id"
MOST_PROCESSES = 64

log = get_logger("store")


def open_store(site: Site, recent: Recent | None = None) -> Store:
    """The store of a site, ready for work; after a fork, since it has threads. `recent`: where this
    process keeps what it receives, if it does the rest, too.

    StoreRefuses where only a person can help: no such bucket, wrong credentials. A store that is
    away is waited for by whoever needs it. OSError for a folder that cannot be had.
    """
    if isinstance(site.store, StoreFolder):
        return DirectoryStore(site.store.path, recent=recent)
    temporary = site.spool_path if site.spool_path.is_dir() else None
    store = S3Store(site.store, site.s3, temporary=temporary, recent=recent)
    try:
        store.check()
    except StoreRefuses as error:
        raise StoreRefuses(error.errno, f"{site.store}: {error.strerror}") from None
    except StoreUnavailable as error:
        log.warning("store away at the start", store=str(site.store), reason=error.strerror)
    return store


class SpoolTaken(OSError):
    """Another process receives into this folder."""


def open_spool(site: Site, written: Spool, recent: Recent | None = None) -> Spool:
    """Where this process receives: `written`, into the store itself, or this machine's disk first.

    `written` is the spool of what the process writes into the store. A spool belongs to one
    process, since the scan at a start takes what it finds for its own: it stays locked while the
    process lives. One that is apart is the first free numbered folder in the site's, so that
    several processes of a machine can receive. SpoolTaken, OSError.
    """
    if not site.spool_is_apart:
        try:
            written.lock = _locked(site.spool_path)
        except BlockingIOError:
            words = f"another process receives into {site.spool_path}: each needs a `spool`"
            raise SpoolTaken(errno.EBUSY, words) from None
        return written
    for number in range(MOST_PROCESSES):
        folder = site.spool_path / str(number)
        with contextlib.suppress(BlockingIOError):
            lock = _locked(folder)
            kept = DirectoryStore(folder, passing=True, recent=recent)
            spool = Spool(kept, node=_node(folder))
            spool.lock = lock
            return spool
    raise SpoolTaken(errno.EBUSY, f"all spools in {site.spool_path} are taken")


def _locked(folder: Path) -> TextIO:
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / LOCK_FILE).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def _node(folder: Path) -> str:
    """The spool's name in the ledger. It lies with the spool, which keeps it when its disk moves
    to another machine, or the machine is called another way."""
    file = folder / NODE_FILE
    if not file.exists():
        file.write_text(uuid.uuid4().hex, encoding="ascii")
    return file.read_text(encoding="ascii")
