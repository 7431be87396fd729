"""Whether the instance can do its work: Docker is asked with each heartbeat of ACS ("wire protocol", instance status).

A result is news until it was told; the one from before the first heartbeat is ``INITIALIZING``.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from agent.model.clock import Clock, utc_now
from agent.model.errors import TryAgain
from agent.tcs.ports import Docker
from agent.tcs.settings import TcsSettings
from agent.wire import tcs

INITIALIZING, OK, IMPAIRED = "INITIALIZING", "OK", "IMPAIRED"
PATIENCE = 2.0
"""Seconds that Docker has to answer."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Result:
    """What the last look came to."""

    status: str
    looked_at: datetime
    since: datetime

    def then(self, status: str, now: datetime) -> "Result":
        """A later look."""
        changed = self if status == self.status else replace(self, status=status, since=now)
        return replace(changed, looked_at=now)


class CheckupLoop:
    """Looks at the instance when it is asked to."""

    def __init__(self, docker: Docker, clock: Clock = utc_now) -> None:
        self._docker = docker
        self._clock = clock
        self._wanted = asyncio.Event()
        now = clock()
        self.result = Result(INITIALIZING, now, now)
        self._told: Result | None = None

    def look(self) -> None:
        """Look soon. Who asks meanwhile shares the look that follows."""
        self._wanted.set()

    @property
    def news(self) -> Result | None:
        """The last result, unless ECS has heard of it."""
        return None if self.result is self._told else self.result

    def told(self, result: Result) -> None:
        """ECS has heard of *result*."""
        self._told = result

    async def run(self) -> None:
        """Look whenever asked to, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            status = await self._status()
            if status != self.result.status:
                log.info("instance_status_changed", before=self.result.status, now=status)
            self.result = self.result.then(status, self._clock())

    async def _status(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._docker.ping()
        except (TimeoutError, TryAgain):
            return IMPAIRED
        return OK


def status_frame(result: Result, who: TcsSettings, request_id: str, now: datetime) -> tcs.PublishInstanceStatusRequest:
    """The frame that tells of *result*."""
    status = tcs.InstanceStatus(
        tcs.stamp(result.since), tcs.stamp(result.looked_at), result.status, tcs.CONTAINER_RUNTIME
    )
    metadata = tcs.InstanceStatusMetadata(who.cluster, who.instance_arn, request_id)
    return tcs.PublishInstanceStatusRequest(metadata, [status], tcs.stamp(now))
