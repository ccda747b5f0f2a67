"""Which original belongs to which file that came out."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.cli.rules.folder import read_sample
from rules.deid.identity import uid_in_place_of
from rules.encoded.draft import EditFailed
from rules.encoded.forms import MalformedDataSet
from rules.resources import Key
from rules.tags import parse_path

_SOP_INSTANCE = parse_path("SOPInstanceUID")


class Unmatched(Exception):
    """What came out cannot be told to what went in. Names files, no values."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A file that came out and its original."""

    result: Path
    original: Path


def files_of(path: Path) -> list[Path]:
    """The file, or all files of a folder, in order. Unmatched where there is none."""
    found = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    if not found:
        raise Unmatched(f"{path}: no such file, or a folder without files")
    return found


def read_crosswalk(path: Path) -> dict[str, str]:
    """`id_old,id_new` as a mapping from new to old; an id that stands for two is an error."""
    mapping: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"id_old", "id_new"} <= set(rows.fieldnames or ()):
                raise Unmatched(f"{path}: expected the columns id_old,id_new")
            for row in rows:
                old, new = (row["id_old"] or "").strip(), (row["id_new"] or "").strip()
                if mapping.setdefault(new, old) != old:
                    raise Unmatched(f"{path}:{rows.line_num}: this id_new stands for two already")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unmatched(f"{path}: {error}") from None
    return mapping


def pairs_of(
    result: Path, original: Path, crosswalk: dict[str, str] | None, key: Key | None = None
) -> list[Pair]:
    """By the crosswalk of SOP Instance UIDs, or by what the key makes of them; without both, a file
    with a file, and in folders what has the same name there. Unmatched where a result is left
    without an original."""
    results, originals = files_of(result), files_of(original)
    if crosswalk is not None:
        by_uid = {_uid(one): one for one in originals}
        known = {new: by_uid[old] for new, old in crosswalk.items() if old in by_uid}
        return _by_uid(results, known, "the crosswalk leads to none of the originals")
    if key is not None:
        by_uid = {_uid(one): one for one in originals}
        try:
            known = by_uid | {uid_in_place_of(key, old): one for old, one in by_uid.items()}
        except EditFailed as error:
            raise Unmatched(str(error)) from None
        return _by_uid(results, known, "the profile's key makes none of the originals this one")
    if len(results) == len(originals) == 1:
        return [Pair(results[0], originals[0])]
    names = set(originals)
    pairs = []
    for one in results:
        other = original / one.relative_to(result) if result.is_dir() else original / one.name
        if other not in names:
            raise Unmatched(
                f"{one}: there is no file of this name among the originals; say which became "
                "which with --profile or --crosswalk"
            )
        pairs.append(Pair(one, other))
    return pairs


def _by_uid(results: Sequence[Path], originals: Mapping[str, Path], why: str) -> list[Pair]:
    pairs = []
    for one in results:
        other = originals.get(_uid(one))
        if other is None:
            raise Unmatched(f"{one}: {why}")
        pairs.append(Pair(one, other))
    return pairs


def _uid(path: Path) -> str:
    try:
        values = read_sample(path).values(_SOP_INSTANCE)
    except (OSError, ValueError, MalformedDataSet) as error:
        raise Unmatched(f"{path}: {error}") from None
    return values[0] if values else ""
