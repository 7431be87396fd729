"""A part of ``dockworker dev``: a thread with an event loop of its own.

The agent and the control plane share the process and nothing else; they meet over a socket. A wing that dies of a bug
is started again after a while, and the other does not notice more than a lost connection.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial

import structlog

from agent.model.errors import NOT_WORTH_A_RESTART, WORTH_A_RESTART

log = structlog.get_logger(__name__)

Ready = Callable[[str], None]
Serve = Callable[[asyncio.Event, Ready], Coroutine[None, None, int]]
"""Serve until the event is set; call the other one when ready. Gives an exit code."""

FIRST_WAIT = 0.5
LONGEST_WAIT = 15.0
HEALTHY_AFTER = 60.0
"""Seconds of life after which a death counts as the first one again."""


class Wing:
    """Runs `serve` in a thread until told to stop. Safe to use from any thread."""

    def __init__(self, name: str, serve: Serve, *, first_wait: float = FIRST_WAIT) -> None:
        self.name = name
        self.ready: Future[str] = Future()
        """What the wing said when it was ready for the first time."""
        self.ended: Future[int] = Future()
        """The exit code, once the wing will not start again."""
        self.last_words = ""
        """How the latest life ended, if it was not asked to."""
        self._serve = serve
        self._first_wait = first_wait
        self._told = threading.Event()
        self._guard = threading.Lock()
        self._stop_this_life: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the wing was started and has not ended."""
        return self._thread.ident is not None and not self.ended.done()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the wing to stop; `ended` tells when it has. May be called at any time, and again."""
        self._told.set()
        with self._guard:
            if self._stop_this_life:
                self._stop_this_life()

    def _live(self) -> None:
        structlog.contextvars.bind_contextvars(wing=self.name)
        wait = self._first_wait
        while not self._told.is_set():
            born = time.monotonic()
            code = self._one_life()
            if self._told.is_set() or code in (0, NOT_WORTH_A_RESTART):
                self.ended.set_result(code)
                return
            if time.monotonic() - born >= HEALTHY_AFTER:
                wait = self._first_wait
            self.last_words = self.last_words or f"it ended with code {code}"
            log.warning("wing_ended", code=code, again_in=wait)
            self._told.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)
        self.ended.set_result(0)

    def _one_life(self) -> int:
        try:
            return asyncio.run(self._serve_once())
        except Exception as broken:
            self.last_words = f"{type(broken).__name__}: {broken}"
            log.exception("wing_broke")
            return WORTH_A_RESTART

    async def _serve_once(self) -> int:
        loop, told_to_stop = asyncio.get_running_loop(), asyncio.Event()
        with self._guard:
            self._stop_this_life = partial(loop.call_soon_threadsafe, told_to_stop.set)
            if self._told.is_set():
                told_to_stop.set()
        try:
            return await self._serve(told_to_stop, self._is_ready)
        finally:
            with self._guard:
                self._stop_this_life = None

    def _is_ready(self, what: str) -> None:
        if not self.ready.done():
            self.ready.set_result(what)
