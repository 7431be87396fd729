"""Tells containers of themselves and of their task: metadata, statistics, associations, in versions 2, 3 and 4."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.endpoints import bodies, lacks, routes
from agent.endpoints.bodies import V2, V3, V4, Place, TagsFound
from agent.endpoints.bodies_networks import AWSVPC
from agent.endpoints.calls import Answer, Asked, Known
from agent.endpoints.directory import Directory, Found
from agent.endpoints.looks_client import Looks, Tagger, side_by_side
from agent.endpoints.ports import Rates
from agent.endpoints.refusals import Refusals
from agent.endpoints.routes import Kind, Route
from agent.model.names import DockerId
from agent.model.status import Status
from agent.model.task import Container, Task
from agent.wire import go_json
from agent.wire.go_json import JsonObject


@dataclass(frozen=True, slots=True)
class MetadataDesk:
    """Answers ``/v2/metadata``, ``/v2/stats``, ``/v3/<id>`` and ``/v4/<id>``, and what lies below them.

    `place` is asked each time: some of it comes to be known late. Without `measures`, no container is measured.
    """

    directory: Directory
    looks: Looks
    tagger: Tagger
    rates: Rates
    refusals: Refusals
    place: Callable[[], Place]
    measures: bool = True

    async def answer(self, asked: Asked) -> Answer | None:
        """The answer; None for the path of another desk."""
        route = routes.read(asked.path)
        if route is None:
            return None
        if route.version == V2:
            return await self._by_address(asked, route)
        found = self.directory.by_metadata_id(route.key)
        if found is None or not found.container.docker_id:
            return lacks.unknown(route)
        if not self.directory.may_know(asked.caller, found.task.arn):
            self.refusals.tell(asked.caller, "metadata")
            return lacks.refused(route)
        return await self._of(route, found)

    async def _by_address(self, asked: Asked, route: Route) -> Answer:
        """In version 2 the address alone says whose task it is, and so it must be the task's own."""
        task = self.directory.task(asked.caller.task) if asked.caller.known is Known.ADDRESS else None
        if task is None or task.spec.network_mode != AWSVPC:
            return lacks.unknown_caller(asked.remote)
        if route.is_of_task:
            return await self._of_task(route, task, asked.caller.container)
        found = self.directory.by_docker_id(DockerId(route.key))
        if found is not None and self.directory.may_know(asked.caller, found.task.arn):
            if route.kind is Kind.CONTAINER or found.task.arn == task.arn:
                return await self._of(route, found)
        elif found is not None:
            self.refusals.tell(asked.caller, "metadata")
        return lacks.no_container(route.key) if route.kind is Kind.CONTAINER else lacks.no_stats(V2, route.key)

    async def _of(self, route: Route, found: Found) -> Answer:
        match route.kind:
            case Kind.CONTAINER:
                return await self._container(route, found)
            case Kind.STATS:
                return await self._stats(route, found)
            case Kind.ASSOCIATIONS:
                return _associations(route, found)
            case Kind.ASSOCIATION:
                return _association(route, found.task)
            case _:
                return await self._of_task(route, found.task, found.spec.name)

    async def _container(self, route: Route, found: Found) -> Answer:
        look = await self.looks.at(found.task, found.spec.name)
        if not look.has_networks:
            return lacks.no_networks(route.version, found.container.docker_id)
        return _shown(bodies.container(look, route.version))

    async def _of_task(self, route: Route, task: Task, asker: str) -> Answer:
        if route.kind is Kind.TASK_STATS:
            return await self._task_stats(route, task)
        looks, tags = await side_by_side(self.looks.all_of(task), self._tags(route, task, asker))
        lost = [look for look in looks if _is_in_some_network(look.container) and not look.has_networks]
        if lost and route.version < V4:
            return lacks.no_networks(V3, lost[0].container.docker_id)
        return _shown(bodies.task(task, looks, self.place(), route.version, tags))

    async def _tags(self, route: Route, task: Task, asker: str) -> TagsFound:
        if route.kind is not Kind.TASK_WITH_TAGS:
            return bodies.NO_TAGS
        return await self.tagger.find(task, asker if route.version == V4 else "")

    async def _stats(self, route: Route, found: Found) -> Answer:
        row = found.container
        if not self.measures or row.known is not Status.RUNNING:
            return lacks.no_stats(route.version, row.docker_id)
        return _shown(self._measured(route, row.docker_id, await self.looks.stats(row.docker_id)))

    async def _task_stats(self, route: Route, task: Task) -> Answer:
        rows = sorted(one.docker_id for one in task.containers if one.docker_id)
        found = await self.looks.stats_of(task) if self.measures else dict.fromkeys(rows)
        return _shown({docker_id: self._measured(route, docker_id, stats) for docker_id, stats in found.items()})

    def _measured(self, route: Route, docker_id: DockerId, stats: JsonObject | None) -> JsonObject | None:
        """Docker's own object; v4 adds what goes through the network in a second, where that is known."""
        if route.version < V4:
            return stats
        if stats is None:
            return {}
        rates = self.rates.rates(docker_id)
        if rates is None:
            return stats
        received, sent = rates
        return stats | {"network_rate_stats": {"rx_bytes_per_sec": received, "tx_bytes_per_sec": sent}}


def _is_in_some_network(row: Container) -> bool:
    """One that ended is in none, and Docker may have been told to forget it."""
    return bool(row.docker_id) and row.known is not Status.STOPPED


def _associations(route: Route, found: Found) -> Answer:
    """The names of those of one type that the container itself has."""
    names = [
        one.name
        for one in found.task.spec.associations
        if one.kind == route.association and found.spec.name in one.containers
    ]
    return _shown({"Associations": names or None})


def _association(route: Route, task: Task) -> Answer:
    """What ECS gave to be told of one, word for word."""
    if not route.name:
        return lacks.no_name(route.version)
    for one in task.spec.associations:
        if (one.kind, one.name) == (route.association, route.name):
            return Answer(200, one.content.encode())
    return lacks.no_association(route.association, route.name)


def _shown(body: object) -> Answer:
    return Answer(200, go_json.dumps(body))
