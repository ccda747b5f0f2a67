"""Structured logging, to standard error: for people on a console, or a JSON object a line.

An event is a short sentence and its ids (`object_id`, `association_id`, `destination`). What could
say who the patient is never leaves: keys that hold it are dropped here, whoever wrote them, and so
is what exceptions quote.
"""

import logging
import re
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import (
    EventDict,
    ExcInfo,
    FilteringBoundLogger,
    Processor,
    WrappedLogger,
)

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

#: Packages whose errors promise to quote no values.
OURS = frozenset({"router", "rules", "workers"})

#: Errors whose words are about the program and not about what it works on.
SPEAK_OF_CODE = (AttributeError, ImportError, MemoryError, NameError, RecursionError, TypeError)

#: Libraries that tell of every task or migration; what they warn of is worth a line.
TALKATIVE = ("alembic", "celery", "kombu")


_UID = re.compile(r"[0-9.]{1,64}")


class StandardError:
    """Whatever `sys.stderr` is when something is written: a command run by a test has its own, and
    closes it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def get_logger(area: str) -> FilteringBoundLogger:
    """A logger whose events carry `area`. Before `configure`, it shows warnings and errors."""
    if not structlog.is_configured():
        configure(level="warning", style="console")
    return cast(FilteringBoundLogger, structlog.get_logger(area=area))


def configure(*, level: Level, style: Literal["console", "json"], to: TextIO | None = None) -> None:
    """Set how this process logs; libraries that use `logging` go the same way."""
    stream = to if to is not None else cast(TextIO, StandardError())
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


def catch_all() -> None:
    """Let nothing go to standard error past the log, for a process that runs for long: neither
    exceptions that nobody caught, nor warnings of libraries, which quote values (pydicom's do)."""
    log = get_logger("router")

    def failed(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        log.error("the process failed", exc_info=(kind, error, at))

    def thread_failed(what: threading.ExceptHookArgs) -> None:
        if what.exc_value is not None:
            exc_info = (what.exc_type, what.exc_value, what.exc_traceback)
            log.error("a thread failed", thread=what.thread and what.thread.name, exc_info=exc_info)

    sys.excepthook = failed
    threading.excepthook = thread_failed
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def without_patient_data(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop every key that names a patient, and what stands in place of a UID and is none."""
    for key in PATIENT_KEYS.intersection(event):
        del event[key]
    for key, value in event.items():
        if key.endswith("_uid") and isinstance(value, str) and not _UID.fullmatch(value):
            event[key] = "(not a UID)"
    return event


def _name_as_area(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event.setdefault("area", record.name)
    return event


def _last_processors(style: str, stream: TextIO) -> list[Processor]:
    if style == "json":
        as_text = structlog.processors.ExceptionRenderer(_traceback)
        return [as_text, structlog.processors.JSONRenderer()]

    def below(to: TextIO, exc_info: ExcInfo) -> None:
        to.write("\n" + _traceback(exc_info))

    console = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=below)
    return [_printable, console]


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Nothing that a terminal would obey: a stranger's AE title may be an escape sequence."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() else repr(c)[1:-1] for c in value)
    return event


def _traceback(exc_info: ExcInfo) -> str:
    """Where it happened, and what kind of error it was: never local variables, nor the words of
    an error that may quote a value, such as ValueError's."""
    told = traceback.TracebackException(*exc_info, capture_locals=False)
    causes: list[tuple[traceback.TracebackException, BaseException | None]] = []
    error: BaseException | None = exc_info[1]
    one: traceback.TracebackException | None = told
    while one is not None:
        causes.append((one, error))
        if one.__cause__ is not None:
            one, error = one.__cause__, error and error.__cause__
        elif one.__suppress_context__:
            one = None
        else:
            one, error = one.__context__, error and error.__context__
    lines: list[str] = []
    for frames, failed in reversed(causes):
        lines += [*frames.stack.format(), f"{_in_words(failed)}\n"]
    return "".join(lines).rstrip()


def _in_words(error: BaseException | None) -> str:
    kind = type(error).__qualname__
    if isinstance(error, OSError):
        return f"{kind}: {error.strerror}" if error.strerror else kind  # not its path
    ours = type(error).__module__.partition(".")[0] in OURS
    return f"{kind}: {error}" if ours or isinstance(error, SPEAK_OF_CODE) else kind
