"""What a person sees of ``dockworker dev``: moving on a terminal, plain lines in a pipe."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.text import Text

COLORS = {"PENDING": "yellow", "RUNNING": "green", "STOPPED": "cyan"}


class Screen:
    """Prints steps, the way of tasks, and lines to copy. Never wraps a line: some are made to be copied."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)

    def say(self, text: str = "", style: str = "") -> None:
        """One line, or several."""
        self._console.print(Text(text, style=style))

    def moved(self, what: str, status: str, detail: str = "") -> None:
        """*what* has come to *status*."""
        line = Text(f"  {datetime.now().astimezone():%H:%M:%S.%f}"[:14] + f"  {what}  ")
        line.append(status, style=COLORS.get(status, ""))
        line.append(f"  {detail}" if detail else "")
        self._console.print(line)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show that *text* is being done, then that it is, with the seconds it took."""
        began = time.monotonic()
        if not self._console.is_terminal:
            self.say(f"{text} ...")
            yield
            return
        with self._console.status(Text(f"{text} ...")):
            yield
        took = time.monotonic() - began
        line = Text("ok ", style="green")
        line.append(f"{text} ", style="default")
        line.append(f"({took:.1f} s)", style="dim")
        self._console.print(line)

    @contextmanager
    def following(self, text: str) -> Iterator[None]:
        """Show *text* as what is being waited for, below the lines that are printed meanwhile."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(Text(text)):
            yield
