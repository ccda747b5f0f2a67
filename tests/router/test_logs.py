"""Logging: what is written, and what never is."""

import io
import json
import logging
import subprocess
import sys

import pytest
from structlog.typing import FilteringBoundLogger

from router import logs
from router.ledger.errors import LedgerUnavailable


@pytest.fixture(autouse=True)
def _logging_as_before():
    import structlog

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_a_json_object_on_a_line():
    stream = io.StringIO()
    logs.configure(level="info", style="json", to=stream)
    logs.get_logger("egress").info("delivered", destination="pacs", object_id="1")
    (event,) = lines(stream)
    assert str(event.pop("timestamp")).endswith("Z")
    assert event == {
        "area": "egress",
        "event": "delivered",
        "level": "info",
        "destination": "pacs",
        "object_id": "1",
    }


def test_levels_below_the_one_that_is_set_are_silent():
    stream = io.StringIO()
    logs.configure(level="warning", style="json", to=stream)
    logger = logs.get_logger("egress")
    logger.info("nothing")
    logger.warning("something")
    assert [event["event"] for event in lines(stream)] == ["something"]


def test_a_logger_made_before_obeys():
    logger = logs.get_logger("early")
    stream = io.StringIO()
    logs.configure(level="debug", style="json", to=stream)
    logger.debug("seen")
    assert lines(stream)[0]["event"] == "seen"


@pytest.mark.parametrize("style", ["json", "console"])
def test_patient_data_is_dropped_whoever_wrote_it(style: str):
    stream = io.StringIO()
    logs.configure(level="info", style=style, to=stream)  # type: ignore[arg-type]
    keys = dict.fromkeys(logs.PATIENT_KEYS, "DOE^JOHN")
    logs.get_logger("routing").info("routed", object_id="1", **keys)
    logging.getLogger("library").warning("warned", extra=keys)
    assert "DOE" not in stream.getvalue()
    assert "routed" in stream.getvalue()
    assert "warned" in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_tracebacks_come_without_local_variables(style: str):
    stream = io.StringIO()
    logs.configure(level="info", style=style, to=stream)  # type: ignore[arg-type]
    fail_with_a_header(logs.get_logger("routing"))
    said = stream.getvalue()
    assert "ZeroDivisionError" in said
    assert "fail_with_a_header" in said
    assert "PATIENT-1" not in said


@pytest.mark.parametrize("style", ["json", "console"])
def test_errors_that_may_quote_a_value_are_told_without_their_words(style: str):
    stream = io.StringIO()
    logs.configure(level="info", style=style, to=stream)  # type: ignore[arg-type]
    name = "DOE^JOHN"
    for error in (ValueError(name), KeyError(name), OSError(2, "gone", name)):
        try:
            try:
                raise error
            except Exception as cause:
                raise RuntimeError(name) from cause
        except RuntimeError:
            logs.get_logger("routing").exception("failed")
            logging.getLogger("library").exception("failed too")
    said = stream.getvalue()
    assert "DOE" not in said
    for words in (
        "RuntimeError",
        "ValueError",
        "KeyError",
        "FileNotFoundError: gone",
        "raise error",
    ):
        assert words in said


@pytest.mark.parametrize("style", ["json", "console"])
def test_our_own_errors_keep_their_words(style: str):
    stream = io.StringIO()
    logs.configure(level="info", style=style, to=stream)  # type: ignore[arg-type]
    for error in (LedgerUnavailable("connection refused"), AttributeError("no attribute x")):
        try:
            raise error
        except (LedgerUnavailable, AttributeError):
            logs.get_logger("ledger").exception("failed")
    assert "LedgerUnavailable: connection refused" in stream.getvalue()
    assert "no attribute x" in stream.getvalue()


def test_what_is_no_uid_is_not_logged_as_one():
    stream = io.StringIO()
    logs.configure(level="info", style="json", to=stream)
    logs.get_logger("ingress").info("refused", sop_instance_uid="DOE^JOHN", study_uid="1.2.3")
    (event,) = lines(stream)
    assert (event["sop_instance_uid"], event["study_uid"]) == ("(not a UID)", "1.2.3")


def test_a_terminal_is_told_nothing_that_it_would_obey():
    stream = io.StringIO()
    logs.configure(level="info", style="console", to=stream)
    logs.get_logger("ingress").warning(
        "rejected", calling_ae_title="\x1b[31mCT\u202e\n", ours="CT 1"
    )
    logging.getLogger("library").warning("of \x1b[31m%s", "\r")
    said = stream.getvalue()
    assert said.count("\n") == 2
    assert all(line.isprintable() for line in said.splitlines())
    assert r"\x1b[31mCT" in said
    assert "ours='CT 1'" in said


def test_standard_error_may_be_replaced(monkeypatch: pytest.MonkeyPatch):
    with io.StringIO() as first, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", first)
        logs.configure(level="info", style="json")
        logs.get_logger("egress").info("one")
        assert [event["event"] for event in lines(first)] == ["one"]
    second = io.StringIO()
    monkeypatch.setattr(sys, "stderr", second)
    logs.get_logger("egress").info("two")
    logging.getLogger("library").info("three")
    assert [event["event"] for event in lines(second)] == ["two", "three"]


def test_a_process_says_nothing_past_its_log():
    """Warnings of libraries and errors that nobody caught, in a process of its own."""
    program = """
import threading, warnings
from router import logs
logs.configure(level="debug", style="json")
logs.catch_all()
warnings.warn("DOE^JOHN is no date")
thread = threading.Thread(target=lambda: int("DOE^JOHN"), name="worker")
thread.start()
thread.join()
int("DOE^JOHN again")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    first, last = map(json.loads, done.stderr.splitlines())
    assert (first["event"], first["thread"]) == ("a thread failed", "worker")
    assert last["event"] == "the process failed"
    for event in (first, last):
        assert "ValueError" in str(event.pop("exception"))
        assert "DOE" not in str(event)


def fail_with_a_header(logger: FilteringBoundLogger) -> None:
    header = "PATIENT-1"
    try:
        _ = len(header) / 0
    except ZeroDivisionError:
        logger.exception("failed")
        logging.getLogger("library").exception("failed too")


def test_libraries_log_the_same_way():
    stream = io.StringIO()
    logs.configure(level="info", style="json", to=stream)
    logging.getLogger("some.library").info("upgraded %s", "x")
    logging.getLogger("some.library").debug("silent")
    (event,) = lines(stream)
    assert (event["area"], event["event"], event["level"]) == ("some.library", "upgraded x", "info")
