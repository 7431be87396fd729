import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.model.acts import (
    Act,
    CancelPull,
    CreateCgroup,
    CreateContainer,
    CreateVolume,
    FetchValues,
    InspectContainer,
    ListContainers,
    PullImage,
    RemoveCgroup,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
    StopContainer,
)
from agent.model.credentials import ContainerValues, RegistryLogin, TaskValues
from agent.model.errors import GiveUp, OutcomeUnknown, PortTaken, TryAgain
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
from agent.model.names import DockerId, Image
from agent.model.parts import EnvironmentFile, Registry, RegistryAuth, Secret
from agent.model.seen import Phase, Seen, Summary
from agent.model.status import PullBehavior, ResourceKind, Status
from agent.model.task import Container, ContainerSpec, ImageSource, Lease, Task, TaskSpec
from agent.runner.perform import NAME_APPEARS_WITHIN, Hands, Performer
from agent.runner.vault import Vault
from tests.engine.rows import ARN, T0, after, seen

IMAGE = Image("app:1")
ID = DockerId("id-app")
CREATE = CreateContainer(
    ARN, "app", 1, "ecs-app", "web", "1", ContainerSpec("app", IMAGE), (Lease(80, 50000, chosen=True),)
)


class Things:
    """Volumes, or cgroups."""

    def __init__(self, docker: "Docker") -> None:
        self._docker = docker

    async def create(self, act: CreateVolume | CreateCgroup) -> None:
        await self._docker.call(f"{type(act).__name__} {act.resource}")

    async def remove(self, act: RemoveVolume | RemoveCgroup) -> None:
        await self._docker.call(f"{type(act).__name__} {act.resource}")


class Elsewhere:
    """Where values are kept."""

    def __init__(self, docker: "Docker") -> None:
        self._docker = docker
        self.kept = TaskValues()

    async def fetch(self, act: FetchValues) -> TaskValues:
        await self._docker.call("fetch")
        return self.kept

    async def login(self, source: ImageSource) -> RegistryLogin:
        await self._docker.call(f"login {source.image}")
        return RegistryLogin("AWS", "PLANTED-ECR")


class Docker:
    """Containers, images and ports of a script: says what it is told to say, and remembers what it was asked."""

    def __init__(self, *, fails: Exception | None = None, looks: Sequence[Seen | None] = ()) -> None:
        self.calls: list[str] = []
        self.fails = fails
        self.looks = list(looks)
        self.cached = False
        self.pulling = asyncio.Event()
        self.paused = 0.0
        self.posted: list[Event] = []
        self.volumes, self.cgroups, self.values = Things(self), Things(self), Elsewhere(self)
        self.vault = Vault(list)
        self.joined: ContainerValues | None = None
        self.login: RegistryLogin | None = None

    async def call(self, what: str) -> None:
        self.calls.append(what)
        if self.fails:
            raise self.fails

    async def create(self, act: CreateContainer, values: ContainerValues) -> DockerId:
        self.joined = values
        await self.call(f"create {act.name}")
        return ID

    async def start(self, docker_id: DockerId) -> None:
        await self.call(f"start {docker_id}")

    async def stop(self, docker_id: DockerId, grace: float) -> None:
        await self.call(f"stop {docker_id} {grace:g}")

    async def kill(self, docker_id: DockerId) -> None:
        await self.call(f"kill {docker_id}")

    async def remove(self, reference: str, *, force: bool) -> None:
        await self.call(f"remove {reference} {force}")

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
        self.login = login
        await self.call(f"pull {source.image}")
        resolved("sha256:0")
        if self.pulling.is_set():
            await asyncio.Event().wait()
        return "sha256:1"

    async def check(self, leases: Sequence[Lease]) -> None:
        await self.call(f"probe {leases[0].host_port}")

    async def pause(self, seconds: float) -> None:
        self.paused += seconds


def performer(docker: Docker) -> Performer:
    def list_soon() -> None:
        docker.calls.append("list soon")

    return Performer(
        Hands(docker, docker, docker, docker.volumes, docker.cgroups, docker.values),
        docker.vault,
        clock=lambda: T0,
        post=docker.posted.append,
        list_soon=list_soon,
        pause=docker.pause,
    )


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


def test_a_repeated_restart_is_told_apart_from_the_run_before_it() -> None:
    earlier, later = seen(Phase.EXITED, exit_code=3), seen(started_at=after(9))
    act = StartContainer(ARN, "app", 2, ID, again=True, last_start=earlier.started_at)
    docker = Docker(looks=[earlier, later])
    outcome(docker, act)
    assert docker.calls == ["inspect id-app", "start id-app", "inspect id-app"]
    docker = Docker(looks=[later])
    outcome(docker, act)
    assert docker.calls == ["inspect id-app"]


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


