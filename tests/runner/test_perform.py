import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from agent.model.acts import (
    Act,
    CancelPull,
    CreateContainer,
    InspectContainer,
    ListContainers,
    PullImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from agent.model.credentials import ContainerValues, RegistryLogin
from agent.model.errors import GiveUp, OutcomeUnknown, PortTaken, TryAgain
from agent.model.events import (
    ActFailed,
    ContainerAnswered,
    ContainerCreated,
    ContainerRemoved,
    Event,
    Fault,
    ImagePulled,
)
from agent.model.names import DockerId, Image
from agent.model.seen import Phase, Seen, Summary
from agent.model.status import PullBehavior
from agent.model.task import ContainerSpec, ImageSource, Lease
from agent.runner.perform import NAME_APPEARS_WITHIN, Performer
from tests.engine.rows import ARN, T0, after, seen

IMAGE = Image("app:1")
ID = DockerId("id-app")
CREATE = CreateContainer(
    ARN, "app", 1, "ecs-app", "web", "1", ContainerSpec("app", IMAGE), (Lease(80, 50000, chosen=True),)
)


class Docker:
    """Containers, images and ports of a script: says what it is told to say, and remembers what it was asked."""

    def __init__(self, *, fails: Exception | None = None, looks: Sequence[Seen | None] = ()) -> None:
        self.calls: list[str] = []
        self.fails = fails
        self.looks = list(looks)
        self.cached = False
        self.pulling = asyncio.Event()
        self.paused = 0.0

    async def _call(self, what: str) -> None:
        self.calls.append(what)
        if self.fails:
            raise self.fails

    async def create(self, act: CreateContainer, values: ContainerValues) -> DockerId:
        await self._call(f"create {act.name}")
        return ID

    async def start(self, docker_id: DockerId) -> None:
        await self._call(f"start {docker_id}")

    async def stop(self, docker_id: DockerId, grace: float) -> None:
        await self._call(f"stop {docker_id} {grace:g}")

    async def kill(self, docker_id: DockerId) -> None:
        await self._call(f"kill {docker_id}")

    async def remove(self, reference: str, *, force: bool) -> None:
        await self._call(f"remove {reference} {force}")

    async def inspect(self, reference: str) -> Seen | None:
        self.calls.append(f"inspect {reference}")
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    async def listing(self) -> Sequence[Summary]:
        return ()

    async def has(self, image: Image) -> bool:
        self.calls.append(f"has {image}")
        return self.cached

    async def digest(self, image: Image) -> str:
        return ""

    async def pull(self, source: ImageSource, login: RegistryLogin | None, resolved: Callable[[str], None]) -> str:
        await self._call(f"pull {source.image}")
        if self.pulling.is_set():
            await asyncio.Event().wait()
        return "sha256:1"

    async def check(self, leases: Sequence[Lease]) -> None:
        await self._call(f"probe {leases[0].host_port}")

    async def pause(self, seconds: float) -> None:
        self.paused += seconds


def performer(docker: Docker) -> Performer:
    def list_soon() -> None:
        docker.calls.append("list soon")

    return Performer(docker, docker, docker, clock=lambda: T0, list_soon=list_soon, pause=docker.pause)


def outcome(docker: Docker, act: Act) -> Event | None:
    return asyncio.run(performer(docker).perform(act))


@pytest.mark.parametrize(
    ("error", "fault", "reason"),
    [
        (TryAgain("busy", "CannotX"), Fault.TRY_AGAIN, "CannotX: busy"),
        (TryAgain("busy"), Fault.TRY_AGAIN, "busy"),
        (GiveUp("CannotX", "no"), Fault.GIVE_UP, "CannotX: no"),
        (OutcomeUnknown("lost"), Fault.UNKNOWN, "lost"),
        (PortTaken(50000, "taken"), Fault.PORT_TAKEN, "taken"),
    ],
)
def test_every_expected_failure_is_an_outcome(error: Exception, fault: Fault, reason: str) -> None:
    failed = outcome(Docker(fails=error), StartContainer(ARN, "app", 1, ID))
    assert isinstance(failed, ActFailed)
    assert (failed.fault, failed.reason, failed.port) == (fault, reason, 50000 if fault is Fault.PORT_TAKEN else 0)


def test_ports_are_probed_before_a_create_but_not_when_the_container_may_hold_them_itself() -> None:
    docker = Docker()
    assert isinstance(outcome(docker, CREATE), ContainerCreated)
    assert docker.calls == ["probe 50000", "create ecs-app"]


def test_a_start_is_followed_by_one_look() -> None:
    docker = Docker(looks=[seen()])
    answer = outcome(docker, StartContainer(ARN, "app", 1, ID))
    assert isinstance(answer, ContainerAnswered)
    assert answer.seen == seen()
    assert docker.calls == ["start id-app", "inspect id-app"]


@pytest.mark.parametrize("shown", [None, seen(Phase.EXITED, exit_code=3), seen()])
def test_a_repeated_start_runs_nothing_twice(shown: Seen | None) -> None:
    docker = Docker(looks=[shown])
    answer = outcome(docker, StartContainer(ARN, "app", 1, ID, again=True))
    assert isinstance(answer, ContainerAnswered)
    assert answer.seen == shown
    assert docker.calls == ["inspect id-app"]


def test_a_repeated_start_starts_what_has_not_run() -> None:
    docker = Docker(looks=[seen(Phase.CREATED), seen()])
    outcome(docker, StartContainer(ARN, "app", 1, ID, again=True))
    assert docker.calls == ["inspect id-app", "start id-app", "inspect id-app"]


def test_a_stop_is_given_the_grace_that_is_left_and_never_less_than_none() -> None:
    docker = Docker(looks=[seen(Phase.EXITED)])
    outcome(docker, StopContainer(ARN, "app", 1, ID, after(7)))
    outcome(docker, StopContainer(ARN, "app", 1, ID, T0 - timedelta(minutes=1)))
    assert [call for call in docker.calls if call.startswith("stop")] == ["stop id-app 7", "stop id-app 0"]


def test_a_look_that_fails_after_the_act_leaves_its_outcome_unknown() -> None:
    class Blind(Docker):
        async def inspect(self, reference: str) -> Seen | None:
            raise TryAgain(f"cannot look at {reference}")

    failed = outcome(Blind(), StopContainer(ARN, "app", 1, ID, T0))
    assert isinstance(failed, ActFailed)
    assert failed.fault is Fault.UNKNOWN


def test_a_name_without_a_container_is_asked_for_until_docker_must_have_shown_it() -> None:
    docker = Docker(looks=[None])
    answer = outcome(docker, InspectContainer(ARN, "app", 1, "ecs-app"))
    assert isinstance(answer, ContainerAnswered)
    assert answer.seen is None
    assert docker.paused == pytest.approx(NAME_APPEARS_WITHIN, abs=0.2)

    docker = Docker(looks=[None, None, seen(Phase.CREATED)])
    answer = outcome(docker, InspectContainer(ARN, "app", 1, "ecs-app"))
    assert isinstance(answer, ContainerAnswered)
    assert answer.seen == seen(Phase.CREATED)


def test_an_id_without_a_container_is_believed_at_once() -> None:
    docker = Docker(looks=[None])
    outcome(docker, InspectContainer(ARN, "app", 1, "ecs-app", ID))
    assert docker.calls == ["inspect id-app"]


def test_what_is_removed_is_named_by_its_id_if_there_is_one() -> None:
    docker = Docker()
    assert isinstance(outcome(docker, RemoveContainer(ARN, "app", 1, "ecs-app", ID, force=True)), ContainerRemoved)
    outcome(docker, RemoveContainer(ARN, "app", 1, "ecs-app"))
    assert docker.calls == ["remove id-app True", "remove ecs-app False"]


def test_a_cached_image_is_not_fetched_where_the_cache_is_preferred() -> None:
    docker = Docker()
    docker.cached = True
    pulled = outcome(docker, PullImage(ImageSource(IMAGE), PullBehavior.PREFER_CACHED))
    assert isinstance(pulled, ImagePulled)
    assert docker.calls == ["has app:1"]
    outcome(docker, PullImage(ImageSource(IMAGE)))
    assert docker.calls == ["has app:1", "pull app:1"]


def test_a_pull_that_nobody_waits_for_is_cancelled_and_says_so() -> None:
    async def story() -> Event | None:
        docker = Docker()
        docker.pulling.set()
        does = performer(docker)
        pull = asyncio.ensure_future(does.perform(PullImage(ImageSource(IMAGE))))
        while not docker.calls:
            await asyncio.wait({pull}, timeout=0.001)
        assert await does.perform(CancelPull(ImageSource(IMAGE))) is None
        async with asyncio.timeout(5):
            return await pull

    failed = asyncio.run(story())
    assert isinstance(failed, ActFailed)
    assert failed.fault is Fault.CANCELLED


def test_a_listing_is_asked_for_soon() -> None:
    docker = Docker()
    assert outcome(docker, ListContainers()) is None
    assert docker.calls == ["list soon"]
