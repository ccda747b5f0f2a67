"""`dicom-router rules schema`: JSON Schemas for editors."""

import json
from pathlib import Path
from typing import Annotated

import typer

from router.cli.options import Exit, JsonOption, fail
from router.cli.render import say_json


def schema(
    tests: Annotated[
        bool, typer.Option("--tests", help="Of test files (*.test.yaml), not of rule files.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the JSON Schema of rule files, for editors that complete and check YAML."""
    del as_json  # it is JSON anyway
    from rules.json_schema import rules_schema, tests_schema

    described = tests_schema() if tests else rules_schema()
    if output is None:
        say_json(described)
        return
    try:
        output.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        fail(Exit.FAILED, f"cannot write {output}: {error.strerror}")
