"""What faults need of the machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.small_disk import SmallDisk, mounted

MakeDisk = Callable[[str, int], SmallDisk]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Makes a disk under this name, of so many megabytes; skips where nothing may be mounted."""
    with contextlib.ExitStack() as disks:

        def make(name: str, megabytes: int) -> SmallDisk:
            try:
                return disks.enter_context(mounted(tmp_path / name, megabytes))
            except OSError as error:
                pytest.skip(f"no small disk: {error}")

        yield make