VALUES = TaskValues(
    {"app": ContainerValues({"PASSWORD": "PLANTED-SECRET"}, files=({"OTHER": "PLANTED-FILE"},))},
    {"arn:login": RegistryLogin("bob", "PLANTED-LOGIN")},
)
WITH_SECRET = replace(CREATE, spec=replace(CREATE.spec, secrets=(Secret("PASSWORD", "arn:secret"),)))
FETCH = FetchValues(ARN, ResourceKind.VALUES, spec=TaskSpec(ARN, "web", "1", (), execution_credentials_id="role"))
PRIVATE = ImageSource(IMAGE, RegistryAuth(Registry.ASM, credentials_parameter="arn:login"), "role")


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (CreateVolume(ARN, ResourceKind.VOLUME, "scratch"), ResourceReady),
        (RemoveVolume(ARN, ResourceKind.VOLUME, "scratch"), ResourceCleared),
        (CreateCgroup(ARN, ResourceKind.CGROUP), ResourceReady),
        (RemoveCgroup(ARN, ResourceKind.CGROUP), ResourceCleared),
    ],
)
def test_a_thing_that_containers_need_is_made_and_removed(
    act: CreateVolume | RemoveVolume | CreateCgroup | RemoveCgroup, kind: type[Event]
) -> None:
    docker = Docker()
    made = outcome(docker, act)
    assert isinstance(made, ResourceReady | ResourceCleared)
    assert (type(made), made.act) == (kind, act)
    assert docker.calls == [f"{type(act).__name__} {act.resource}"]
    failed = outcome(Docker(fails=GiveUp("CgroupError", "no room")), act)
    assert isinstance(failed, ActFailed)
    assert (failed.act, failed.reason) == (act, "CgroupError: no room")


def test_values_that_were_fetched_join_the_container_that_asks_for_them_and_no_other() -> None:
    docker = Docker()
    docker.values.kept = VALUES
    ready = outcome(docker, FETCH)
    assert isinstance(ready, ResourceReady)
    assert "PLANTED" not in repr(ready)
    outcome(docker, WITH_SECRET)
    assert docker.joined == VALUES.containers["app"]
    outcome(docker, CREATE)
    assert docker.joined == ContainerValues()


def test_an_environment_file_is_a_reason_to_join_values_too() -> None:
    docker = Docker()
    docker.vault.keep(ARN, VALUES)
    outcome(docker, replace(CREATE, spec=replace(CREATE.spec, environment_files=(EnvironmentFile("arn:file"),))))
    assert docker.joined == VALUES.containers["app"]


def test_a_container_is_not_made_without_the_values_that_it_asks_for() -> None:
    docker = Docker()
    failed = outcome(docker, WITH_SECRET)
    assert isinstance(failed, ActFailed)
    assert failed.fault is Fault.GIVE_UP
    assert failed.reason.startswith("ResourceInitializationError: the values that container app needs")
    assert docker.joined is None


def test_a_reason_holds_no_value_of_the_task() -> None:
    docker = Docker(fails=GiveUp("CannotCreateContainerError", "bad PLANTED-SECRET and PLANTED-FILE and PLANTED-LOGIN"))
    docker.vault.keep(ARN, VALUES)
    failed = outcome(docker, WITH_SECRET)
    assert isinstance(failed, ActFailed)
    assert failed.reason == "CannotCreateContainerError: bad *** and *** and ***"


def test_a_pull_has_the_login_that_was_fetched_for_its_task() -> None:
    docker = Docker()
    docker.vault.keep(ARN, VALUES, "role")
    outcome(docker, PullImage(PRIVATE))
    assert docker.login == RegistryLogin("bob", "PLANTED-LOGIN")
    failed = outcome(docker, PullImage(replace(PRIVATE, credentials_id="another")))
    assert isinstance(failed, ActFailed)
    assert failed.reason == "CannotPullContainerAuthError: engine docker private registry credentials: not found"
    outcome(docker, PullImage(ImageSource(IMAGE)))
    assert docker.login is None


@pytest.mark.parametrize(
    ("error", "fault"),
    [(GiveUp("CannotX", "PLANTED-LOGIN!"), "give_up"), (TryAgain("PLANTED-LOGIN!", "CannotX"), "try_again")],
)
def test_the_reason_of_a_failed_pull_holds_no_login(error: Exception, fault: str) -> None:
    docker = Docker(fails=error)
    docker.vault.keep(ARN, VALUES, "role")
    failed = outcome(docker, PullImage(PRIVATE))
    assert isinstance(failed, ActFailed)
    assert (failed.fault, failed.reason) == (fault, "CannotX: ***!")


def test_a_pull_from_ecr_is_logged_in_to_each_time() -> None:
    docker = Docker()
    outcome(docker, PullImage(ImageSource(IMAGE, RegistryAuth(Registry.ECR))))
    assert docker.login == RegistryLogin("AWS", "PLANTED-ECR")
    assert docker.calls == ["login app:1", "pull app:1"]


def test_what_a_name_means_is_told_in_mid_pull() -> None:
    docker = Docker()
    outcome(docker, PullImage(ImageSource(IMAGE)))
    assert docker.posted == [ImageResolved(ImageSource(IMAGE), "sha256:0", T0, "registry")]


def test_values_stay_until_every_container_runs_or_has_ended() -> None:
    docker = Docker()
    spec = TaskSpec(ARN, "web", "1", (ContainerSpec("app", IMAGE), ContainerSpec("side", IMAGE)))

    def held(app: Status, side: Status, task: Status = Status.NONE) -> bool:
        docker.vault.keep(ARN, VALUES)
        docker.vault.settle([Task(spec, (Container("app", app), Container("side", side)), T0, known=task)])
        return docker.vault.values(ARN, "app") is not None

    assert held(Status.RUNNING, Status.CREATED)
    assert not held(Status.RUNNING, Status.STOPPED)
    assert not held(Status.PULLED, Status.NONE, Status.STOPPED)
    docker.vault.keep(ARN, VALUES)
    assert "PLANTED" not in repr(docker.vault)
