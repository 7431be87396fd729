"""What ``dockworker dev`` asks of Docker itself: whether it answers, the sample's image, its log, and to tidy up."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import aiodocker
import aiohttp

from agent.cli import sample
from agent.host.cgroup_driver import CgroupDriver
from agent.model.acts import RemoveCgroup
from agent.model.errors import GiveUp, TryAgain
from agent.model.names import TaskArn
from agent.model.status import ResourceKind

INSTANCE_LABEL, AGENT_LABEL = "dockworker.instance", "dockworker.agent"
PATIENCE = 10
TIDIES_UP_WITHIN = 2.0
BUILD_PATIENCE = 120


class NoEngine(Exception):
    """Docker does not answer, or does not do what it must. The text says what a person can do about it."""


@asynccontextmanager
async def engine(docker_host: str) -> AsyncIterator[aiodocker.Docker]:
    """The Docker Engine at *docker_host*, which has answered. Raises NoEngine if it does not."""
    docker = aiodocker.Docker(docker_host)
    try:
        try:
            async with asyncio.timeout(PATIENCE):
                await docker.version()
        except (aiodocker.DockerError, aiohttp.ClientError, OSError) as error:
            raise NoEngine(
                f"no Docker Engine answers at {docker_host}: `packaging/engine up` starts one ({error})"
            ) from error
        yield docker
    finally:
        await docker.close()


async def build_sample(docker: aiodocker.Docker) -> bool:
    """Make the sample's image; False if it is there already. Raises NoEngine."""
    try:
        async with asyncio.timeout(BUILD_PATIENCE):
            try:
                await docker.images.inspect(sample.IMAGE)
            except aiodocker.DockerError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
            else:
                return False
            context = io.BytesIO(sample.build_context(await asyncio.to_thread(sample.BUSYBOX.read_bytes)))
            await docker.images.build(fileobj=context, encoding="identity", tag=sample.IMAGE)
    except FileNotFoundError as error:
        raise NoEngine(f"{sample.BUSYBOX} is missing: `apt-get install busybox-static`") from error
    except (aiodocker.DockerError, aiohttp.ClientError, TimeoutError) as error:
        raise NoEngine(f"Docker cannot build {sample.IMAGE}: {error}") from error
    return True


async def log_of(docker: aiodocker.Docker, container: str) -> str:
    """Everything that *container* has printed. Raises NoEngine."""
    try:
        async with asyncio.timeout(PATIENCE):
            lines = await docker.containers.container(container).log(stdout=True, stderr=True)
    except (aiodocker.DockerError, aiohttp.ClientError, TimeoutError) as error:
        raise NoEngine(f"Docker does not show the log of {container}: {error}") from error
    return "".join(lines)


async def remove_stopped(docker: aiodocker.Docker, instance_arn: str) -> int:
    """Remove the containers of *instance_arn* that do not run, with the volumes and cgroups of their tasks.

    Gives the number of containers. The agent would do it too, hours later. Raises NoEngine.
    """
    label = [f"{INSTANCE_LABEL}={instance_arn}"]
    filters = {"label": label, "status": ["created", "exited", "dead"]}
    try:
        async with asyncio.timeout(PATIENCE):
            await _tidied_up(docker, label)
            stopped = await docker.containers.list(all=True, filters=json.dumps(filters))
            shown = [await container.show() for container in stopped]
            for container in stopped:
                await container.delete(v=True)
            for agent in {one["Config"]["Labels"].get(AGENT_LABEL) for one in shown} - {None}:
                await _remove_volumes(docker, f"{AGENT_LABEL}={agent}")
            for parent in {one["HostConfig"]["CgroupParent"] for one in shown} - {""}:
                await _remove_cgroup(parent)
    except (aiodocker.DockerError, aiohttp.ClientError, TimeoutError) as error:
        raise NoEngine(f"Docker does not remove the containers of {instance_arn}: {error}") from error
    return len(stopped)


async def _tidied_up(docker: aiodocker.Docker, label: list[str]) -> None:
    """ECS may know of an end while Docker still tidies up behind the container, and shows that it runs."""
    running = await docker.containers.list(filters=json.dumps({"label": label, "status": ["running"]}))
    with suppress(TimeoutError):
        async with asyncio.timeout(TIDIES_UP_WITHIN):
            await asyncio.gather(*(one.wait() for one in running), return_exceptions=True)


async def _remove_volumes(docker: aiodocker.Docker, label: str) -> None:
    """Those that no container uses any more; a task that runs on keeps its own."""
    filters = {"label": [label], "dangling": ["true"]}
    for volume in (await docker.volumes.list(filters=filters))["Volumes"] or ():
        await (await docker.volumes.get(volume["Name"])).delete()


async def _remove_cgroup(parent: str) -> None:
    """The cgroup of a task, unless something of the task still runs in it."""
    driver = CgroupDriver(2 if parent.endswith(".slice") else 1)
    with suppress(TryAgain, GiveUp):  # it is the agent's to clear in the end
        await driver.remove(RemoveCgroup(TaskArn(""), ResourceKind.CGROUP, path=parent))
