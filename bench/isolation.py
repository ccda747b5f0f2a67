"""What a dead, a hanging and a slow destination cost a live one: `python -m bench.isolation`.

Every object goes to the live destination alone; or also to three that are well, held by a person
and so only owed; or to three that are not well. By turns, each with a new router; the figure is
the live destination's rate. The second tells what it costs to owe four deliveries instead of one.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys

from bench.live import LiveSite, Played, dicom, misbehaving, start_site
from bench.processes import free_port
from bench.scenarios import _folder, clean_up

Load = tuple[int, str, int]
"""Objects, their kind, associations that send them."""
WARM = 500
"""Objects before the clock starts: a router that has just begun opens its associations first."""
OTHERS = ("dead", "hanging", "slow")
ALL = ("live", *OTHERS)
HANGING_SECONDS = 3600.0
SLOW_SECONDS = 0.3


def alone(load: Load) -> Played:
    """To the live destination only."""
    with _folder() as folder:
        site = start_site(folder)
        try:
            return played(site, load)
        finally:
            site.stop()


def beside_held(load: Load) -> Played:
    """Three more deliveries are owed of each object, and nobody works on them."""
    with _folder() as folder:
        site = start_site(folder, [dicom(name, free_port()) for name in OTHERS], send_to=ALL)
        try:
            for name in OTHERS:
                command = [sys.executable, "-m", "workers", "queue", "stop", name, "--config"]
                command.append(str(folder / "site.yaml"))
                subprocess.run(command, check=True, capture_output=True)
            return played(site, load)
        finally:
            site.stop()


def beside_sick(load: Load) -> Played:
    """The same, with three destinations that do not take what they are sent."""
    with _folder() as folder, contextlib.ExitStack() as processes:
        hanging, hanging_port = misbehaving(folder, "hanging", HANGING_SECONDS)
        processes.callback(hanging.stop)
        slow, slow_port = misbehaving(folder, "slow", SLOW_SECONDS)
        processes.callback(slow.stop)
        ports = (free_port(), hanging_port, slow_port)
        others = [dicom(name, port) for name, port in zip(OTHERS, ports, strict=True)]
        site = start_site(folder, others, send_to=ALL)
        try:
            return played(site, load)
        finally:
            site.stop()


def played(site: LiveSite, load: Load) -> Played:
    """The load's figures, once the router has run in."""
    site.play(WARM, *load[1:])
    return site.play(*load)


def told(name: str, ratios: list[float]) -> str:
    return f"{name} {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    """Play and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.isolation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--kind", choices=["ct", "small"], default="ct")
    parser.add_argument("--associations", type=int, default=1)
    chosen = parser.parse_args()
    load = (chosen.count, chosen.kind, chosen.associations)
    held: list[float] = []
    sick: list[float] = []
    try:
        for number in range(chosen.rounds + 1):
            one, two, three = alone(load), beside_held(load), beside_sick(load)
            note = "" if number else "  (warm-up, not counted)"
            print(f"alone {one}, beside held {two}, beside sick {three}{note}", flush=True)
            if number:
                held.append(two.rate / one.rate)
                sick.append(three.rate / one.rate)
    finally:
        clean_up()
    print(f"{chosen.kind}, {chosen.associations} associations, of the rate alone:")
    print(told("beside held ones", held))
    print(told("beside a dead, a hanging and a slow one", sick))


if __name__ == "__main__":
    main()
