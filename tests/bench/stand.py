"""The agent as a process of its own between a plane that is moved by hand and the real Docker Engine."""

import asyncio
import json
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiodocker
import aiohttp
import psutil
from aiodocker.exceptions import DockerError

from agent.docker import labels
from agent.docker.engine_driver import DEFAULT_HOST
from agent.docker.inspected import moment
from tests.bench.plane import ACCOUNT, CLUSTER, PATIENCE, Plane, a_plane
from tests.sample_image import remove_containers
from tests.stories.house import Program, clean_environment, remove_cgroups

GONE = (404, 409)
BARE = "dockworker.bench"
"""The label of containers that are made without the agent."""


@dataclass(frozen=True, slots=True)
class DockerEvent:
    """What happened to a container, and when, by Docker's own clock (seconds since 1970)."""

    at: float
    action: str
    docker_id: str
    task: str
    container: str


@dataclass
class Stand:
    """Everything a measurement needs."""

    plane: Plane
    agent: Program
    data: Path
    docker: aiodocker.Docker
    events: list[DockerEvent] = field(default_factory=list)
    ready_after: float = 0.0
    _happened: asyncio.Event = field(default_factory=asyncio.Event)

    def new_task(self) -> str:
        """The ARN of a task that is new."""
        return f"{ACCOUNT}:task/{CLUSTER}/{secrets.token_hex(16)}"

    async def until_event(self, action: str, task: str, container: str) -> DockerEvent:
        """The first *action* of *container*."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for event in self.events:
                        if (event.action, event.task, event.container) == (action, task, container):
                            return event
                    self._happened.clear()
                    await self._happened.wait()
        except TimeoutError:
            raise AssertionError(f"waited {PATIENCE:g} s for Docker's {action} of {container}") from None

    async def inspect(self, docker_id: str) -> dict[str, Any]:
        return await self.docker.containers.container(docker_id).show()

    async def created_at(self, docker_id: str) -> float:
        """When Docker began to make the container: at the beginning of the create request, not at its end."""
        made = moment((await self.inspect(docker_id))["Created"])
        assert made is not None
        return made.timestamp()

    async def until_says_ready(self, docker_id: str) -> None:
        """Return when the program in the container minds its signals."""
        async with asyncio.timeout(PATIENCE):
            while not await self.docker.containers.container(docker_id).log(stdout=True):  # noqa: ASYNC110 -- no event
                await asyncio.sleep(0.02)

    async def bare_body(self, docker_id: str) -> dict[str, Any]:
        """The create body of a container like *docker_id*, which the agent does not take for its own."""
        shown = await self.inspect(docker_id)
        config = {name: value for name, value in shown["Config"].items() if name not in ("Hostname", "Domainname")}
        ours = {name.replace(labels.AGENT, BARE): value for name, value in config["Labels"].items()}
        return {**config, "Labels": {**ours, BARE: self.owner}, "HostConfig": shown["HostConfig"]}

    @property
    def owner(self) -> str:
        """Under which id the agent labels its containers."""
        saved = json.loads((self.data / "identity.json").read_text())
        return str(saved["identity"]["agent_id"])

    async def remove(self, docker_ids: Iterable[str]) -> None:
        """Remove these containers, running or not."""

        async def one(docker_id: str) -> None:
            try:
                await self.docker.containers.container(docker_id).delete(force=True, v=True)
            except DockerError as error:
                if error.status not in GONE:
                    raise

        await asyncio.gather(*(one(docker_id) for docker_id in docker_ids))

    async def end_tasks(self, tasks: Iterable[str]) -> None:
        """Have *tasks* ended by the death of their containers; return once all are told STOPPED."""
        tasks = list(tasks)
        found = await self.docker.containers.list(filters=json.dumps({"label": [f"{labels.AGENT}={self.owner}"]}))
        await self.remove(one.id for one in found)
        for task in tasks:
            await self.plane.until_told(task, "STOPPED")

    def start_agent(self) -> None:
        self.agent.start()

    async def stop_agent(self) -> None:
        """End the agent in good order; its containers stay."""
        code = await asyncio.to_thread(self.agent.end, signal.SIGTERM)
        assert code == 0, f"the agent ended with {code}"

    @property
    def process(self) -> psutil.Process:
        assert self.agent.process is not None
        return psutil.Process(self.agent.process.pid)

    async def follow(self) -> None:
        """Note what happens at Docker, for ever."""
        filters = json.dumps({"type": ["container"]})
        subscriber = self.docker.events.subscribe(filters=filters)  # type: ignore[no-untyped-call]  # aiodocker's own
        while (event := await subscriber.get()) is not None:
            attributes: Mapping[str, str] = event["Actor"]["Attributes"]
            task, container = attributes.get(labels.TASK, ""), attributes.get(labels.CONTAINER, "")
            at = event["timeNano"] / 1e9
            self.events.append(DockerEvent(at, event["Action"], event["Actor"]["ID"], task, container))
            self._happened.set()


@asynccontextmanager
async def a_stand(folder: Path, **settings: str) -> AsyncIterator[Stand]:
    """A stand with an agent that is connected; its log is printed if a measurement fails. Leaves no container."""
    connector = aiohttp.UnixConnector(DEFAULT_HOST.removeprefix("unix://"), limit=0)
    async with a_plane(Plane()) as plane, aiodocker.Docker(url=DEFAULT_HOST, connector=connector) as docker:
        docker.docker_host = "unix://localhost"
        await docker.version()
        stand = Stand(plane, _agent(folder, plane.url, settings), folder / "agent", docker)
        following = asyncio.create_task(stand.follow())
        try:
            began = time.perf_counter()
            stand.start_agent()
            await plane.until_connected()
            stand.ready_after = time.perf_counter() - began
            yield stand
        except BaseException:
            print(f"---- the agent's log\n{stand.agent.log.read_text()[-6000:]}", file=sys.stderr)
            raise
        finally:
            following.cancel()
            stand.agent.close()
            for label in (labels.AGENT, BARE):
                if (stand.data / "identity.json").exists():
                    await remove_containers(DEFAULT_HOST, f"{label}={stand.owner}")
            await remove_cgroups(stand.data)
            await connector.close()


def _agent(folder: Path, url: str, settings: Mapping[str, str]) -> Program:
    command = (sys.executable, "-m", "agent", "run")
    return Program("agent", command, agent_environment(folder, url, settings), folder / "agent.log")


def agent_environment(folder: Path, url: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The variables of an agent that takes what listens at *url* for ECS."""
    return {
        **clean_environment(),
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "DOCKWORKER_SHARE_HOST": "true",
        "DOCKWORKER_TASK_ADDRESS": "off",
        "ECS_BACKEND_HOST": url,
        "ECS_CLUSTER": CLUSTER,
        "ECS_DATADIR": str(folder / "agent"),
        "ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached",
        **settings,
    }


def dockerd() -> psutil.Process:
    """The Docker Engine's process."""
    found = [one for one in psutil.process_iter(["name"]) if one.info["name"] == "dockerd"]
    assert len(found) == 1, f"there are {len(found)} processes called dockerd on this machine"
    return found[0]


def seconds_used(process: psutil.Process) -> float:
    """Processor seconds that *process* has used so far, in user and system mode."""
    times = process.cpu_times()
    return float(times.user + times.system)
