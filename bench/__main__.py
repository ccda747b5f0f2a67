"""`python -m bench [--rounds N] [--only WORD] [--quick]`: plays every scenario, writes the results.

Contestants play by turns (A B C A B C …), so that a machine that drifts drifts for all of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import report
from bench.processes import path_to_others
from bench.scenarios import Figures, Scenario, all_scenarios, clean_up

RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Play, tell, write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds after a warm-up")
    parser.add_argument("--only", default="", help="scenarios whose name has this word")
    parser.add_argument("--quick", action="store_true", help="a tenth of the objects")
    chosen = parser.parse_args()
    os.environ["PATH"] = path_to_others(os.environ["PATH"])
    scenarios = [s for s in all_scenarios(chosen.quick) if chosen.only in s.name]
    results = {}
    try:
        for scenario in scenarios:
            print(
                f"\n{scenario.name}: {scenario.count} objects, {chosen.rounds} rounds", flush=True
            )
            results[scenario.name] = play(scenario, chosen.rounds)
            print(report.table(scenario, results[scenario.name]), flush=True)
    finally:
        clean_up()
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    machine = report.machine()
    (RESULTS / f"{stamp}.json").write_text(
        json.dumps({"machine": machine, "at": stamp, "scenarios": _plain(results)}, indent=1)
    )
    (RESULTS / f"{stamp}.md").write_text(report.markdown(machine, scenarios, results))
    print(f"\nwritten: {RESULTS / stamp}.json and .md")


def play(scenario: Scenario, rounds: int) -> dict[str, list[Figures]]:
    """The figures of each contestant, round by round; the warm-up round is not among them."""
    figures: dict[str, list[Figures]] = {name: [] for name in scenario.contestants}
    for turn in range(rounds + 1):
        for name, start in scenario.contestants.items():
            one = scenario.play(scenario.for_one(name), start, time.time_ns())
            if turn:
                figures[name].append(one)
                print(f"  {name}: {one.rate:,.0f}/s, {one.cpu_ms:.2f} ms", flush=True)
    return figures


def _plain(results: dict[str, dict[str, list[Figures]]]) -> dict[str, object]:
    return {
        scenario: {
            name: {
                "rate": statistics.median(one.rate for one in rounds),
                "rounds": [dataclasses.asdict(one) for one in rounds],
            }
            for name, rounds in figures.items()
        }
        for scenario, figures in results.items()
    }


if __name__ == "__main__":
    main()
