"""What ``dockworker dev`` asks of Docker itself: whether it answers, the sample's image, its log, and to tidy up."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiodocker
import aiohttp

from agent.cli import sample

INSTANCE_LABEL = "dockworker.instance"
PATIENCE = 10
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
    """Remove the containers of *instance_arn* that do not run; gives their number. Raises NoEngine."""
    filters = {"label": [f"{INSTANCE_LABEL}={instance_arn}"], "status": ["created", "exited", "dead"]}
    try:
        async with asyncio.timeout(PATIENCE):
            stopped = await docker.containers.list(all=True, filters=json.dumps(filters))
            for container in stopped:
                await container.delete(v=True)
    except (aiodocker.DockerError, aiohttp.ClientError, TimeoutError) as error:
        raise NoEngine(f"Docker does not remove the containers of {instance_arn}: {error}") from error
    return len(stopped)
