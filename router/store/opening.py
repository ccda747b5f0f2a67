"""The store and the spool that a site names."""

import uuid
from pathlib import Path

from router.config import Site
from router.config_store import StoreFolder
from router.logs import get_logger
from router.store.directory import DirectoryStore
from router.store.port import Store, StoreUnavailable
from router.store.s3 import S3Store
from router.store.s3_errors import StoreRefuses
from router.store.spool import Spool

NODE_FILE = "spool.id"

log = get_logger("store")


def open_store(site: Site) -> Store:
    """The store of a site, ready for work; after a fork, since it has threads.

    StoreRefuses where only a person can help: no such bucket, wrong credentials. A store that is
    away is waited for by whoever needs it. OSError for a folder that cannot be had.
    """
    if isinstance(site.store, StoreFolder):
        return DirectoryStore(site.store.path)
    temporary = site.spool_path if site.spool_path.is_dir() else None
    store = S3Store(site.store, site.s3, temporary=temporary)
    try:
        store.check()
    except StoreRefuses as error:
        raise StoreRefuses(error.errno, f"{site.store}: {error.strerror}") from None
    except StoreUnavailable as error:
        log.warning("store away at the start", store=str(site.store), reason=error.strerror)
    return store


def open_spool(site: Site, store: Store, *, process: str | None = None) -> Spool:
    """What is received is written here: into the store itself, or on this machine's disk first.

    `process`: names one of several processes that receive on this machine; each has a spool of
    its own below the site's folder, since the scan at a start takes what it finds for its own.
    """
    if not site.spool_is_apart:
        return Spool(store)
    return Spool(DirectoryStore(spool_folder(site, process), keep_newest=True))


def spool_folder(site: Site, process: str | None = None) -> Path:
    """The folder of one process's spool."""
    return site.spool_path if process is None else site.spool_path / process


def spool_node(site: Site, process: str | None = None) -> str:
    """The spool's name in the ledger. One that is apart has it in a file of its own, so that it
    keeps it when its disk moves to another machine, or the machine is called another way."""
    if not site.spool_is_apart:
        return str(site.spool_path)[-128:]
    file = spool_folder(site, process) / NODE_FILE
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(uuid.uuid4().hex + "\n", encoding="ascii")
        return file.read_text(encoding="ascii").strip()
