"""docs/configuration.md says of every setting that it exists, and its default."""

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter

from router.config import Site, StoreBucket, StoreFolder, load_site

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
ROW = re.compile(r"\| `(?P<key>\w+)` \|(?P<default>.*?)\|(?P<meaning>.+)\|")


def documented() -> dict[str, dict[str, str]]:
    """Heading to its table: key to default as written."""
    found: dict[str, dict[str, str]] = {}
    heading = ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif row := ROW.fullmatch(line):
            found.setdefault(heading, {})[row["key"]] = row["default"].strip()
    return found


def blocks(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        for below, is_list in models_in(field.annotation):
            if below not in (StoreFolder, StoreBucket):
                step = f"{name}[]" if is_list else name
                yield from blocks(below, step if path == "Site" else f"{path}.{step}")


def models_in(kind: Any, is_list: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind, is_list
    elif get_origin(kind) in (Union, types.UnionType, tuple):
        for item in get_args(kind):
            yield from models_in(item, is_list or get_origin(kind) is tuple)


# A list's own table stands under its plain name; what lies below it says that it is a list.
BLOCKS = {path.removesuffix("[]"): model for path, model in blocks(Site, "Site")}
WRITTEN = documented()


@pytest.mark.parametrize("path", BLOCKS)
def test_every_setting_is_documented_and_no_other(path: str):
    keys = [field.alias or name for name, field in BLOCKS[path].model_fields.items()]
    assert list(WRITTEN.get(path, {})) == keys, path


@pytest.mark.parametrize("path", BLOCKS)
def test_documented_defaults_are_the_defaults(path: str):
    for name, field in BLOCKS[path].model_fields.items():
        key = field.alias or name
        told = WRITTEN[path][key]
        if field.is_required():
            assert told == "", f"{path}.{key} has no default"
        elif told.startswith("`"):
            read = TypeAdapter(field.rebuild_annotation()).validate_python(told.strip("`"))
            default = TypeAdapter(field.rebuild_annotation()).validate_python(field.default)
            assert read == default, f"{path}.{key}"
        elif isinstance(field.default, BaseModel):
            assert told == "", f"{path}.{key} is a block"
        else:
            assert field.default in (None, (), {}), f"{path}.{key} needs its default"
            assert told, f"{path}.{key} needs words for its default"


def test_the_example_is_sound(tmp_path: Path):
    example = DOCUMENT.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "site.yaml"
    path.write_text(example, encoding="utf-8")
    assert load_site(path, {}).destination_names == ("pacs", "research")


def test_links_lead_somewhere():
    text = DOCUMENT.read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^\w-]", "", line.lstrip("#").strip().lower().replace(" ", "-"))
        for line in text.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
