import io
import json
from collections.abc import Iterator

import pytest
import structlog

from agent.cli import logs


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
