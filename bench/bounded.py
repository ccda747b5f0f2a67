"""What size and number cost: `python -m bench.bounded`.

An object of 2 GB: memory and time. 300 idle associations: memory and CPU. A million deliveries
that wait for a dead destination: the start, and a live destination's rate by turns with and
without them.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench.live import Played, dicom, start_site
from bench.processes import Usage, free_port
from bench.scenarios import _folder, clean_up
from tests.faults import backlog
from tests.faults.huge import huge_object
from tests.faults.one_by_one import OneByOne, associate

IDLE = 300
WAITING = 1_000_000


def huge() -> str:
    """2 GB in and out again, unedited."""
    with _folder() as folder, huge_object() as made:
        site = start_site(folder)
        try:
            site.play(50, "small", 1)
            before = site.router.usage()
            began = time.monotonic()
            with OneByOne(site.port) as line:
                line.send([made.header, made.pixels], made.uid)
                stored = time.monotonic() - began
                site.play(1, "small", 1)  # behind it
            after = site.router.usage()
        finally:
            site.stop()
    return (
        f"2 GB: stored in {stored:.1f} s, {after.cpu - before.cpu:.1f} s of CPU in and out, "
        f"peak {after.peak_mb - before.peak_mb:.0f} MB above {before.peak_mb:.0f} MB"
    )


def idle(seconds: float = 10.0) -> str:
    """Associations that are open and say nothing."""
    with _folder() as folder, ExitStack() as lines:
        site = start_site(folder)
        lines.callback(site.stop)
        site.play(50, "small", 1)
        nobody = _share(site.router.usage, seconds)
        before = site.router.usage().peak_mb
        for number in range(IDLE):
            lines.callback(associate(site.port, title=f"CT{number}").abort)
        with_them = _share(site.router.usage, seconds)
        growth = site.router.usage().peak_mb - before
    return (
        f"{IDLE} idle associations: {growth:.0f} MB, {with_them:.1%} of a core "
        f"({nobody:.1%} without them)"
    )


def with_backlog(ledger: Path | None, count: int, kind: str) -> tuple[float, Played]:
    """Seconds to the open port, and the live destination's rate."""
    with _folder() as folder:
        if ledger is not None:
            (folder / "var").mkdir()
            shutil.copy(ledger, folder / "var" / "ledger.db")
        site = start_site(folder, [dicom("dead", free_port())])
        try:
            return site.started_in, site.play(count, kind, 1)
        finally:
            site.stop()


def waiting(rounds: int, count: int, kind: str) -> str:
    """A ledger with a million deliveries, and an empty one, by turns."""
    ratios, starts = [], []
    with _folder() as folder:
        ledger = folder / "ledger.db"
        backlog.owe(ledger, "dead", WAITING)
        for number in range(rounds + 1):
            started, empty = with_backlog(None, count, kind)
            started_full, full = with_backlog(ledger, count, kind)
            print(
                f"empty: up in {started:.2f} s, {empty}; "
                f"{WAITING:,} waiting: up in {started_full:.2f} s, {full}",
                flush=True,
            )
            if number:
                ratios.append(full.rate / empty.rate)
                starts.append(started_full)
    return (
        f"{WAITING:,} waiting deliveries: up in {max(starts):.2f} s at most, live rate "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of the usual"
    )


def _share(usage: Callable[[], Usage], seconds: float) -> float:
    before = usage().cpu
    time.sleep(seconds)
    return (usage().cpu - before) / seconds


def main() -> None:
    """Play and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.bounded", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--kind", choices=["ct", "small"], default="ct")
    chosen = parser.parse_args()
    try:
        print(idle(), flush=True)
        print(huge(), flush=True)
        print(waiting(chosen.rounds, chosen.count, chosen.kind), flush=True)
    finally:
        clean_up()


if __name__ == "__main__":
    main()
