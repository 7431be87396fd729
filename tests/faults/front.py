"""A front before the real control plane: what the agent asks passes through it, unless the weather is bad.

It speaks HTTP/1.1 byte for byte, so that signatures stay good; the WebSocket of ACS becomes a tunnel. It lives in a
thread of its own, for stories that are written down synchronously.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from tests.faults.ledger import Fate, Ledger
from tests.stories.house import House, free_port, standing

T = TypeVar("T")

HOST = "127.0.0.1"
TARGET = "x-amz-target"
OK = 200
OF_ACS = b"containerInstanceArn="
"""In the URL of ACS; that of telemetry names the instance otherwise."""


class Weather(StrEnum):
    """What becomes of a call to the ECS API."""

    CLEAR = "clear"
    REFUSES = "refuses"
    """Nobody listens; new WebSockets meet the same."""
    FAILS = "fails"
    """500 ServerException."""
    THROTTLES = "throttles"
    """400 ThrottlingException."""
    SILENT = "silent"
    """Calls are read and never answered."""
    LOSES = "loses"
    """The control plane hears the call, and the answer is lost."""


ANSWERS = {Weather.FAILS: (500, "ServerException"), Weather.THROTTLES: (400, "ThrottlingException")}


class Front:
    """Stands before the control plane at `plane` (a port of this machine), which may be set later than it opens."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.plane = 0
        self.ledger = Ledger()
        self.calls: list[tuple[float, str, Weather]] = []
        """Every call of the API: the moment, the action, and the weather that it met."""
        self.successes: list[float] = []
        """The moments at which the control plane's answers of success left."""
        self.bad_signatures = 0
        """How often the control plane has refused a signature."""
        self.upgrades = 0
        """How many WebSockets were asked for."""
        self.alter: Callable[[bytes], bytes] = lambda answer: answer
        """What becomes of an answer of the control plane's on its way; the head and the body."""
        self.weather_of: dict[str, Weather] = {}
        """Actions that meet a weather of their own."""
        self.refused: dict[str, str] = {}
        """Actions that the control plane never hears of, and the code of the answer to them (400)."""
        self._weather = Weather.CLEAR
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()
        self._tunnels: set[asyncio.StreamWriter] = set()
        self._jobs: set[asyncio.Task[None]] = set()

    @property
    def weather(self) -> Weather:
        """What new calls meet."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        self._do(self._close() if weather is Weather.REFUSES else self._open())

    def has_met(self, weather: Weather) -> bool:
        """Has a call met this weather?"""
        return any(met is weather for _, _, met in self.calls)

    def open(self) -> None:
        self._thread.start()
        self._do(self._open())

    def close(self) -> None:
        self._do(self._close())
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def cut(self) -> None:
        """Break every WebSocket, without a word."""
        self._do(self._cut())

    def _do(self, work: Coroutine[None, None, T]) -> T:
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(timeout=10)

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._callers:  # connections that are kept for the next call
            writer.transport.abort()

    async def _cut(self) -> None:
        for writer in self._tunnels:
            writer.transport.abort()

    async def _end(self) -> None:
        await self._cut()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job = asyncio.current_task()
        assert job is not None
        self._jobs.add(job)
        self._callers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._exchange(reader, writer)
        writer.transport.abort()
        self._jobs.discard(job)
        self._callers.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, fields = await _head(reader)
            if fields.get("upgrade", "").lower() == "websocket":
                self.upgrades += OF_ACS in head.partition(b"\r\n")[0]
                await self._tunnel(head, reader, writer)
                return
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            if not await self._answer(head, fields.get(TARGET, "").rpartition(".")[2], body, reader, writer):
                return

    async def _answer(
        self, head: bytes, action: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        weather = self.weather_of.get(action, self.weather)
        self.calls.append((time.monotonic(), action, weather))
        entry = self.ledger.open(body) if action == "SubmitTaskStateChange" else None
        fate, is_final = Fate.UNHEARD, False
        try:
            if weather is Weather.SILENT:
                await reader.read(1)  # until the caller gives up
                return False
            if weather in ANSWERS or action in self.refused:
                writer.write(_refusal(*ANSWERS.get(weather, (400, self.refused.get(action, "")))))
                fate = Fate.REFUSED
                return True
            status, answer = await self._ask_plane(head + body)
            self.bad_signatures += b"InvalidSignatureException" in answer
            fate = Fate.LOST
            if weather is Weather.LOSES:
                return False
            writer.write(self.alter(answer))
            await writer.drain()
            fate, is_final = Fate.TAKEN if status == OK else Fate.REFUSED, b"InvalidParameterException" in answer
            if status == OK:
                self.successes.append(time.monotonic())
            return True
        finally:
            if entry is not None:
                self.ledger.end(entry, fate, is_final=is_final)

    async def _ask_plane(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(HOST, self.plane)
        try:
            writer.write(request)
            head, fields = await _head(reader)
            body = await reader.readexactly(int(fields.get("content-length", 0)))
        finally:
            writer.close()
        return int(head.split(b" ", 2)[1]), head + body

    async def _tunnel(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, self.plane)
        back.write(head)
        self._callers.discard(writer)
        self._tunnels |= {writer, back}
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, back))
                pumps.create_task(_pump(there, writer))
        finally:
            self._tunnels -= {writer, back}
            back.transport.abort()


async def _head(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, str]]:
    """The head of a message as it came, and its fields by their names in lower case."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return head, {name.lower(): value.strip() for name, _, value in pairs}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


def _refusal(status: int, code: str) -> bytes:
    body = b'{"__type": "%s", "message": "not now"}' % code.encode()
    head = f"HTTP/1.1 {status} No\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def a_front() -> Iterator[Front]:
    front = Front()
    front.open()
    try:
        yield front
    finally:
        front.close()


@contextmanager
def a_house_behind_a_front(folder: Path, **settings: str) -> Iterator[tuple[House, Front]]:
    """A whole house whose agent sees its control plane through a front; the story's own client does not."""
    with a_front() as front:
        house = House(folder, {"ECS_BACKEND_HOST": front.url, **settings})
        front.plane = house.port
        with standing(house):
            yield house, front
