"""Four processes, objects in any order, a restart in between: the same UIDs, names and shifts."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom

from tests.rules.conftest import SAMPLES
from tests.rules.deid.test_corpora import run
from tests.rules.deid.test_phantom import FEARLESS

ROOT = Path(__file__).parents[3]
WORKER = """
import random, sys, xxhash
from rules.encoded.draft import EditFailed
from rules.encoded.data_set import MalformedDataSet
from tests.rules.conftest import SAMPLES
from tests.rules.deid.test_corpora import run
from tests.rules.deid.test_phantom import FEARLESS
names = sorted(SAMPLES)[::3]
random.Random(int(sys.argv[1])).shuffle(names)
for name in names:
    try:
        done, data = run(SAMPLES[name], dangers=FEARLESS, options=["retain modified dates"])
    except (EditFailed, MalformedDataSet) as reason:
        print(name, "held", type(reason).__name__)
    else:
        print(name, done.sop_instance_uid, xxhash.xxh3_64_hexdigest(data))
"""


def results(seeds: Iterator[int], processes: int) -> list[list[str]]:
    """What so many processes at the same time make of all samples, each in its own order."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(next(seeds))],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONHASHSEED": "random"},
        )
        for _ in range(processes)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert {process.returncode for process in running} == {0}
    return [output.splitlines() for output in outputs]


def test_all_processes_agree_whatever_the_order_and_after_a_restart() -> None:
    seeds = iter(range(100))
    first = results(seeds, 2)
    again = results(seeds, 2)
    assert len({tuple(lines) for lines in (*first, *again)}) == 4  # other orders
    assert len({tuple(sorted(lines)) for lines in (*first, *again)}) == 1
    assert len(first[0]) >= len(SAMPLES) // 3


def test_objects_of_a_patient_stay_together() -> None:
    """Of one study: one pseudonym, one new study, one shift; nothing shared with another's."""
    ct = SAMPLES["CT_small.dcm"]
    chosen = {"dangers": FEARLESS, "options": ["retain modified dates"]}
    before = ct.decoded()
    shuffled = random.Random(3).sample(range(20), 20)
    seen = set()
    for number in shuffled:
        content = ct.content.replace(
            b"DA\x08\x0020040119", b"DA\x08\x00200401%02d" % (number % 9 + 10)
        )
        one = type(ct)(ct.name, content, ct.syntax, ct.offset)
        after = ct.decoded(run(one, **chosen)[1])
        days = pydicom.valuerep.DA(after.StudyDate) - pydicom.valuerep.DA(one.decoded().StudyDate)
        seen.add((after.PatientID, after.PatientName, after.StudyInstanceUID, days))
    assert len(seen) == 1
    assert before.PatientID not in str(seen)
