"""Registries on loopback, which Docker takes without TLS: a real one, and one that stalls."""

import asyncio
import hashlib
import json
import secrets
import subprocess
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from tests.sample_image import client, remove_image

CONFIG = """\
version: 0.1
log: {{level: info, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:0"}}
"""
USER, PASSWORD = "me", "hunter2-of-the-registry"
HTPASSWD = f"{USER}:$2b$05$6sxzO/2W.jW2GHNirWhTr.3BmAFTWUNb0ezBiaazBQbEbHlhMb76S\n"
"""The line that ``htpasswd -B`` makes of the two."""
AUTH = """\
auth: {{htpasswd: {{realm: tests, path: {users}}}}}
"""
LISTENING = "listening on 127.0.0.1:"
TLS_HANDSHAKE = b"\x16"
LAYER = f"sha256:{secrets.token_hex(32)}"
SIZE = 1 << 20
IMAGE_CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [LAYER]}, "config": {}}
).encode()
CONFIG_DIGEST = f"sha256:{hashlib.sha256(IMAGE_CONFIG).hexdigest()}"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "size": len(IMAGE_CONFIG), "digest": CONFIG_DIGEST},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": SIZE, "digest": LAYER}],
    }
).encode()
MANIFEST_DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


@contextmanager
def a_registry(folder: Path, *, locked: bool = False) -> Iterator[str]:
    """Debian's docker-registry on a port of its own choice; gives its address. A locked one knows USER alone."""
    config, users = folder / "config.yml", folder / "users"
    users.write_text(HTPASSWD)
    config.write_text(CONFIG.format(root=folder / "images") + (AUTH.format(users=users) if locked else ""))
    command = ["docker-registry", "serve", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        try:
            address = _address_in(process.stderr)
            reader = threading.Thread(target=deque, args=(process.stderr, 0))  # a full pipe would stop the registry
            reader.start()
            yield address
        finally:
            process.terminate()
    reader.join()


def _address_in(log: IO[str]) -> str:
    said = []
    for line in log:
        said.append(line)
        if LISTENING in line:
            return "127.0.0.1:" + line.partition(LISTENING)[2].partition('"')[0].strip()
    raise AssertionError("".join(said))


class StallingRegistry:
    """Hands out a manifest and begins to send what it names, but never comes to the end.

    With `drip` a byte of the layer comes now and then: Docker notices only by the next byte that nobody wants more.
    """

    def __init__(self, drip: float | None) -> None:
        self.address = ""
        self.begun = asyncio.Event()
        """Set when Docker waits for the rest of the layer."""
        self.left = asyncio.Event()
        """Set when Docker no longer does."""
        self._drip = drip

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (first := await reader.read(1)) not in (b"", TLS_HANDSHAKE):
                request = first + await reader.readuntil(b"\r\n\r\n")
                if LAYER.encode() in request:
                    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\nthe first bytes".encode())
                    await self._send_layer(reader, writer)
                    return
                digest, kind, answer = "", "application/json", b"{}"
                if b"/manifests/" in request:
                    digest, kind, answer = MANIFEST_DIGEST, MANIFEST_TYPE, MANIFEST
                elif b"/blobs/" in request:
                    digest, kind, answer = CONFIG_DIGEST, "application/octet-stream", IMAGE_CONFIG
                head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n"
                head += f"Docker-Content-Digest: {digest}\r\n\r\n"
                writer.write(head.encode() + (b"" if request.startswith(b"HEAD") else answer))
        finally:
            writer.close()

    async def _send_layer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.begun.set()
        gone = asyncio.create_task(reader.read(1))
        while not (await asyncio.wait([gone], timeout=self._drip))[0]:
            writer.write(b".")
        self.left.set()


@asynccontextmanager
async def a_stalling_registry(drip: float | None = None) -> AsyncIterator[StallingRegistry]:
    registry = StallingRegistry(drip)
    server = await asyncio.start_server(registry.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    registry.address = f"{host}:{port}"
    try:
        yield registry
    finally:
        server.close()
        await server.wait_closed()


async def push(host: str, image: str, to: str, login: dict[str, str] | None = None) -> None:
    """Have Docker push *image* under the name *to*, which is not on the host before or after."""
    name, _, tag = to.rpartition(":")
    async with client(host) as docker:
        await docker.images.tag(image, name, tag=tag)
        for sign in await docker.images.push(name, tag=tag, auth=login):
            assert "error" not in sign, sign
    await remove_image(host, to)
