"""Every call of the agent to somebody else has an end: here nobody who is called ever answers.

Each server takes the connection, reads all that comes and says nothing. The bounds are the agent's own, scaled to
`SHORT` seconds (from 5 s to 10 minutes in real life); a call that outlives them by more than two seconds has none.
"""

import ast
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from agent.acs.settings import AcsSettings
from agent.aws import credentials_client, ec2_client, ecs_client, imds_client, poll_client
from agent.aws.credentials_client import CredentialsClient
from agent.aws.ec2_client import Ec2Client, Ec2Settings
from agent.aws.ecs_client import EcsClient, EcsSettings
from agent.aws.imds_client import ImdsClient, ImdsSettings
from agent.aws.poll_client import PollEndpointsClient
from agent.docker import container_driver, engine_driver, event_driver, image_driver, shelf_driver, volume_driver
from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DockerEngine
from agent.docker.event_driver import EventDriver
from agent.docker.image_driver import ImageDriver, PullBounds
from agent.docker.shelf_driver import ShelfDriver
from agent.docker.volume_driver import VolumeDriver
from agent.host import cgroup_driver
from agent.host.cgroup_driver import CgroupDriver
from agent.model.acts import CreateContainer, CreateVolume, RemoveVolume
from agent.model.errors import AgentError
from agent.model.identity import Identity
from agent.model.names import DockerId, Image, TaskArn
from agent.model.parts import Scope, Volume, VolumeKind
from agent.model.registration import Registration
from agent.model.reports import Verdict
from agent.model.status import ResourceKind
from agent.model.task import ContainerSpec, ImageSource
from agent.sockets import client as sockets_client
from tests.aws.peers import FixedKeys
from tests.reporter.made_up import RUNNING, a_report

SHORT = 0.2
SLACK = 2.0
ARN = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/0123456789abcdef")
OWNER = Identity("agent", "demo", "arn:aws:ecs:us-east-1:123456789012:container-instance/demo/1")
CREATE = CreateContainer(
    task=ARN,
    container="app",
    run=1,
    name="ecs-web-1-app",
    spec=ContainerSpec("app", Image("app:1")),
    leases=(),
    family="web",
    version="1",
)
VOLUME = Volume("pool", kind=VolumeKind.DOCKER, scope=Scope.SHARED, autoprovision=True)
LONG_BOUNDS = (
    (container_driver, ("_STOP_BUFFER", "_KILL", "_REMOVE", "_INSPECT", "_LIST")),
    (image_driver, ("_INSPECT", "_TAG")),
    (volume_driver, ("_BOUND",)),
    (shelf_driver, ("_LIST", "_INSPECT", "_REMOVE_IMAGE", "_REMOVE_CONTAINER")),
    (event_driver, ("_OPENING",)),
    (engine_driver, ("_ASKING", "_PING")),
    (credentials_client, ("PATIENCE",)),
    (poll_client, ("PATIENCE",)),
    (ec2_client, ("PATIENCE",)),
    (sockets_client, ("DIAL_TIMEOUT",)),
    (cgroup_driver, ("SYSTEMD_PATIENCE",)),
)


@dataclass(frozen=True)
class Silent:
    """Where nobody answers."""

    url: str
    docker: str
    folder: Path


@asynccontextmanager
async def nobody_answers(folder: Path) -> AsyncIterator[Silent]:
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        writer.close()

    web = await asyncio.start_server(serve, "127.0.0.1", 0)
    docker = await asyncio.start_unix_server(serve, folder / "docker.sock")
    try:
        port = web.sockets[0].getsockname()[1]
        yield Silent(f"http://127.0.0.1:{port}", f"unix://{folder / 'docker.sock'}", folder)
    finally:
        for server in (web, docker):
            server.close()
        for writer in writers:
            writer.transport.abort()


Call = Callable[[Silent], Awaitable[object]]
OnDocker = Callable[[DockerEngine], Awaitable[object]]


def on_docker(call: OnDocker) -> Call:
    """*call* on an engine that has said its version once, and nothing since."""

    async def made(silent: Silent) -> object:
        async with DockerEngine.connect(silent.docker) as engine:
            engine._client.api_version = "v1.41"
            return await call(engine)

    return made


def containers(engine: DockerEngine) -> ContainerDriver:
    short = timedelta(seconds=SHORT)
    return ContainerDriver(engine, lambda: OWNER, create_timeout=short, start_timeout=short)


def images(engine: DockerEngine) -> ImageDriver:
    short = timedelta(seconds=SHORT)
    return ImageDriver(engine, bounds=PullBounds(short, short, short, short))


async def first_hint(engine: DockerEngine) -> object:
    async with aclosing(EventDriver(engine, lambda: OWNER).watch(lambda: None)) as hints:
        return await anext(hints)


async def report(silent: Silent) -> None:
    async with EcsClient.open(EcsSettings("us-east-1", "test", silent.url), FixedKeys()) as ecs:
        verdict = await ecs.submit(a_report("a", RUNNING), "demo")
    assert verdict is Verdict.LATER
    raise AgentError("as it should be")


async def register(silent: Silent) -> object:
    async with aiohttp.ClientSession() as session:

        async def no_pause(_: float) -> None:
            return None

        settings = EcsSettings("us-east-1", "test", silent.url)
        return await EcsClient(settings, session, FixedKeys(), sleep=no_pause).register(
            Registration("c", "t", "", (), ())
        )


async def discover(silent: Silent) -> object:
    async with EcsClient.open(EcsSettings("us-east-1", "test", silent.url), FixedKeys()) as ecs:
        return await PollEndpointsClient(ecs, "demo").acs_endpoint("arn")


