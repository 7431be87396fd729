"""A real server for containers, on a port of its own, and raw questions to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent.endpoints.calls import Answer, Asked, Caller, Desk, Known
from agent.endpoints.limits import Limiter
from agent.endpoints.server import EndpointServer
from tests.stories.house import free_port

SOMEBODY = Caller(Known.ADDRESS, container="web")


@dataclass
class Echo:
    """A desk that answers paths below ``/echo``, and remembers who asked."""

    answers: Callable[[Asked], Awaitable[Answer]] | None = None
    heard: list[Asked] = field(default_factory=list)

    async def answer(self, asked: Asked) -> Answer | None:
        self.heard.append(asked)
        if not asked.path.startswith("/echo"):
            return None
        return await self.answers(asked) if self.answers else Answer(200, asked.body or b"{}")


@dataclass
class Everybody:
    """Knows everybody as the same *caller*, and counts how often it was asked."""

    caller: Caller = SOMEBODY
    asked: int = 0

    async def who(self, peer: tuple[str, int], server: tuple[str, int]) -> Caller:
        assert peer[1] != server[1]
        self.asked += 1
        return self.caller


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, path: str, method: str = "GET", headers: str = "", body: bytes = b"") -> Reply:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: here\r\n{headers}{length}\r\n".encode() + body)
        return await self.reply(has_body=method != "HEAD")

    async def reply(self, *, has_body: bool = True) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"])) if has_body else b""
        return Reply(int(first.split()[1]), headers, body)

    async def is_closed(self) -> bool:
        """Wait until the server has closed it."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


class Stand:
    """A server that listens."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lines: list[Line] = []

    async def line(self) -> Line:
        """A new connection."""
        one = Line(*await asyncio.open_connection("127.0.0.1", self.port))
        self.lines.append(one)
        return one

    async def ask(self, path: str, method: str = "GET", headers: str = "", body: bytes = b"") -> Reply:
        """The answer over a new connection."""
        return await (await self.line()).ask(path, method, headers, body)


@asynccontextmanager
async def a_stand(
    *desks: Desk,
    visitors: Everybody | None = None,
    limits: tuple[int, int] = (40, 60),
    limited: Callable[[Asked], None] = lambda _: None,
    patience: float = 5.0,
) -> AsyncIterator[Stand]:
    port = free_port()
    server = EndpointServer(
        f"127.0.0.1:{port}",
        desks,
        visitors or Everybody(),
        Limiter(*limits),
        limited=limited,
        patience=patience,
    )
    stand = Stand(port)
    job = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(20):
            await server.is_listening.wait()
            yield stand
    finally:
        for line in stand.lines:
            line.writer.close()
        job.cancel()
        await asyncio.wait([job])
