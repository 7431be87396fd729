"""How log lines leave the process: for eyes on a terminal, as JSON elsewhere.

A service's lines are `kept`: sifted (sieve.py), and written by threads (log_driver.py) to standard error and to the
file that the settings name.
"""

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NoReturn, TextIO

import structlog

from agent.cli.log_driver import Scribe, Stream
from agent.cli.sieve import Kind, Sieve
from agent.config.settings import Settings
from agent.host.rolling_driver import MB, RollingFile

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "crit": logging.CRITICAL,
}
PLAIN = re.compile(r"[^\s\"=\\]+")
"""Text that needs no quotes in logfmt."""
LEFT_OUT = "log_lines_left_out"
LOST = "log_lines_lost"
FILE_FAILED = "log_file_failed"
STDERR = 2

Processor = structlog.typing.Processor
Line = tuple[tuple[str], dict[str, int]]
RANKS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
}
"""How serious a line is, by the method that structlog was called with."""


def configure(level: str, form: str = "", to: TextIO | None = None) -> None:
    """Send lines of *level* and above to *to*, standard error if None.

    *form* is console, json, logfmt, or empty for one of the first two.
    """
    stream = to or sys.stderr
    for_eyes = form == "console" or (not form and stream.isatty())
    processors = _for_eyes(colors=stream.isatty()) if for_eyes else _for_machines(form)
    _set_up(level, processors, structlog.WriteLoggerFactory(file=stream))
    lowest = _lowest_of_others(level)
    logging.basicConfig(level=lowest, stream=stream, format="%(name)s: %(message)s")


@contextmanager
def kept(settings: Settings) -> Iterator[None]:
    """Send lines where *settings* say, for as long as this block lasts; what waits at its end is written, for 2 s."""
    book = Book(_scribes(settings))
    is_terminal = os.isatty(STDERR) and settings.log_file is None
    for_eyes = settings.log_format == "console" or (not settings.log_format and is_terminal)
    plain = _for_eyes(colors=is_terminal) if for_eyes else _for_machines(settings.log_format)
    level = settings.log_level if settings.log_file is None else min(settings.log_level, _of_file(settings), key=_rank)
    _set_up(level, [*plain[:2], book.sift, *plain[2:], book.mark], lambda *_: book)
    others = _Others()
    root, lowest = logging.getLogger(), _lowest_of_others(level)
    root.addHandler(others)
    root.setLevel(lowest)
    book.open()
    try:
        yield
    finally:
        root.removeHandler(others)
        book.close()


def _of_file(settings: Settings) -> str:
    return settings.log_level_on_instance or ("none" if settings.log_driver else settings.log_level)


def _rank(level: str) -> int:
    return LEVELS.get(level, logging.CRITICAL + 1)


def _scribes(settings: Settings) -> Callable[[Callable[[], None]], list[tuple[int, Scribe]]]:
    """Who writes, and from which level on."""

    def made(beat: Callable[[], None]) -> list[tuple[int, Scribe]]:
        scribes = [(_rank(settings.log_level), Scribe("stderr", Stream(STDERR), _lost, beat))]
        if settings.log_file is not None:
            file = RollingFile(
                settings.log_file,
                most_bytes=int(settings.log_max_file_size_mb * MB),
                keep=settings.log_max_roll_count,
                rollover=settings.log_rollover_type,
            )
            failed = partial(_failed, settings.log_file)
            scribes.append((_rank(_of_file(settings)), Scribe("file", file, _lost, lambda: None, failed)))
        return scribes

    return made


def _failed(path: Path, why: str) -> None:
    """Said where it can be read: the count of what was lost goes to the file alone, which may never take a line."""
    structlog.get_logger().error(FILE_FAILED, path=str(path), why=why)


def _lost(count: int, why: str) -> str:
    at = datetime.now(UTC).isoformat()
    return json.dumps({"event": LOST, "count": count, "why": why, "level": "warning", "timestamp": at}) + "\n"


class Book:
    """What structlog writes into: lines that pass the sieve go to every scribe that wants lines of their level.

    May be used from any thread.
    """

    def __init__(self, scribes: Callable[[Callable[[], None]], list[tuple[int, Scribe]]]) -> None:
        self._sieve = Sieve()
        self._guard = threading.Lock()
        self._is_first = threading.local()
        self._scribes = scribes(self._tell)

    def open(self) -> None:
        """Begin to write."""
        for _, scribe in self._scribes:
            scribe.start()

    def close(self) -> None:
        """Say what was left out, and write what waits."""
        self._tell(all_of_them=True)
        for _, scribe in self._scribes:
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

    def mark(self, _logger: object, method: str, line: object) -> Line:
        """Say of a line that is ready how serious it is, and whether it is the first of its kind."""
        return (str(line),), {"first": self._is_first.is_so, "rank": RANKS.get(method, logging.ERROR)}

    def msg(self, line: str, *, first: bool = False, rank: int = logging.CRITICAL) -> None:
        """Write a line."""
        for least, scribe in self._scribes:
            if rank >= least:
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


def _for_machines(form: str) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        _logfmt if form == "logfmt" else structlog.processors.JSONRenderer(default=str),
    ]


def _logfmt(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
    """``key=value`` pairs, as the reference agent writes them: the level, the time, what happened, the rest."""
    first = {"level": event.pop("level", ""), "time": event.pop("timestamp", ""), "msg": event.pop("event", "")}
    return " ".join(f"{key}={_word(value)}" for key, value in {**first, **event}.items())


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if text and PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
