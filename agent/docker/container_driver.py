"""Docker's containers that are ours: create, start, stop, kill, remove, look."""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from functools import partial
from typing import Any, Self
from urllib.parse import quote

from aiodocker.exceptions import DockerError

from agent.config.settings import Settings
from agent.docker import bindings, environment, inspected, labels, overlay, reasons, references, translate
from agent.docker.engine_driver import DockerEngine, Lost
from agent.docker.surroundings import NOWHERE_SPECIAL, Surroundings
from agent.model.acts import CreateContainer
from agent.model.credentials import NO_VALUES, ContainerValues
from agent.model.errors import AgentError, GiveUp, OutcomeUnknown, PortTaken, TryAgain
from agent.model.identity import Identity
from agent.model.names import DockerId, Image
from agent.model.seen import Phase, Seen, Summary

_NOT_FOUND, _CONFLICT = 404, 409
_ID = re.compile(r"[0-9a-f]{64}")

# Seconds in which ECS users know Docker to answer (task engine, time-outs of Docker calls).
_STOP_BUFFER, _KILL = 120.0, 120.0
_REMOVE, _INSPECT, _LIST = 300.0, 30.0, 60.0

_NAMELESS = 2.0
"""Seconds for which Docker may have a name reserved for a container that it does not show yet."""
_LOOK_AGAIN = 0.1
_CREATIONS = 3


