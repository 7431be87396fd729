"""How log lines leave the process: for eyes on a terminal, as JSON elsewhere.

A service's lines are `kept`: sifted (sieve.py), and written by threads (log_driver.py) to standard error and to the
file that the settings name.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NoReturn, TextIO

import structlog

from agent.cli.log_driver import Scribe, Stream
from agent.cli.log_file_driver import MB, RollingFile
from agent.cli.sieve import Kind, Sieve
from agent.config.settings import Settings

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "crit": logging.CRITICAL,
}
LEFT_OUT = "log_lines_left_out"
LOST = "log_lines_lost"
STDERR = 2

Processor = structlog.typing.Processor
Line = tuple[tuple[str], dict[str, bool]]


def configure(level: str, form: str = "", to: TextIO | None = None) -> None:
    """Send lines of *level* and above to *to*, standard error if None. *form* is console, json, or empty for either."""
    stream = to or sys.stderr
    for_eyes = form == "console" or (not form and stream.isatty())
    processors = _for_eyes(colors=stream.isatty()) if for_eyes else _for_machines()
    _set_up(level, processors, structlog.WriteLoggerFactory(file=stream))
    lowest = _lowest_of_others(level)
    logging.basicConfig(level=lowest, stream=stream, format="%(name)s: %(message)s")


@contextmanager
def kept(settings: Settings) -> Iterator[None]:
    """Send lines where *settings* say, for as long as this block lasts; what waits at its end is written, for 2 s."""
    book = Book(_scribes(settings))
    is_terminal = os.isatty(STDERR) and settings.log_file is None
    for_eyes = settings.log_format == "console" or (not settings.log_format and is_terminal)
    plain = _for_eyes(colors=is_terminal) if for_eyes else _for_machines()
    _set_up(settings.log_level, [*plain[:2], book.sift, *plain[2:], book.mark], lambda *_: book)
    others = _Others()
    root, lowest = logging.getLogger(), _lowest_of_others(settings.log_level)
    root.addHandler(others)
    root.setLevel(lowest)
    book.open()
    try:
        yield
    finally:
        root.removeHandler(others)
        book.close()


def _scribes(settings: Settings) -> Callable[[Callable[[], None]], list[Scribe]]:
    def made(beat: Callable[[], None]) -> list[Scribe]:
        scribes = [Scribe("stderr", Stream(STDERR), _lost, beat)]
        if settings.log_file is not None:
            file = RollingFile(
                settings.log_file,
                most_bytes=int(settings.log_max_file_size_mb * MB),
                keep=settings.log_max_roll_count,
                rollover=settings.log_rollover_type,
            )
            scribes.append(Scribe("file", file, _lost, lambda: None))
        return scribes

    return made


def _lost(count: int, why: str) -> str:
    at = datetime.now(UTC).isoformat()
    return json.dumps({"event": LOST, "count": count, "why": why, "level": "warning", "timestamp": at}) + "\n"


class Book:
    """What structlog writes into: lines that pass the sieve go to every scribe. May be used from any thread."""

    def __init__(self, scribes: Callable[[Callable[[], None]], list[Scribe]]) -> None:
        self._sieve = Sieve()
        self._guard = threading.Lock()
        self._is_first = threading.local()
        self._scribes = scribes(self._tell)

    def open(self) -> None:
        """Begin to write."""
        for scribe in self._scribes:
            scribe.start()

    def close(self) -> None:
        """Say what was left out, and write what waits."""
        self._tell(all_of_them=True)
        for scribe in self._scribes:
            scribe.close()

    def sift(self, _logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Drop a line of which there are too many."""
        name = str(event.get("event"))
        kind = Kind(name, method, str(event.get("logger", "")))
        with self._guard:
            self._is_first.is_so = self._sieve.is_new(kind)
            if name != LEFT_OUT and not self._sieve.passes(kind, _hash(event), time.monotonic()):
                raise structlog.DropEvent
        return event

    def mark(self, _logger: object, _method: str, line: object) -> Line:
        """Say of a line that is ready whether it is the first of its kind."""
        return (str(line),), {"first": self._is_first.is_so}

    def msg(self, line: str, *, first: bool = False) -> None:
        """Write a line."""
        for scribe in self._scribes:
            scribe.put(line + "\n", first=first)

    log = debug = info = warn = warning = err = error = failure = fatal = critical = exception = msg

    def _tell(self, *, all_of_them: bool = False) -> None:
        with self._guard:
            ended = self._sieve.close(time.monotonic(), all_of_them=all_of_them)
        for one in ended:
            structlog.get_logger().warning(
                LEFT_OUT, of=one.kind.event, at_level=one.kind.level, count=one.count, seconds=one.seconds
            )


def _hash(event: Mapping[str, object]) -> int:
    return hash(repr(event))


class _Others(logging.Handler):
    """Lines of libraries that log by themselves take the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)  # libraries have levels between
        log = structlog.get_logger()
        log.log(level, "library_said", logger=record.name, text=record.getMessage(), exc_info=record.exc_info)


def _set_up(level: str, processors: Sequence[Processor], factory: Callable[..., object]) -> None:
    silent = level == "none"
    structlog.configure(
        processors=[_drop] if silent else processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level, logging.CRITICAL)),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def _lowest_of_others(level: str) -> int:
    return logging.CRITICAL + 1 if level == "none" else max(LEVELS[level], logging.WARNING)


def _drop(_logger: object, _method: str, _event: structlog.typing.EventDict) -> NoReturn:
    raise structlog.DropEvent


def _for_eyes(*, colors: bool) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
    ]


def _for_machines() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        structlog.processors.JSONRenderer(default=str),
    ]
