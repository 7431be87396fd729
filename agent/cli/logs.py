"""How log lines leave the process: for eyes on a terminal, as JSON elsewhere."""

import logging
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

import structlog

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "crit": logging.CRITICAL,
}


def configure(level: str, form: str = "", to: TextIO | None = None) -> None:
    """Send lines of *level* and above to *to*, standard error if None. *form* is console, json, or empty for either."""
    stream = to or sys.stderr
    silent = level == "none"
    threshold = LEVELS.get(level, logging.CRITICAL)
    for_eyes = form == "console" or (not form and stream.isatty())
    structlog.configure(
        processors=[_drop] if silent else _for_eyes(colors=stream.isatty()) if for_eyes else _for_machines(),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    lowest = logging.CRITICAL + 1 if silent else max(threshold, logging.WARNING)
    logging.basicConfig(level=lowest, stream=stream, format="%(name)s: %(message)s")


def _drop(_logger: object, _method: str, _event: structlog.typing.EventDict) -> NoReturn:
    raise structlog.DropEvent


def _for_eyes(*, colors: bool) -> Sequence[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
    ]


def _for_machines() -> Sequence[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        structlog.processors.JSONRenderer(default=str),
    ]
