"""Does Docker answer? Asked every few seconds, and at once when a stream or a listing gives reason to doubt it.

A stream may be silent for ever and a single call may hang while Docker is well; so neither says that Docker is lost. A
ping that is not answered does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from agent.model.errors import AgentError, TryAgain
from agent.runner.ports import Pulse

log = structlog.get_logger()

PING_EVERY = 4.0
PING_WITHIN = 5.0
"""Seconds of silence after which Docker is lost; with `PING_EVERY`, less than ten after its last answer."""
FIRST_RETRY, LONGEST_RETRY = 0.25, 1.0

Pause = Callable[[float], Awaitable[None]]


class PulseLoop:
    """Says whether Docker is there: `lost` is called when it is not any more, `back` when it is again."""

    def __init__(
        self, pulse: Pulse, *, lost: Callable[[AgentError], None], back: Callable[[], Awaitable[None]], pause: Pause
    ) -> None:
        self._pulse = pulse
        self._lost = lost
        self._back = back
        self._pause = pause
        self._doubted = asyncio.Event()
        self._there = asyncio.Event()
        self._there.set()
        self._limits: set[asyncio.Timeout] = set()

    @property
    def is_there(self) -> bool:
        """Does Docker answer, as far as is known? Known within ten seconds."""
        return self._there.is_set()

    def doubt(self) -> None:
        """Ask now: something that Docker does has failed."""
        self._doubted.set()

    async def until_there(self) -> None:
        """Return once Docker answers."""
        await self._there.wait()

    @asynccontextmanager
    async def while_there(self, bound: float | None = None) -> AsyncIterator[None]:
        """Give what is inside *bound* seconds, and no longer than Docker is there. Raises TimeoutError."""
        async with asyncio.timeout(bound) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    async def run(self) -> None:
        """Run for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_EVERY):
                    await self._doubted.wait()
            self._doubted.clear()
            try:
                await self._ask()
            except AgentError as error:
                await self._sit_out(error)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(PING_WITHIN):
                await self._pulse.ping()
        except TimeoutError as error:
            raise TryAgain(f"Docker did not answer within {PING_WITHIN:g} s") from error

    async def _sit_out(self, error: AgentError) -> None:
        log.warning("docker_lost", error=str(error))
        self._there.clear()
        self._lost(error)
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now)
        await self._until_answered()
        self._pulse.is_back()
        await self._back()
        log.info("docker_back")
        self._there.set()

    async def _until_answered(self) -> None:
        """Ask once a second or more often; a question that hangs keeps nobody from asking another."""
        asked: set[asyncio.Task[bool]] = set()
        retry = FIRST_RETRY
        try:
            while True:
                asked.add(asyncio.create_task(self._answers(), name="docker-ping"))
                done, asked = await asyncio.wait(asked, timeout=LONGEST_RETRY, return_when=asyncio.FIRST_COMPLETED)
                if any(job.result() for job in done):
                    return
                if done:
                    await self._pause(retry)
                    retry = min(retry * 2, LONGEST_RETRY)
        finally:
            for job in asked:
                job.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _answers(self) -> bool:
        try:
            await self._ask()
        except AgentError:
            return False
        return True
