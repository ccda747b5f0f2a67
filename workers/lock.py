"""One embedded router a store: a lock on the folder, released by the system however we end."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

LOCK_FILE = "router.lock"


class AlreadyRunning(OSError):
    """Another router works on this store."""


def lock_folder(folder: Path) -> TextIO:
    """Lock the store until the file returned is closed, or the process is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / LOCK_FILE).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AlreadyRunning(f"another router works on the store {folder}") from None
    return file
