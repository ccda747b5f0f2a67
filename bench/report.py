"""The results as tables: medians, spread, and ratios pair by pair."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from bench.scenarios import Figures, Scenario

Rounds = Mapping[str, Sequence[Figures]]


def table(scenario: Scenario, figures: Rounds) -> str:
    """One scenario in Markdown; ratios are of this router (the first) to each other contestant."""
    ours = next(iter(figures))
    lines = [
        "| who | objects/s (min–max) | CPU ms each | peak MB | ratio |",
        "|---|---|---|---|---|",
    ]
    for name, rounds in figures.items():
        rates = [one.rate for one in rounds]
        ratio = ""
        if name != ours:
            pairs = [
                mine.rate / other.rate for mine, other in zip(figures[ours], rounds, strict=True)
            ]
            ratio = f"{statistics.median(pairs):.2f} ({min(pairs):.2f}–{max(pairs):.2f})"
        lines.append(
            f"| {name} | {statistics.median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f}) "
            f"| {statistics.median(one.cpu_ms for one in rounds):.2f} "
            f"| {max(one.peak_mb for one in rounds):.0f} | {ratio} |"
        )
    return "\n".join(lines)


def machine() -> dict[str, str]:
    """What the figures belong to."""
    cpu = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    found = {
        "cpu": f"{os.cpu_count()} × {cpu}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
    for program, option in (("storescp", "--version"), ("Orthanc", "--version")):
        path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if path:
            said = subprocess.run([path, option], capture_output=True, text=True).stdout
            found[program] = said.splitlines()[0] if said else "?"
    found["pynetdicom"] = version("pynetdicom")
    return found


def markdown(
    about: Mapping[str, str], scenarios: Sequence[Scenario], results: Mapping[str, Rounds]
) -> str:
    """The whole run."""
    lines = ["# Results", "", *(f"* {key}: {value}" for key, value in about.items())]
    for scenario in scenarios:
        if scenario.name in results:
            lines += ["", f"## {scenario.name}", "", table(scenario, results[scenario.name])]
    return "\n".join(lines) + "\n"
