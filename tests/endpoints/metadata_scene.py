"""Tasks of each network mode with what Docker shows of them, and the desk that tells of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.endpoints.bodies import Place
from agent.endpoints.calls import Answer, Asked, Caller, Known
from agent.endpoints.directory import Directory
from agent.endpoints.looks_client import NOTHING_MEASURED, Looks, Tagger
from agent.endpoints.metadata_desk import MetadataDesk
from agent.endpoints.ports import Rates
from agent.endpoints.refusals import Refusals
from agent.model.errors import TryAgain
from agent.model.names import DockerId, Image, TaskArn
from agent.model.parts import Association, RestartPolicy
from agent.model.portrait import DockerNetwork, Eni, MountPoint, Portrait, PublishedPort
from agent.model.status import Health, Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec

GOLDEN = Path(__file__).parent / "golden"
CLUSTER = "arn:aws:ecs:eu-west-1:111122223333:task/blue"
INSTANCE = "arn:aws:ecs:eu-west-1:111122223333:container-instance/blue/0f1e"
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
PLACE = Place("blue", "eu-west-1b", "euw1-az2", "vpc-0abc")
EVERYWHERE, LOOPBACK6 = "0.0.0.0", "::"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def docker_id(letter: str) -> DockerId:
    return DockerId(letter * 64)


def key(mode: str, container: str) -> str:
    """The id in a container's metadata address."""
    return f"key-of-{mode}-{container}"


def arn(mode: str) -> TaskArn:
    return TaskArn(f"{CLUSTER}/{mode}")


def labels(mode: str, container: str) -> dict[str, str]:
    ecs = "com.amazonaws.ecs."
    return {
        "team": "a&b",
        f"{ecs}task-definition-version": "7",
        f"{ecs}task-definition-family": "shop",
        f"{ecs}task-arn": arn(mode),
        f"{ecs}container-name": container,
        f"{ecs}cluster": "blue",
        "dockworker.agent": "never shown",
    }


def portrait(mode: str, container: str, letter: str, networks: tuple[DockerNetwork, ...]) -> Portrait:
    return Portrait(
        docker_id(letter),
        f"ecs-shop-7-{container}-a2f4e8d0c1b3a5960100",
        f"{container}:1.27",
        "sha256:9d",
        labels(mode, container),
        "2024-05-01T12:00:00.512345678Z",
        "2024-05-01T12:00:01.004Z",
        pid=100,
        network_mode=mode,
        networks=networks,
    )


def running(mode: str, container: str, letter: str) -> Container:
    return Container(
        container,
        Status.RUNNING,
        docker_id=docker_id(letter),
        created_at=at(0.5),
        started_at=at(1),
        metadata_id=key(mode, container),
    )


def a_task(mode: str, specs: tuple[ContainerSpec, ...], rows: tuple[Container, ...], **more: Any) -> Task:  # noqa: ANN401 -- fields of a spec
    return Task(
        TaskSpec(arn(mode), "shop", "7", specs, network_mode=mode, **more),
        rows,
        arrived=at(-20),
        draw="d",
        known=Status.RUNNING,
        pull_started_at=at(-7.9),
        pull_stopped_at=at(-1.3),
    )


def bridge() -> tuple[Task, tuple[Portrait, ...]]:
    """A web server that passes its health check, a job that failed, and what waits for it with its image pulled."""
    web = ContainerSpec(
        "web",
        Image("web:1.27"),
        health_check=True,
        host_config='{"LogConfig":{"Type":"awslogs","Config":{"awslogs-region":"eu-west-1","awslogs-group":"/ecs/a"}}}',
        container_arn="arn:aws:ecs:eu-west-1:111122223333:container/blue/bridge/5f6e",
        restart=RestartPolicy(),
    )
    job = ContainerSpec("job", Image("job:1.27"), cpu=256, memory=128, health_check=True)
    rows = (
        replace(
            running("bridge", "web", "a"),
            health=Health.HEALTHY,
            health_since=at(31.2),
            health_output="ok\n",
            restarts=2,
        ),
        replace(running("bridge", "job", "b"), known=Status.STOPPED, exit_code=0, finished_at=at(9)),
        Container("next", Status.PULLED, metadata_id=key("bridge", "next")),
    )
    task = a_task(
        "bridge",
        (web, job, ContainerSpec("next", Image("next:1.27"), cpu=1)),
        rows,
        cpu=0.25,
        memory=512,
        service="shop-svc",
        launch_type="EC2",
        fault_injection=True,
        associations=(
            Association("gpu", "GPU-0", ("web",), '{"slot":3}'),
            Association("gpu", "GPU-1", ("job",)),
            Association("elastic-inference", "dev/1", ("web",), "x"),
        ),
    )
    seen = replace(
        portrait("bridge", "web", "a", (DockerNetwork("bridge", "172.17.0.3", "fd00::3"),)),
        ports=(PublishedPort(80, "tcp", 32768, EVERYWHERE), PublishedPort(80, "tcp", 32768, LOOPBACK6)),
        mounts=(MountPoint("/srv/data", "/data"), MountPoint("/var/lib/docker/volumes/v/_data", "/cache", "v")),
    )
    ended = replace(
        portrait("bridge", "job", "b", (DockerNetwork("bridge"),)), finished_at="2024-05-01T12:00:09.000000001Z"
    )
    return task, (seen, ended)


