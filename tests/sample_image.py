"""The image that tests run: Debian's static busybox and nothing else, imported into the engine, never pulled."""

import asyncio
import fcntl
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiodocker
import aiohttp
from aiodocker.exceptions import DockerError

from agent.model.names import Image

SAMPLE = Image("dockworker.invalid/test:1")

_BUSYBOX = Path("/bin/busybox")
_USERS = Path(tempfile.gettempdir(), "dockworker-test-image.users")
_IMPORT = Path(tempfile.gettempdir(), "dockworker-test-image.import")
_IN_USE = 409


@contextmanager
def sample_image(host: str) -> Iterator[Image]:
    """The sample image, on the host until the last test run that uses it has ended."""
    with _USERS.open("a") as users, _IMPORT.open("a") as turn:
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_EX)
        asyncio.run(import_if_missing(host))
        fcntl.flock(turn, fcntl.LOCK_UN)
        try:
            yield SAMPLE
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # somebody else still uses it, and will be the last
            else:
                asyncio.run(remove_image(host, SAMPLE))


@asynccontextmanager
async def client(host: str) -> AsyncIterator[aiodocker.Docker]:
    """A client of the tests' own, beside the one under test."""
    async with aiodocker.Docker(url=host) as docker:
        await docker.version()
        yield docker


async def remove_image(host: str, image: str) -> None:
    """Untag the image; one that is not there, or is in use, is left alone."""
    async with client(host) as docker:
        try:
            await docker.images.delete(image)
        except DockerError as error:
            if error.status not in (404, _IN_USE):
                raise


async def remove_containers(host: str, label: str) -> None:
    """Remove every container that carries *label* (``name=value``), running or not."""
    async with client(host) as docker:
        for container in await docker.containers.list(all="true", filters=json.dumps({"label": [label]})):
            try:
                await container.delete(force=True, v=True)
            except DockerError as error:
                if error.status not in (404, _IN_USE):  # 409: its removal is under way
                    raise


async def remove_volumes(host: str, label: str) -> None:
    """Remove every volume that carries *label* (``name=value``) and that no container uses any more."""
    async with client(host) as docker:
        for volume in (await docker.volumes.list(filters={"label": [label]}))["Volumes"] or ():
            await (await docker.volumes.get(volume["Name"])).delete()


def root_archive() -> bytes:
    """A root file system as a tar: busybox under the name of each of its applets, and the few folders they need."""
    applets = subprocess.run([_BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as root:
        for folder in ("bin", "etc", "tmp", "dev", "proc", "sys"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            root.addfile(entry)
        root.add(_BUSYBOX, "bin/busybox")
        for applet in applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            if applet != "busybox":
                root.addfile(link)
    return buffer.getvalue()


async def import_if_missing(host: str) -> None:
    """Import the sample image into the engine at *host*, unless it is there."""
    if await _is_there(host):
        return
    name, _, tag = SAMPLE.rpartition(":")
    async with client(host) as docker:
        answer = await docker.session.post(
            f"{docker.docker_host}/{docker.api_version}/images/create",
            params={"fromSrc": "-", "repo": name, "tag": tag, "changes": 'CMD ["sh"]'},
            data=io.BytesIO(root_archive()),
            timeout=aiohttp.ClientTimeout(total=60),
        )
        async with answer:
            text = await answer.text()
            assert answer.ok, text
            assert "error" not in text, text


async def _is_there(host: str) -> bool:
    async with client(host) as docker:
        try:
            await docker.images.inspect(SAMPLE)
        except DockerError as error:
            if error.status == 404:
                return False
            raise
        return True
