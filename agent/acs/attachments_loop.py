"""Looks out for what ECS attaches to the host, as long as there is anything to look out for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

import structlog

from agent.acs.ports import Decides, Devices
from agent.model.attachments import Attachment
from agent.model.clock import Clock, utc_now
from agent.model.events import AttachmentsFound

LOOK_EVERY = 0.25
"""Seconds between two looks while something is on its way. Nobody looks while nothing is."""

log = structlog.get_logger()

Wait = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits for an event, at most so many seconds."""


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Return when *event* is set or *seconds* have passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class AttachmentsLoop:
    """Tells the engine of links and disks that it waits for. *known* are all attachments, by their ARN."""

    def __init__(
        self,
        engine: Decides,
        known: Mapping[str, Attachment],
        devices: Devices,
        *,
        clock: Clock = utc_now,
        wait: Wait = wait_for,
    ) -> None:
        self._engine = engine
        self._known = known
        self._devices = devices
        self._clock = clock
        self._wait = wait
        self._news = asyncio.Event()

    def hear(self, changed: Iterable[Attachment]) -> None:
        """Note that attachments have been committed: look at once."""
        if any(not one.told for one in changed):
            self._news.set()

    def is_wanted(self, arn: str) -> bool:
        """Does ECS still want to hear of the attachment?

        The engine forgets it when its time is up, and it alone knows whether the clock was set.
        """
        return arn in self._known

    def _awaited(self) -> dict[str, str]:
        return {one.arn: one.key for one in self._known.values() if not one.told}

    async def run(self) -> None:
        """Run for ever."""
        awaited: dict[str, str] = {}
        while True:
            self._news.clear()
            before, awaited = awaited, self._awaited()
            for arn in before.keys() - awaited.keys():
                if arn not in self._known or not self._known[arn].told:
                    log.warning("attachment_missed", attachment=arn, key=before[arn])
            if not awaited:
                await self._news.wait()
                continue
            found = frozenset(awaited.values()) & await self._devices.keys()
            if found:
                log.info("attachments_found", keys=sorted(found))
                await self._engine.submit(AttachmentsFound(found, self._clock()))
            await self._wait(self._news, LOOK_EVERY)
