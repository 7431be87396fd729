import io
import json
import logging
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from agent.cli import logs
from agent.config.settings import Settings


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_line(to: io.StringIO, level: str = "info", form: str = "") -> str:
    logs.configure(level, form, to)
    structlog.get_logger().info("task_moved", task="abc")
    return to.getvalue()


def test_a_pipe_gets_json() -> None:
    line = json.loads(a_line(io.StringIO()))

    assert (line["event"], line["task"], line["level"]) == ("task_moved", "abc", "info")
    assert line["timestamp"].endswith("Z")


def test_a_terminal_gets_lines_for_eyes() -> None:
    assert not a_line(Terminal()).startswith("{")


def test_the_form_that_was_asked_for_wins() -> None:
    assert a_line(Terminal(), form="json").startswith("{")
    assert "task_moved" in a_line(io.StringIO(), form="console")
    assert not a_line(io.StringIO(), form="console").startswith("{")


@pytest.mark.parametrize("level", ["warn", "error", "crit", "none"])
def test_less_serious_lines_are_left_out(level: str) -> None:
    assert a_line(io.StringIO(), level=level) == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(form: str) -> None:
    to = io.StringIO()
    logs.configure("info", form, to)
    secret = "hush" * 3

    try:
        len(secret) / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("broke")

    assert "ZeroDivisionError" in to.getvalue()
    assert "hushhush" not in to.getvalue()


def test_logfmt_has_level_time_and_event_first_and_quotes_where_they_are_needed() -> None:
    to = io.StringIO()
    logs.configure("info", "logfmt", to)

    structlog.get_logger().warning("task_moved", task="abc", why='it "ended"', count=2, acts=["a b"], none=None)

    line = to.getvalue().rstrip("\n")
    assert line.startswith("level=warning time=")
    assert line.endswith(r'msg=task_moved task=abc why="it \"ended\"" count=2 acts="[\"a b\"]" none=null')


def kept_lines(settings: Settings, tmp_path: Path) -> tuple[list[str], list[str]]:
    """The events that a service with *settings* writes: to standard error, and to its file."""
    stderr = tmp_path / "stderr"
    saved = os.dup(logs.STDERR)
    with stderr.open("w") as file:
        os.dup2(file.fileno(), logs.STDERR)
        try:
            with logs.kept(settings):
                for level in ("debug", "info", "warning", "error"):
                    getattr(structlog.get_logger(), level)(f"{level}_said")
        finally:
            os.dup2(saved, logs.STDERR)
            os.close(saved)
    files = [stderr, *([settings.log_file] if settings.log_file else [])]
    first, *rest = [
        [json.loads(line)["event"] for line in file.read_text().splitlines()] if file.exists() else [] for file in files
    ]
    return first, rest[0] if rest else []


@pytest.mark.parametrize(
    ("level", "of_file", "driver", "on_stderr", "in_file"),
    [
        ("warn", "", "", ["warning_said", "error_said"], ["warning_said", "error_said"]),
        ("error", "info", "", ["error_said"], ["info_said", "warning_said", "error_said"]),
        ("info", "error", "", ["info_said", "warning_said", "error_said"], ["error_said"]),
        ("none", "error", "", [], ["error_said"]),
        ("error", "none", "", ["error_said"], []),
        ("error", "", "awslogs", ["error_said"], []),
        ("error", "warn", "awslogs", ["error_said"], ["warning_said", "error_said"]),
    ],
)
def test_the_file_has_a_level_of_its_own(
    level: str, of_file: str, driver: str, on_stderr: list[str], in_file: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "agent.log"
    settings = Settings(log_level=level, log_level_on_instance=of_file, log_driver=driver, log_file=file)

    assert kept_lines(settings, tmp_path) == (on_stderr, in_file)


def test_without_a_file_its_level_costs_nothing() -> None:
    with logs.kept(Settings(log_level="error", log_level_on_instance="debug")):
        log = structlog.get_logger()
        assert [log.is_enabled_for(level) for level in (logging.WARNING, logging.ERROR)] == [False, True]


def test_a_file_that_cannot_be_written_is_told_of_on_standard_error_once(tmp_path: Path) -> None:
    saved, (reading, writing) = os.dup(logs.STDERR), os.pipe()
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        with os.fdopen(reading, encoding="utf-8") as said:
            for line in said:
                lines.put(line)

    reader = threading.Thread(target=read)
    os.dup2(writing, logs.STDERR)
    os.close(writing)
    reader.start()
    try:
        with logs.kept(Settings(log_file=tmp_path)):
            structlog.get_logger().info("first_said")
            told = [json.loads(lines.get(timeout=10)) for _ in range(2)]
            structlog.get_logger().info("last_said")
            told.append(json.loads(lines.get(timeout=10)))
    finally:
        os.dup2(saved, logs.STDERR)
        os.close(saved)
        reader.join()

    assert [line["event"] for line in told] == ["first_said", "log_file_failed", "last_said"]
    assert (told[1]["path"], told[1]["why"]) == (str(tmp_path), "Is a directory")
    assert lines.empty()