async def tags(silent: Silent) -> object:
    async with Ec2Client.open(Ec2Settings(silent.url, "us-east-1"), FixedKeys()) as ec2:
        return await ec2.tags("i-1")


async def notices(silent: Silent) -> object:
    async with ImdsClient.open(ImdsSettings(silent.url)) as imds:
        return await imds.notice("spot/instance-action")


async def metadata(silent: Silent) -> None:
    async with ImdsClient.open(ImdsSettings(silent.url)) as imds:
        assert await imds.region() == ""
    raise AgentError("as it should be")


async def dial(silent: Silent) -> object:
    settings = AcsSettings("demo", "arn", agent_version="1", agent_hash="a", docker_version="20")
    return await sockets_client.dial(f"{silent.url}/ws", {}, settings)


async def systemd(silent: Silent) -> object:
    (silent.folder / "busctl").write_text("#!/bin/sh\nexec sleep 600\n")
    (silent.folder / "busctl").chmod(0o700)
    return await CgroupDriver(2, systemd=True, busctl=str(silent.folder / "busctl"))._call("StopUnit")


CALLS: dict[str, Call] = {
    "report a change to ECS": report,
    "register at ECS": register,
    "ask ECS where ACS is": discover,
    "dial ACS": dial,
    "ask for instance metadata": metadata,
    "look for a notice of EC2": notices,
    "ask EC2 for tags": tags,
    "ask systemd for a slice": systemd,
    "ping Docker": on_docker(lambda engine: engine.ping()),
    "ask Docker's version": on_docker(lambda engine: engine.version()),
    "ask Docker's facts": on_docker(lambda engine: engine.facts()),
    "create a container": on_docker(lambda engine: containers(engine).create(CREATE)),
    "start a container": on_docker(lambda engine: containers(engine).start(DockerId("a"))),
    "stop a container": on_docker(lambda engine: containers(engine).stop(DockerId("a"), 0)),
    "kill a container": on_docker(lambda engine: containers(engine).kill(DockerId("a"))),
    "remove a container": on_docker(lambda engine: containers(engine).remove("a", force=True)),
    "inspect a container": on_docker(lambda engine: containers(engine).inspect("a")),
    "list containers": on_docker(lambda engine: containers(engine).listing()),
    "follow Docker's events": on_docker(first_hint),
    "ask for an image": on_docker(lambda engine: images(engine).has(Image("app:1"))),
    "ask for a digest": on_docker(lambda engine: images(engine).digest(Image("app:1"))),
    "pull an image": on_docker(lambda engine: images(engine).pull(ImageSource(Image("app:1")), None, lambda _: None)),
    "create a volume": on_docker(
        lambda engine: VolumeDriver(engine, lambda: OWNER).create(
            CreateVolume(ARN, ResourceKind.VOLUME, "pool", name="pool", volume=VOLUME)
        )
    ),
    "remove a volume": on_docker(
        lambda engine: VolumeDriver(engine, lambda: OWNER).remove(
            RemoveVolume(ARN, ResourceKind.VOLUME, "pool", name="pool")
        )
    ),
    "list images": on_docker(lambda engine: ShelfDriver(engine).images()),
    "list all containers": on_docker(lambda engine: ShelfDriver(engine).containers()),
    "ask when a container ended": on_docker(lambda engine: ShelfDriver(engine).finished_at(DockerId("a"))),
    "remove an image": on_docker(lambda engine: ShelfDriver(engine).remove_image("app:1")),
    "clear a container away": on_docker(lambda engine: ShelfDriver(engine).remove_container(DockerId("a"))),
}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in LONG_BOUNDS:
        for name in names:
            assert getattr(module, name) >= 5.0, f"{module.__name__}.{name} is what is scaled"
            monkeypatch.setattr(module, name, SHORT)
    monkeypatch.setattr(ecs_client, "TIMEOUT", aiohttp.ClientTimeout(total=2 * SHORT))
    assert imds_client.TIMEOUT.total == 5.0


@pytest.mark.parametrize("what", CALLS)
def test_a_call_that_nobody_answers_ends(what: str, tmp_path: Path) -> None:
    async def story() -> float:
        async with nobody_answers(tmp_path) as silent:
            began = time.monotonic()
            async with asyncio.timeout(SHORT + SLACK):
                with pytest.raises(AgentError):
                    await CALLS[what](silent)
            return time.monotonic() - began

    asyncio.run(story())


def test_keys_that_nobody_gives_are_waited_for_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore blocks in a thread of its own, where a program of the user's may hang for ever."""
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = /bin/sleep 5\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    async def story() -> None:
        async with asyncio.timeout(SHORT + SLACK):
            with pytest.raises(AgentError):
                await CredentialsClient().keys()

    asyncio.run(story())


def test_no_call_is_without_a_bound_but_those_that_have_another_one() -> None:
    """Whoever opens an HTTP session says how long its calls may take; three say "as long as the caller lets them"."""
    without: set[str] = set()
    unsaid: set[str] = set()
    for file in sorted(Path("agent").rglob("*.py")):
        if "controlplane" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            keywords = {one.arg: one.value for one in node.keywords}
            total = keywords.get("total")
            if node.func.attr == "ClientTimeout" and isinstance(total, ast.Constant) and total.value is None:
                without.add(str(file))
            if (
                node.func.attr == "ClientSession"
                and "timeout" not in keywords
                and isinstance(node.func.value, ast.Name)
            ):
                unsaid.add(str(file))
    assert without == {"agent/sockets/client.py", "agent/docker/engine_driver.py"}
    assert not unsaid
