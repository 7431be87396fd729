"""Watches for GPUs: a driver may come minutes after the agent, and GPUs may be cut anew.

The engine hears which ones there are, and ECS is told by registering again. For a while after a start nobody says that
there are none: a task that ECS sent for a GPU waits until the driver has had its time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from structlog import get_logger

from agent.membership.decisions import REFUSED
from agent.membership.ports import Registry
from agent.model.devices import GpuReading, Gpus
from agent.model.registration import Registered, Registration, RegistrationFailure

log = get_logger()

OFTEN, SELDOM = 5.0, 60.0
"""Seconds between looks, as long as there are no GPUs, and once there are."""
LATE = 30.0
"""Seconds that a driver may take before there are taken to be no GPUs."""


class Looks(Protocol):
    """The hand that asks the driver."""

    @property
    def reading(self) -> GpuReading:
        """What the last look came to."""
        ...

    async def look(self) -> GpuReading:
        """Look again. Comes back in bounded time, and raises nothing for what the driver does."""
        ...


class Told:
    """ECS's registry, which remembers the GPUs of the last registration that ECS has answered; None before one."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.gpus: Gpus | None = None

    async def register(self, registration: Registration) -> Registered:
        """Register. What ECS has refused is told too: it would be refused again. Raises RegistrationFailure."""
        try:
            answer = await self._registry.register(registration)
        except RegistrationFailure as failure:
            if failure.code in REFUSED:
                self.gpus = registration.gpus
            raise
        self.gpus = registration.gpus
        return answer

    async def create_cluster(self, name: str) -> str:
        """Create the cluster called *name*; gives its name. Raises RegistrationFailure."""
        return await self._registry.create_cluster(name)


class GpuLoop:
    """Keeps the engine and ECS up to date. *found* hears of the GPUs that there are, *register* registers again."""

    def __init__(
        self,
        gpus: Looks,
        told: Told,
        *,
        found: Callable[[frozenset[str]], None],
        register: Callable[[], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gpus = gpus
        self._told = told
        self._found = found
        self._register = register
        self._pause = pause
        self._said: GpuReading | None = None
        self._heard: frozenset[str] | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Run for ever. ECS may take its time with a registration; the looks go on meanwhile."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._look_on(), name="looks at GPUs")
            jobs.create_task(self._register_on(), name="registration of GPUs")

    async def _look_on(self) -> None:
        waited, reading = 0.0, self._gpus.reading
        while True:
            self._say(reading)
            if reading.gpus.ids or waited >= LATE:
                self._hear(frozenset(reading.gpus.ids))
            if self._told.gpus is not None and self._told.gpus != reading.gpus:
                self._changed.set()
            pause = SELDOM if reading.gpus.ids else OFTEN
            await self._pause(pause)
            waited += pause
            reading = await self._gpus.look()

    async def _register_on(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._told.gpus != self._gpus.reading.gpus:
                await self._register()

    def _hear(self, ids: frozenset[str]) -> None:
        if ids != self._heard:
            self._heard = ids
            self._found(ids)

    def _say(self, reading: GpuReading) -> None:
        before, self._said = self._said, reading
        if before is None or before.gpus != reading.gpus:
            gpus = reading.gpus
            log.info("gpus_looked_for", found=list(gpus.ids), driver=gpus.driver, source=reading.source)
        if reading.trouble and (before is None or before.trouble != reading.trouble):
            log.warning("gpus_not_usable", reason=reading.trouble)
        if before is not None and before.trouble and not reading.trouble:
            log.info("gpus_usable_again")
