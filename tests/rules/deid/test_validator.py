"""dicom-validator, another maker's, finds no error that a file did not have before (2024e)."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_deidentified
from tests.programs import missing

STANDARD = Path(__file__).parents[3] / ".peers" / "standard"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["retain modified dates", "retain patient characteristics", "clean descriptors"],
        ["clean structured content", "retain safe private", "retain uids"],
    ],
    ids=["basic", "longitudinal", "reports"],
)
def test_no_file_gets_less_valid(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if not (STANDARD / "module_info.json").is_file():
        raise missing("the standard's tables are not there (scripts/install_peers.sh)")
    assert check_deidentified.main(STANDARD, options) == 0, capsys.readouterr().out
    judged = int(capsys.readouterr().out.split()[0])
    assert judged > 220
