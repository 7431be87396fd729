import io

import pytest
from rich.console import Console

from agent.cli.screen import Screen

LONG = "/a/path/" + "x" * 200


def a_screen(*, terminal: bool) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(Console(file=out, force_terminal=terminal, highlight=False, markup=False, soft_wrap=True)), out


def test_a_pipe_gets_plain_lines() -> None:
    screen, out = a_screen(terminal=False)

    with screen.step("The image"), screen.following("on its way"):
        screen.moved("task 1", "RUNNING", "well")
    screen.say("done", "bold red")

    first, second, third = out.getvalue().splitlines()
    assert first == "The image ..."
    assert second.endswith("  task 1  RUNNING  well")
    assert third == "done"
    assert "\x1b" not in out.getvalue()


def test_a_line_to_copy_is_never_broken_nor_read_as_markup() -> None:
    screen, out = a_screen(terminal=False)

    screen.say(f"[bold] {LONG}")

    assert out.getvalue() == f"[bold] {LONG}\n"


def test_a_terminal_sees_how_long_a_step_took() -> None:
    screen, out = a_screen(terminal=True)

    with screen.step("The image"):
        pass

    assert "ok" in out.getvalue()
    assert " s)" in out.getvalue()


def test_a_step_that_fails_is_not_called_done() -> None:
    screen, out = a_screen(terminal=True)

    with pytest.raises(ZeroDivisionError), screen.step("The image"):
        raise ZeroDivisionError

    assert " s)" not in out.getvalue()
