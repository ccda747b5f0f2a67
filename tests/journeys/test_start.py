"""What the process says when it starts."""

from pathlib import Path

import pytest

from router.config import load_site, warnings
from tests.faults.router_under_test import RouterUnderTest

pytestmark = pytest.mark.journey


def test_it_warns_of_what_should_not_be_overlooked(tmp_path: Path) -> None:
    router = RouterUnderTest(
        tmp_path,
        destinations=[],
        routes=[],
        durability="unsafe",
        on_no_match="discard",
        forked=False,
    )
    with router:
        assert router.program is not None
        lines = router.program.output().splitlines()
    expected = warnings(load_site(tmp_path / "site.yaml"))
    assert len(expected) == 4
    assert [f"warning: {sentence}" for sentence in expected] == [
        line for line in lines if line.startswith("warning: ")
    ]
    assert lines.index("ready") > max(
        number for number, line in enumerate(lines) if line.startswith("warning: ")
    )