class ContainerDriver:
    """Containers that are *owner*'s by their labels, or were *taken* over. Fulfils the runner's `Containers`.

    `owner` is asked each time: the ARN of the instance becomes known late. *create_timeout* and *start_timeout* bound
    Docker's answers; what it answers later is found out by asking.
    """

    def __init__(
        self,
        engine: DockerEngine,
        owner: Callable[[], Identity],
        host: Surroundings = NOWHERE_SPECIAL,
        *,
        create_timeout: timedelta = timedelta(minutes=4),
        start_timeout: timedelta = timedelta(minutes=3),
        untold: Collection[str] = bindings.ONLY_IPV4,
        taken: labels.Taken = labels.NOTHING_TAKEN,
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._host = host
        self._create_bound = create_timeout.total_seconds()
        self._start_bound = start_timeout.total_seconds()
        self._untold = untold
        self._taken = taken
        self.prepare: Callable[[CreateContainer], Awaitable[CreateContainer]] = _as_it_is
        """What is done for a container before it is created, and what it is created with after that."""
        self._asking: dict[Image, asyncio.Future[Collection[str]]] = {}

    @classmethod
    def of(
        cls,
        engine: DockerEngine,
        settings: Settings,
        owner: Callable[[], Identity],
        host: Surroundings,
        taken: labels.Taken = labels.NOTHING_TAKEN,
    ) -> Self:
        """As *settings* say."""
        return cls(
            engine,
            owner,
            host,
            create_timeout=settings.container_create_timeout,
            start_timeout=settings.container_start_timeout,
            untold=bindings.untold(excludes_ipv6=settings.exclude_ipv6_portbinding, ipv6_only=host.ipv6_only),
            taken=taken,
        )

    async def create(self, act: CreateContainer, values: ContainerValues = NO_VALUES) -> DockerId:
        """Create, or adopt what an earlier call made. An image that is not there is a GiveUp."""
        act = await self.prepare(act)
        body = translate.create_body(act, values, self._host, await self._environment_of_image(act, values))
        digest = translate.digest(body)
        owner = self._owner()
        labelled = translate.labelled(
            body, labels.write(labels.of_act(act, owner, digest), owner.cluster, self._host.home)
        )
        if act.again and (made := await self._adopt(act, digest, patience=0)):
            return made
        for _ in range(_CREATIONS):
            try:
                return await self._create(act.name, labelled)
            except DockerError as error:
                refusal = reasons.scrubbed(error.message, translate.private_in(body), translate.public_in(body))
                if error.status != _CONFLICT or act.name not in error.message:
                    raise reasons.of_making(reasons.CANNOT_CREATE, error.status, refusal) from error
            if made := await self._adopt(act, digest, patience=_NAMELESS):
                return made
        raise TryAgain(refusal, reasons.CANNOT_CREATE)

    async def start(self, docker_id: DockerId) -> None:
        """Start; one that runs already is success. Raises PortTaken."""
        try:
            async with self._engine.call(self._start_bound, aim="started") as client:
                await client.containers.container(docker_id).start()
        except DockerError as error:
            raise await self._why_not_started(docker_id, error) from error

    async def stop(self, docker_id: DockerId, grace: float) -> None:
        """Signal, wait up to *grace* seconds, kill. Docker counts whole seconds: a started one counts."""
        seconds = max(0, math.ceil(grace))
        try:
            async with self._engine.call(seconds + _STOP_BUFFER, aim="stopped", grace=seconds) as client:
                await client.containers.container(docker_id).stop(t=seconds)
        except DockerError as error:
            if error.status != _NOT_FOUND:
                raise reasons.of_ending(reasons.CANNOT_STOP, error.status, error.message) from error

    async def kill(self, docker_id: DockerId) -> None:
        """Kill. Not running, or absent, is success."""
        try:
            async with self._engine.call(_KILL) as client:
                await client.containers.container(docker_id).kill(signal="SIGKILL")
        except DockerError as error:
            if error.status not in (_NOT_FOUND, _CONFLICT):  # 409: it does not run
                raise reasons.of_ending(reasons.CANNOT_STOP, error.status, error.message) from error

    async def remove(self, reference: str, *, force: bool) -> None:
        """Remove by id or name, with anonymous volumes. Absent is success, and so is a removal that is under way.

        A name is looked up first: if somebody else's container holds it, ours is absent.
        """
        if not _ID.fullmatch(reference):
            seen = await self.inspect(reference)
            if seen is None:
                return
            reference = seen.docker_id
        try:
            async with self._engine.call(_REMOVE) as client:
                await client.containers.container(reference).delete(v=True, force=force)
        except DockerError as error:
            if error.status == _CONFLICT and "already in progress" in error.message:
                await self._wait_until_gone(reference)
            elif error.status != _NOT_FOUND:
                raise reasons.of_ending(reasons.CANNOT_REMOVE, error.status, error.message) from error

    async def inspect(self, reference: str) -> Seen | None:
        """Look at one container by id or name. None if there is none, or it is not ours. Raises TryAgain."""
        raw = await self._raw(reference, TryAgain)
        return self._seen(raw) if raw is not None else None

    async def listing(self) -> list[Summary]:
        """All containers of ours, stopped ones too. Raises TryAgain."""
        try:
            async with self._engine.call(_LIST, TryAgain) as client:
                filters = json.dumps({"label": [labels.filter_for(self._taken)]})
                found = await client.containers.list(all="true", filters=filters)
        except DockerError as error:
            raise TryAgain(f"cannot list containers: {error.message}") from error
        owner = self._owner()
        entries = ({"Id": entry["Id"], "State": entry["State"], "Labels": entry["Labels"]} for entry in found)
        return [ours for entry in entries if (ours := inspected.summary(entry, owner, self._taken)) is not None]

    async def _create(self, name: str, body: overlay.Body) -> DockerId:
        async with self._engine.call(self._create_bound, aim="created") as client:
            return DockerId((await client.containers.create(body, name=name)).id)

    async def _environment_of_image(self, act: CreateContainer, values: ContainerValues) -> Collection[str]:
        """The image's own variables where the body depends on them; none of an image that is not there.

        Asked anew each time, for what a tag names may be another image by now; those who ask while Docker is being
        asked already share the answer.
        """
        image = act.spec.image
        if not environment.asks_image(act, values, self._host) or not _may_be_there(image):
            return ()
        if (asking := self._asking.get(image)) is None:
            asking = self._asking[image] = asyncio.ensure_future(self._environment_in(image))
            asking.add_done_callback(partial(self._answered, image))
        return await asyncio.shield(asking)

    def _answered(self, image: Image, asking: "asyncio.Future[Collection[str]]") -> None:
        del self._asking[image]
        if not asking.cancelled():
            asking.exception()  # whoever asked is told; there may be nobody left

    async def _environment_in(self, image: Image) -> Collection[str]:
        try:
            async with self._engine.call(_INSPECT) as client:
                found = await client.images.inspect(image)
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return ()
            raise reasons.of_making(reasons.CANNOT_CREATE, error.status, error.message) from error
        return (found.get("Config") or {}).get("Env") or ()

    async def _adopt(self, act: CreateContainer, digest: str, patience: float) -> DockerId | None:
        """The container that holds the act's name, if it is the one asked for.

        None where the name is free: nobody held it, or what held it was ours, never ran and is removed.
        Raises GiveUp where the name stays held.
        """
        raw = await self._holder(act.name, patience)
        if raw is None:
            return None
        holder = self._seen(raw)
        held_by = str(raw.get("Id", ""))[:12]
        if holder is None:
            text = f"the name {act.name} is held by container {held_by}, which this agent did not make"
            raise GiveUp(reasons.CANNOT_CREATE, text)
        if labels.are_of(holder.labels, act, digest) and holder.phase is not Phase.DEAD:
            return holder.docker_id
        if holder.phase not in (Phase.CREATED, Phase.DEAD):
            text = f"the name {act.name} is held by container {held_by} of {holder.labels.task}, which has run already"
            raise GiveUp(reasons.CANNOT_CREATE, text)
        await self.remove(holder.docker_id, force=False)
        return None

    async def _holder(self, name: str, patience: float) -> dict[str, Any] | None:
        """Inspect by name. Docker reserves a name before the container exists: a 404 counts after *patience* alone."""
        clock = asyncio.get_running_loop()
        until = clock.time() + patience
        while True:
            raw = await self._raw(name, OutcomeUnknown)
            if raw is not None and raw.get("State", {}).get("Status") != Phase.REMOVING:
                return raw
            if clock.time() >= until:
                return None
            await asyncio.sleep(_LOOK_AGAIN)

    async def _wait_until_gone(self, reference: str) -> None:
        clock = asyncio.get_running_loop()
        until = clock.time() + _REMOVE
        while clock.time() < until:
            if await self._raw(reference, OutcomeUnknown) is None:
                return
            await asyncio.sleep(_LOOK_AGAIN)
        raise OutcomeUnknown(f"Docker did not remove {reference} within {_REMOVE:g} s")

    async def _why_not_started(self, docker_id: DockerId, error: DockerError) -> AgentError:
        raw = await self._raw(docker_id, OutcomeUnknown)
        if raw is None:  # then there is nothing of it that could stand in the text
            return reasons.of_making(reasons.CANNOT_START, error.status, error.message)
        held = inspected.held(raw)
        text = held.scrubbed(error.message)
        port = reasons.taken_port(error.message, held.published)
        return PortTaken(port, text) if port else reasons.of_making(reasons.CANNOT_START, error.status, text)

    async def _raw(self, reference: str, lost: Lost) -> dict[str, Any] | None:
        """Docker's inspect as it comes, or None for a 404."""
        try:
            async with self._engine.call(_INSPECT, lost) as client:
                return await client.containers.container(quote(reference, safe="")).show()
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return None
            raise lost(f"cannot inspect {reference}: {error.message}") from error

    def _seen(self, raw: dict[str, Any]) -> Seen | None:
        return inspected.seen(raw, self._owner(), self._taken, untold=self._untold)


async def _as_it_is(act: CreateContainer) -> CreateContainer:
    return act


def _may_be_there(image: Image) -> bool:
    """False for a name that Docker cannot read: it answers the question for it with a redirection to nowhere."""
    try:
        references.read(image)
    except GiveUp:
        return _ID.fullmatch(image) is not None
    return True
