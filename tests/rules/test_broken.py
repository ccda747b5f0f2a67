"""One mistake in each: what the user is told, and where, and what to write instead.

`broken/` has a folder for each kind of file. A case is a file, whose first line says what is
expected; or a folder of files, the first of which says so, beginning with the file's name:

    # line 5 | key | what to write | a part of the message
    # mrn.csv | 5 | key | what to write | a part of the message

Whoever has another kind of file adds a folder, and how it is read to READERS.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from router.config import load_site
from rules.documents.reading import DocumentError, Problem
from rules.encoded.data_set import EncodedDataSet
from rules.loading import load_rules, rules_of_texts
from rules.scenarios.running import run_scenarios

FOLDER = Path(__file__).parent / "broken"
CASES = sorted(
    path for kind in FOLDER.iterdir() for path in kind.iterdir() if not path.name.startswith(".")
)
KEYS = {"research": "a secret of many characters"}


class Expected(NamedTuple):
    """`line` counts from 1; no `hint` means that none is given."""

    file: str
    line: int
    key: str
    hint: str
    says: str


def expectation(case: Path) -> Expected:
    first = min(case.iterdir()) if case.is_dir() else case
    head = first.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    if not case.is_dir():
        head = f"{case.name} | {head.removeprefix('line ')}"
    file, line, key, hint, says = (part.strip() for part in head.split("|"))
    return Expected(file, int(line), key, hint, says)


def read_rules(folder: Path) -> None:
    load_rules(folder, destinations=["ai", "pacs"], keys=KEYS, vault=False)


def read_tests(folder: Path) -> None:
    table = rules_of_texts({"10.yaml": "routes: [{name: all, send_to: pacs}]"})
    run_scenarios(table, sorted(folder.iterdir()), read_sample=_read_sample)


def _read_sample(path: Path) -> EncodedDataSet:
    return EncodedDataSet.read(path.read_bytes(), "1.2.840.10008.1.2.1")


def read_site(folder: Path) -> None:
    [path] = folder.iterdir()
    load_site(path, {})


READERS: dict[str, Callable[[Path], None]] = {
    "rules": read_rules,
    "tables": read_rules,
    "tests": read_tests,
    "site": read_site,
}


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_mistake_is_told_with_line_key_and_what_was_meant(case: Path, tmp_path: Path) -> None:
    expected = expectation(case)
    if case.is_dir():
        shutil.copytree(case, tmp_path, dirs_exist_ok=True)
    else:
        shutil.copy(case, tmp_path)

    with pytest.raises(DocumentError) as caught:
        READERS[case.parent.name](tmp_path)

    problem: Problem
    [problem] = caught.value.problems
    told = (Path(problem.file).name, problem.line, problem.key, problem.suggestion or "")
    assert told == expected[:4]
    assert expected.says in problem.message
    assert Path(problem.file).parent == tmp_path
    assert str(problem).startswith(f"{problem.file}:{expected.line}:{problem.column}: ")


def test_there_are_enough_of_every_kind() -> None:
    by_kind = {kind: len([c for c in CASES if c.parent.name == kind]) for kind in READERS}
    assert sum(by_kind.values()) == len(CASES) >= 100
    assert all(count >= 7 for count in by_kind.values())


def test_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "20.yaml").write_text("routes: [{name: b, send_to: nowhere}]\n")
    (tmp_path / "10.yaml").write_text("routes: [{name: a, sendto: pacs}]\n")
    (tmp_path / "30.yaml").write_text("routes: [\n")
    (tmp_path / "40.yaml").write_bytes(b"routes:\n- name: \xff\n")
    (tmp_path / "50.yaml").write_text(
        "routes: [{name: c, send_to: pacs, edits: [{lookup: {tag: PatientID, table: t.csv}}]}]\n"
    )
    (tmp_path / "t.csv").write_text("a,b\n1,2\n1,3\n")

    with pytest.raises(DocumentError) as caught:
        load_rules(tmp_path, destinations=["pacs"])

    where = [(Path(p.file).name, p.line, p.key) for p in caught.value.problems]
    assert where == [
        ("10.yaml", 1, "routes[0].send_to"),
        ("10.yaml", 1, "routes[0].sendto"),
        ("20.yaml", 1, "routes[0].send_to"),
        ("30.yaml", 2, ""),
        ("40.yaml", 2, ""),
        ("t.csv", 3, "a"),
    ]


def test_a_sound_route_beside_a_broken_one_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "10.yaml").write_text(
        "routes:\n- {name: a, sendto: pacs}\n- {name: b, send_to: pacs, when: {Modallity: CT}}\n"
    )

    with pytest.raises(DocumentError) as caught:
        load_rules(tmp_path, destinations=["pacs"])

    assert [p.line for p in caught.value.problems] == [2, 2, 3]


def test_no_folder_is_a_mistake_and_an_empty_one_is_not(tmp_path: Path) -> None:
    assert load_rules(tmp_path, destinations=[]).routes == ()
    with pytest.raises(DocumentError, match="no such folder"):
        load_rules(tmp_path / "rulse", destinations=[])
