"""One file, one mistake: what the user is told, and where.

The first line of each file says what is expected: its line, key, suggestion, and a part of the
message.
"""

from pathlib import Path

import pytest

from rules.documents import DocumentError
from rules.loading import load_rules

FILES = sorted((Path(__file__).parent / "broken").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_broken_file_names_line_key_and_what_was_meant(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    head = text.splitlines()[0].removeprefix("# line ")
    line, key, suggestion, says = (part.strip() for part in head.split("|"))
    copy = tmp_path / path.name
    copy.write_text(text, encoding="utf-8")

    with pytest.raises(DocumentError) as caught:
        load_rules(tmp_path, destinations=["ai", "pacs"])

    [problem] = caught.value.problems
    assert (problem.line, problem.key, problem.suggestion or "") == (int(line), key, suggestion)
    assert says in problem.message
    assert problem.file == str(copy)
    assert str(problem).startswith(f"{copy}:{line}:{problem.column}: ")


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 50


def test_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "20.yaml").write_text("routes: [{name: b, send_to: nowhere}]\n")
    (tmp_path / "10.yaml").write_text("routes: [{name: a, sendto: pacs}]\n")
    (tmp_path / "30.yaml").write_text("routes: [\n")
    (tmp_path / "40.yaml").write_bytes(b"routes:\n- name: \xff\n")

    with pytest.raises(DocumentError) as caught:
        load_rules(tmp_path, destinations=["pacs"])

    where = [(Path(p.file).name, p.line, p.key) for p in caught.value.problems]
    assert where == [
        ("10.yaml", 1, "routes[0].send_to"),
        ("10.yaml", 1, "routes[0].sendto"),
        ("20.yaml", 1, "routes[0].send_to"),
        ("30.yaml", 2, ""),
        ("40.yaml", 2, ""),
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
