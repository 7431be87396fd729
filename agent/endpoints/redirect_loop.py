"""Keeps the way from 169.254.170.2 to the agent open: made at the start, and again whenever somebody flushed it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from agent.endpoints.ports import Redirect
from agent.model.errors import TryAgain

EVERY = 5.0
"""Seconds between two looks."""
LONGEST = 60.0
"""Between two looks while it cannot be made."""

log = structlog.get_logger()


class RedirectLoop:
    """Looks after *redirect*. `trouble` says why the way is not open; nothing where it is."""

    def __init__(self, redirect: Redirect, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._redirect = redirect
        self._pause = pause
        self._began = False
        self.trouble = ""

    async def run(self) -> None:
        """Run for ever. It fails for a while without a word more than the first."""
        wait = EVERY
        while True:
            wait = EVERY if await self._look() else min(wait * 2, LONGEST)
            await self._pause(wait)

    async def _look(self) -> bool:
        try:
            lacks = await self._redirect.lacks()
            if lacks:
                await self._redirect.make()
                tell = log.warning if self._began else log.info
                tell("redirect_made_again" if self._began else "redirect_made", lacked=list(lacks))
        except TryAgain as error:
            if str(error) != self.trouble:
                log.warning("redirect_not_made", error=str(error))
            self.trouble = str(error)
            return False
        if self.trouble:
            log.info("redirect_works_again")
        self.trouble, self._began = "", True
        return True
