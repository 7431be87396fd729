"""Asks Docker, and ECS, for what metadata are made of beside the rows: several at once, and not for long."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from agent.endpoints.bodies import Look, TagsFound
from agent.endpoints.ports import Portraits, Rates, ResourceTags
from agent.model.errors import AgentError
from agent.model.names import DockerId
from agent.model.portrait import Eni, Portrait
from agent.model.status import Status
from agent.model.task import Task
from agent.wire.go_json import JsonObject

TAGS_WITHIN = 4.0
"""Seconds; the client has five before its answer is cut off."""
TASK_TAGS, INSTANCE_TAGS = "TaskTags", "ContainerInstanceTags"


A = TypeVar("A")
B = TypeVar("B")


def _none(_task: Task) -> Eni | None:
    return None


class _Unmeasured:
    """Knows no rates: nobody measures."""

    def rates(self, _docker_id: DockerId) -> tuple[float, float] | None:
        """None."""
        return None


NOTHING_MEASURED: Rates = _Unmeasured()


async def side_by_side(one: Awaitable[A], other: Awaitable[B]) -> tuple[A, B]:
    """Both, which takes as long as the longer of them: whoever asks has not much time."""
    return await asyncio.gather(one, other)


class Looks:
    """Looks at containers. *interface_of* gives the network interface of a task that has one of its own."""

    def __init__(self, portraits: Portraits, interface_of: Callable[[Task], Eni | None] = _none) -> None:
        self._portraits = portraits
        self._interface_of = interface_of

    async def at(self, task: Task, name: str) -> Look:
        """The container called *name*, as it is now."""
        container = task[name]
        portrait = await self._portrait(container.docker_id)
        return Look(task, task.asked(name), container, portrait, self._interface_of(task))

    async def all_of(self, task: Task) -> Sequence[Look]:
        """All containers of *task*, in its own order."""
        return await asyncio.gather(*(self.at(task, one.name) for one in task.containers))

    async def stats(self, docker_id: DockerId) -> dict[str, Any] | None:
        """Docker's own statistics of a running container; None while it has none."""
        try:
            return await self._portraits.stats(docker_id)
        except AgentError:
            return None

    async def stats_of(self, task: Task) -> Mapping[DockerId, dict[str, Any] | None]:
        """Those of all containers of *task* that Docker has; None for those that are not measured."""
        rows = [one for one in task.containers if one.docker_id]
        running = [one.docker_id for one in rows if one.known is Status.RUNNING]
        found = dict(zip(running, await asyncio.gather(*map(self.stats, running)), strict=True))
        return {docker_id: found.get(docker_id) for docker_id in sorted(one.docker_id for one in rows)}

    async def _portrait(self, docker_id: DockerId) -> Portrait | None:
        """What Docker shows; nothing where it does not answer, and who asks is told what is known without it."""
        try:
            return await self._portraits.portrait(docker_id) if docker_id else None
        except AgentError:
            return None


class Tagger:
    """Asks ECS for the tags of a task and of its container instance, both at once and within *within* seconds."""

    def __init__(self, tags: ResourceTags, instance_arn: Callable[[], str], within: float = TAGS_WITHIN) -> None:
        self._tags = tags
        self._instance_arn = instance_arn
        self._within = within

    async def find(self, task: Task, asker: str) -> TagsFound:
        """The tags, and what ECS said where it would not tell them. *asker* is the container that wants to know."""
        asked = ((INSTANCE_TAGS, self._instance_arn()), (TASK_TAGS, task.arn))
        (instance, at_instance), (own, at_task) = await asyncio.gather(
            *(self._of(field, arn, asker) for field, arn in asked)
        )
        return TagsFound(own, instance, [error for error in (at_instance, at_task) if error])

    async def _of(self, field: str, arn: str, asker: str) -> tuple[Mapping[str, str], JsonObject]:
        if not arn:  # the instance is not registered yet
            return {}, {}
        try:
            async with asyncio.timeout(self._within):
                return await self._tags.resource_tags(arn, asker), {}
        except TimeoutError:
            lack = f"after 1 attempts: no answer within {self._within:g} s"
        except AgentError as error:
            lack = str(error)
        text = f"GetResourceTags failed for {arn} {lack}"
        return {}, {"ErrorField": field, "ErrorMessage": text, "ResourceARN": arn}
