"""Doing what was decided, and saying how it went.

Every act has exactly one outcome, and every expected failure is one. What is not expected is a bug, and the caller
makes an `ActBroke` of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from agent.model.acts import (
    Act,
    CancelPull,
    ContainerAct,
    CreateCgroup,
    CreateContainer,
    CreateVolume,
    FetchValues,
    InspectContainer,
    KillContainer,
    ListContainers,
    PullImage,
    RemoveCgroup,
    RemoveContainer,
    RemoveVolume,
    ResourceAct,
    StartContainer,
    StopContainer,
)
from agent.model.clock import Clock
from agent.model.credentials import NO_VALUES, ContainerValues, RegistryLogin
from agent.model.errors import GiveUp, NoAnswer, OutcomeUnknown, PortTaken, TryAgain
from agent.model.events import (
    ActFailed,
    ContainerAnswered,
    ContainerCreated,
    ContainerRemoved,
    Event,
    Fault,
    ImagePulled,
    ImageResolved,
    ResourceCleared,
    ResourceReady,
)
from agent.model.parts import Registry
from agent.model.seen import Phase, Seen
from agent.model.task import ImageSource
from agent.runner.ports import Cgroups, Containers, Images, Probe, PullMemory, Values, Volumes
from agent.runner.pulling import FORGETFUL, Pulling
from agent.runner.vault import Vault, without, words_of

NAME_APPEARS_WITHIN = 2.0
"""Seconds for which Docker may have reserved a name whose container it does not show yet."""

LOOK_EVERY = 0.1

NOT_INITIALIZED = "ResourceInitializationError"
NO_LOGIN = "CannotPullContainerAuthError"


@dataclass(frozen=True, slots=True)
class Hands:
    """Whatever acts are done with."""

    containers: Containers
    images: Images
    probe: Probe
    volumes: Volumes
    cgroups: Cgroups
    values: Values
    memory: PullMemory = FORGETFUL


class Performer:
    """Knows how each act is done.

    `post` takes the news of an act that is not over yet, `list_soon` asks for a listing, `pause` waits for some
    seconds. Values come from the vault into the call that needs them, and into nothing else.
    """

    def __init__(
        self,
        hands: Hands,
        vault: Vault,
        *,
        clock: Clock,
        post: Callable[[Event], None],
        list_soon: Callable[[], None],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._hands = hands
        self._containers = hands.containers
        self._images = hands.images
        self._vault = vault
        self._clock = clock
        self._post = post
        self._list_soon = list_soon
        self._pause = pause
        self._pulling = Pulling(hands.images, hands.memory, clock=clock, tell=post)
        self._pulls: dict[ImageSource, asyncio.Timeout] = {}

    async def perform(self, act: Act) -> Event | None:
        """Do *act*; gives its outcome, or None for an act that has none of its own."""
        try:
            match act:
                case PullImage():
                    return await self._pull(act)
                case CancelPull():
                    self._cancel(act.source)
                case ListContainers():
                    self._list_soon()
                case ContainerAct():
                    return await self._on_container(act)
                case ResourceAct():
                    return await self._on_resource(act)
        except (OutcomeUnknown, NoAnswer) as error:
            return self._failed(act, Fault.UNKNOWN, str(error))
        except TryAgain as error:
            return self._failed(act, Fault.TRY_AGAIN, f"{error.name}: {error}" if error.name else str(error))
        except PortTaken as error:
            return self._failed(act, Fault.PORT_TAKEN, str(error), error.port)
        except GiveUp as error:
            return self._failed(act, Fault.GIVE_UP, error.reason)
        return None

    async def _on_container(self, act: ContainerAct) -> Event:
        match act:
            case CreateContainer():
                if not act.again:
                    await self._hands.probe.check(act.leases)
                made = await self._containers.create(act, self._values_of(act))
                return ContainerCreated(act, made, self._clock(), "docker")
            case StartContainer():
                return await self._start(act)
            case StopContainer(docker_id=docker_id):
                await self._containers.stop(docker_id, self._seconds_to(act.kill_at))
                return await self._look(act, docker_id)
            case KillContainer(docker_id=docker_id):
                await self._containers.kill(docker_id)
                return await self._look(act, docker_id)
            case InspectContainer():
                return await self._ask(act)
            case RemoveContainer():
                await self._containers.remove(act.docker_id or act.name, force=act.force)
                return ContainerRemoved(act, self._clock(), "docker")
            case _:
                raise TypeError(f"there is no such act as {act!r}")

    async def _on_resource(self, act: ResourceAct) -> Event:
        match act:
            case CreateVolume():
                await self._hands.volumes.create(act)
            case CreateCgroup():
                await self._hands.cgroups.create(act)
            case FetchValues():
                credentials_id = act.spec.execution_credentials_id if act.spec is not None else ""
                self._vault.keep(act.task, await self._hands.values.fetch(act), credentials_id)
            case RemoveVolume():
                await self._hands.volumes.remove(act)
                return ResourceCleared(act, self._clock(), "docker")
            case RemoveCgroup():
                await self._hands.cgroups.remove(act)
                return ResourceCleared(act, self._clock(), "kernel")
            case _:
                raise TypeError(f"there is no such act as {act!r}")
        return ResourceReady(act, self._clock(), "host")

    def _values_of(self, act: CreateContainer) -> ContainerValues:
        if not (act.spec.secrets or act.spec.environment_files):
            return NO_VALUES
        values = self._vault.values(act.task, act.container)
        if values is None:
            raise GiveUp(NOT_INITIALIZED, f"the values that container {act.container} needs are no longer at hand")
        return values

    async def _start(self, act: StartContainer) -> Event:
        if act.again:
            seen = await self._containers.inspect(act.docker_id)
            if seen is None or _has_run(seen, act.last_start):
                return ContainerAnswered(act, seen, self._clock(), "docker")
        await self._containers.start(act.docker_id)
        return await self._look(act, act.docker_id)

    async def _look(self, act: ContainerAct, reference: str) -> ContainerAnswered:
        try:
            seen = await self._containers.inspect(reference)
        except TryAgain as error:
            raise OutcomeUnknown(f"the act was answered, the look at its result was not: {error}") from error
        return ContainerAnswered(act, seen, self._clock(), "docker")

    async def _ask(self, act: InspectContainer) -> ContainerAnswered:
        waited = 0.0
        answer = await self._look(act, act.docker_id or act.name)
        while answer.seen is None and not act.docker_id and waited < NAME_APPEARS_WITHIN:
            await self._pause(LOOK_EVERY)
            waited += LOOK_EVERY
            answer = await self._look(act, act.name)
        return answer

    async def _pull(self, act: PullImage) -> Event:
        source = act.source
        try:
            async with asyncio.timeout(None) as limit:
                self._pulls[source] = limit
                return await self._pulling.pull(act, self._fetch)
        except TimeoutError:
            if not limit.expired():
                raise
            return self._failed(act, Fault.CANCELLED, "nobody waits for the image any more")
        finally:
            self._pulls.pop(source, None)

    async def _fetch(self, source: ImageSource) -> ImagePulled:
        def resolved(digest: str) -> None:
            self._post(ImageResolved(source, digest, self._clock(), "registry"))

        login = await self._login(source)
        try:
            digest = await self._images.pull(source, login, resolved)
        except GiveUp as error:
            raise GiveUp(error.name, _without_login(str(error), login)) from error
        except TryAgain as error:
            raise TryAgain(_without_login(str(error), login), error.name) from error
        return ImagePulled(source, self._clock(), digest, "registry")

    async def _login(self, source: ImageSource) -> RegistryLogin | None:
        if source.registry is None:
            return None
        if source.registry.kind is Registry.ECR:
            return await self._hands.values.login(source)
        login = self._vault.login(source)
        if login is None:
            raise GiveUp(NO_LOGIN, "engine docker private registry credentials: not found")
        return login

    def _cancel(self, source: ImageSource) -> None:
        if (limit := self._pulls.get(source)) is not None:
            limit.reschedule(asyncio.get_running_loop().time())

    def _seconds_to(self, when: datetime) -> float:
        return max(0.0, (when - self._clock()).total_seconds())

    def _failed(self, act: Act, fault: Fault, reason: str, port: int = 0) -> ActFailed:
        if isinstance(act, ContainerAct | ResourceAct):
            reason = self._vault.scrubbed(reason, act.task)
        return ActFailed(act, fault, reason, self._clock(), port, "docker")


def _without_login(text: str, login: RegistryLogin | None) -> str:
    return without(text, words_of(login)) if login is not None else text


def _has_run(seen: Seen, last_start: datetime | None) -> bool:
    if last_start is not None and seen.started_at == last_start:
        return False
    return seen.started_at is not None or seen.phase is not Phase.CREATED
