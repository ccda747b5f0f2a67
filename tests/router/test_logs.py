"""Logging: what is written, and what never is."""

import io
import json
import logging

import pytest
from structlog.typing import FilteringBoundLogger

from router import logs


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