def host() -> tuple[Task, tuple[Portrait, ...]]:
    """One container that fails its health check, in the network of the host."""
    spec = ContainerSpec("web", Image("web:1.27"), cpu=1, memory=64, health_check=True)
    row = replace(running("host", "web", "c"), health=Health.UNHEALTHY, health_since=at(40), health_output="<refused>")
    seen = replace(portrait("host", "web", "c", (DockerNetwork("host"),)), health_exit_code=7)
    return replace(a_task("host", (spec,), (row,), launch_type="EXTERNAL"), wanted=Status.STOPPED), (seen,)


def none() -> tuple[Task, tuple[Portrait, ...]]:
    """One container without a network, of which Docker lists none either."""
    return (
        a_task("none", (ContainerSpec("web", Image("web:1.27")),), (running("none", "web", "d"),), memory=100),
        (portrait("none", "web", "d", ()),),
    )


def awsvpc() -> tuple[Task, tuple[Portrait, ...]]:
    """One container in the task's own network interface."""
    spec = ContainerSpec("web", Image("web:1.27"), cpu=256, memory=256)
    seen = replace(
        portrait("awsvpc", "web", "e", ()),
        network_mode=f"container:{docker_id('f')}",
        ports=(PublishedPort(80, "tcp", 31000, EVERYWHERE),),
    )
    return a_task("awsvpc", (spec,), (running("awsvpc", "web", "e"),), cpu=2.0), (seen,)


ENI = Eni(
    ipv4=("10.0.1.44",),
    ipv6=("2001:db8:0:1::44",),
    mac="0a:1b:2c:3d:4e:5f",
    gateway_ipv4="10.0.1.1/24",
    gateway_ipv6="2001:db8::1/56",
    dns_servers=("10.0.0.2",),
    dns_search=("eu-west-1.compute.internal",),
    private_dns_name="ip-10-0-1-44.eu-west-1.compute.internal",
)
TAGS = {arn("bridge"): {"team": "z", "a": "1"}, arn("awsvpc"): {}, INSTANCE: {"rack": "<7>"}}
ALL = (bridge(), host(), none(), awsvpc())


def stats_of(name: DockerId) -> dict[str, Any]:
    """As Docker's API has them, shortened."""
    return {"read": "2024-05-01T12:20:00.1Z", "pids_stats": {"current": 9}, "storage_stats": {}, "id": name}


@dataclass
class Docker:
    """Shows what it is told to; `silent` answers nothing."""

    portraits: Mapping[DockerId, Portrait]
    silent: bool = False
    asked: int = 0

    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        self.asked += 1
        if self.silent:
            raise TryAgain("Docker does not answer")
        return self.portraits.get(docker_id)

    async def stats(self, docker_id: DockerId) -> dict[str, Any] | None:
        if self.silent:
            raise TryAgain("Docker does not answer")
        return stats_of(docker_id) if docker_id in self.portraits else None


@dataclass
class Tags:
    """Tells tags by ARN; whatever else is asked for it refuses."""

    found: Mapping[str, Mapping[str, str]]
    askers: list[str] = field(default_factory=list)

    async def resource_tags(self, arn: str, asker: str) -> Mapping[str, str]:
        self.askers.append(asker)
        if arn not in self.found:
            raise TryAgain("after 1 attempts: AccessDeniedException: no")
        return self.found[arn]


@dataclass
class Rows:
    """Rows of tasks."""

    tasks: Mapping[TaskArn, Task]


class Measured:
    """Two thirds of a byte come in, and 64 go out, of one container alone."""

    def rates(self, docker_id_: DockerId) -> tuple[float, float] | None:
        return (120.5, 64.0) if docker_id_ == docker_id("a") else None


@dataclass
class Scene:
    """The desk, and what it asks."""

    isolated: bool = True
    measures: bool = True
    rates: Rates = NOTHING_MEASURED
    tasks: dict[TaskArn, Task] = field(default_factory=lambda: {task.arn: task for task, _ in ALL})
    docker: Docker = field(default_factory=lambda: Docker({one.docker_id: one for _, seen in ALL for one in seen}))
    tags: Tags = field(default_factory=lambda: Tags(TAGS))

    def desk(self) -> MetadataDesk:
        looks = Looks(self.docker, lambda task: ENI if task.spec.network_mode == "awsvpc" else None)
        return MetadataDesk(
            Directory(Rows(self.tasks), isolated=self.isolated),
            looks,
            Tagger(self.tags, lambda: INSTANCE),
            self.rates,
            Refusals(lambda: NOON),
            lambda: PLACE,
            measures=self.measures,
        )

    async def get(self, path: str, caller: Caller | None = None) -> Answer:
        answer = await self.desk().answer(Asked("GET", path, "172.17.0.4:4711", caller or Caller()))
        assert answer is not None, f"{path} is of this desk"
        return answer

    async def of(self, mode: str, path: str) -> Answer:
        """What a container of the task of that mode is answered."""
        known = Known.SOCKET if mode == "host" else Known.ADDRESS
        return await self.get(path, Caller(known, arn(mode), "web"))
