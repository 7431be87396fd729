"""A door before the real Docker Engine that can be slammed: what was on its way is lost, as when dockerd dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


class CuttingProxy:
    """Hands bytes through between a socket of its own and Docker's until `cut`."""

    def __init__(self, docker: str, own: Path) -> None:
        self.host = f"unix://{own}"
        self.heard = bytearray()
        """All that the client has sent."""
        self._docker = docker.removeprefix("unix://")
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Condition()

    async def wait_for(self, words: bytes) -> None:
        """Return once the client has sent *words*."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: words in self.heard)

    def cut(self) -> None:
        """Drop every connection, without a word to either side."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._docker)
        self._writers |= {writer, back}
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._hand_on(reader, back, hear=True))
            jobs.create_task(self._hand_on(there, writer, hear=False))

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, hear: bool) -> None:
        with suppress(ConnectionError):  # that is what this proxy is for
            while chunk := await reader.read(65536):
                if hear:
                    self.heard += chunk
                    async with self._news:
                        self._news.notify_all()
                writer.write(chunk)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def cutting_proxy(docker: str, folder: Path) -> AsyncIterator[CuttingProxy]:
    proxy = CuttingProxy(docker, folder / "docker.sock")
    server = await asyncio.start_unix_server(proxy.serve, folder / "docker.sock")
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()
