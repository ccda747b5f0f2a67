"""What the benchmark reads of its receiver."""

from pathlib import Path

from bench.null_receiver import Count, counts


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("")
    assert counts(log) == []
    log.write_text('a warning\n{"count": 12, "at": 3.5}\n{"count": 2')
    assert counts(log) == [Count(12, 3.5)]
