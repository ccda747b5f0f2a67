"""Structured logging, to standard error: for people on a console, or a JSON object a line.

An event is a short sentence and its ids (`object_id`, `association_id`, `destination`). What could
say who the patient is never leaves: keys that hold it are dropped here, whoever wrote them.
"""

import logging
import sys
from typing import Literal, TextIO, cast

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]

#: Attributes that identify a patient, under the names our code would give them.
PATIENT_KEYS = frozenset(
    {
        "accession_number",
        "birth_date",
        "data_set",
        "identifiers",
        "other_patient_ids",
        "patient",
        "patient_birth_date",
        "patient_id",
        "patient_name",
        "study_description",
    }
)

#: Libraries that tell of every task or migration; what they warn of is worth a line.
TALKATIVE = ("alembic", "celery", "kombu")


def get_logger(area: str) -> FilteringBoundLogger:
    """A logger whose events carry `area`. Before `configure`, it shows warnings and errors."""
    if not structlog.is_configured():
        configure(level="warning", style="console")
    return cast(FilteringBoundLogger, structlog.get_logger(area=area))


def configure(*, level: Level, style: Literal["console", "json"], to: TextIO | None = None) -> None:
    """Set how this process logs; libraries that use `logging` go the same way."""
    stream = to if to is not None else sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        without_patient_data,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last = _last_processors(style, stream)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,  # a process is configured after its modules are imported
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared, _name_as_area],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def without_patient_data(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop every key that names a patient."""
    for key in PATIENT_KEYS.intersection(event):
        del event[key]
    return event


def _name_as_area(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event.setdefault("area", record.name)
    return event


def _last_processors(style: str, stream: TextIO) -> list[Processor]:
    # Never the local variables of a traceback: an object's header may be among them.
    if style == "json":
        frames = ExceptionDictTransformer(show_locals=False)
        as_dict = structlog.processors.ExceptionRenderer(frames)
        return [as_dict, structlog.processors.JSONRenderer()]
    plain = structlog.dev.plain_traceback
    return [
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain),
    ]
