"""Asks Docker for all it shows of one container, and for its statistics. Who asks at the same time shares the answer.

Statistics take Docker a second or two: it measures twice, so that there is something to compare with.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from aiodocker.exceptions import DockerError

from agent.docker import portraits
from agent.docker.engine_driver import DockerEngine
from agent.model.errors import TryAgain
from agent.model.names import DockerId
from agent.model.portrait import Portrait

KEPT = 1.0
"""Seconds for which an answer is given to whoever asks the same."""
_BOUND = 4.0
"""Seconds that Docker has: whoever asks has no more than five."""
_NOT_FOUND = 404

T = TypeVar("T")


class PortraitDriver:
    """Fulfils the endpoints' `Portraits` and `Likenesses`."""

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine
        self._portraits = _Shared(self.portrait_now)
        self._stats = _Shared(self._measured)

    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        """As it was within the last second; None where Docker has no such container. Raises TryAgain."""
        return await self._portraits.ask(docker_id)

    async def stats(self, docker_id: DockerId) -> dict[str, Any] | None:
        """Docker's own object of statistics, untouched; None where there is no such container. Raises TryAgain."""
        return await self._stats.ask(docker_id)

    async def portrait_now(self, docker_id: DockerId) -> Portrait | None:
        """As it is now, shared with nobody. Raises TryAgain."""
        try:
            async with self._engine.call(_BOUND, TryAgain) as client:
                raw = await client.containers.container(quote(docker_id, safe="")).show()
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return None
            raise TryAgain(f"cannot inspect {docker_id}: {error.message}") from error
        return portraits.portrait(raw)

    async def _measured(self, docker_id: DockerId) -> dict[str, Any] | None:
        try:
            async with self._engine.call(_BOUND, TryAgain) as client:
                told: list[Any] = await client.containers.container(quote(docker_id, safe="")).stats(stream=False)
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return None
            raise TryAgain(f"cannot ask for the statistics of {docker_id}: {error.message}") from error
        return next((one for one in told if isinstance(one, dict)), None)


class _Shared(Generic[T]):
    """One question in flight for each container, and its answer kept for a moment. A failure is kept for nobody."""

    def __init__(self, question: Callable[[DockerId], Awaitable[T]]) -> None:
        self._question = question
        self._asking: dict[DockerId, asyncio.Future[T]] = {}

    async def ask(self, docker_id: DockerId) -> T:
        """The answer of the last moment, or the one that is on its way."""
        if (asking := self._asking.get(docker_id)) is None:
            asking = self._asking[docker_id] = asyncio.ensure_future(self._question(docker_id))
            asking.add_done_callback(lambda done: self._answered(docker_id, done))
        return await asyncio.shield(asking)  # who goes away takes the answer from nobody

    def _answered(self, docker_id: DockerId, done: "asyncio.Future[T]") -> None:
        if done.cancelled() or done.exception() is not None:
            del self._asking[docker_id]
        else:
            asyncio.get_running_loop().call_later(KEPT, self._asking.pop, docker_id)
