"""A front before Docker whose calls can hang: one of a kind, or all; and which can mute the event stream.

It lives in a thread of its own, for stories that are written down synchronously. A call that hangs has not reached
Docker; in the end it is handed on (`let_go`), its connection is cut (`drop`), or it is never answered at all.
"""

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

CREATE, START, STOP, KILL = (
    rf"^POST \S*/containers/{which}" for which in ("create", r"\w+/start", r"\w+/stop", r"\w+/kill")
)
INSPECT, LIST, REMOVE = r"^GET \S*/containers/\w+/json", r"^GET \S*/containers/json", r"^DELETE \S*/containers/"
PULL, EVENTS, ALL = r"^POST \S*/images/create", r"^GET \S*/events", r"^"
_REQUEST = re.compile(rb"(?:GET|POST|DELETE|HEAD|PUT) ")


@dataclass(eq=False)
class Hang:
    """What is to hang: calls that match, so many of them. `held` are those that do."""

    pattern: str
    left: int
    held: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    is_dropped: bool = False


class DockerFront:
    """Stands before the engine at *docker* (a path), at `host`."""

    def __init__(self, docker: str, own: Path) -> None:
        self.host = f"unix://{own}"
        self.is_mute = False
        """Does nothing of the event stream pass but its head?"""
        self.heard: list[str] = []
        """The first line of every call."""
        self._docker = docker
        self._own = own
        self._hangs: list[Hang] = []
        self._streams: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="docker-front", daemon=True)
        self._server: asyncio.Server | None = None

    def hang(self, pattern: str, count: int = 1_000_000) -> Hang:
        """Let the next *count* calls that match *pattern* hang."""
        hang = Hang(pattern, count)
        self._hangs.append(hang)
        return hang

    def let_go(self, hang: Hang) -> None:
        """Hand on what hangs."""
        self._hangs.remove(hang)
        self._loop.call_soon_threadsafe(hang.over.set)

    def drop(self, hang: Hang) -> None:
        """Cut the connections of what hangs."""
        hang.is_dropped = True
        self.let_go(hang)

    def forget(self, hang: Hang) -> None:
        """Let new calls pass; what hangs is never answered."""
        self._hangs.remove(hang)

    def cut_events(self) -> None:
        """Cut the event streams."""
        for writer in list(self._streams):
            self._loop.call_soon_threadsafe(writer.transport.abort)

    def open(self) -> None:
        self._thread.start()
        self._server = self._do(asyncio.start_unix_server(self._serve, self._own))

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._connections:
            writer.transport.abort()
        jobs = asyncio.all_tasks() - {asyncio.current_task()}
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._docker)
        self._connections |= {writer, back}
        forth = asyncio.ensure_future(self._ask(reader, back, writer))
        answer = asyncio.ensure_future(self._answer(there, writer))
        try:
            with suppress(asyncio.CancelledError):  # only `close` cancels, and asyncio would call that an error
                await asyncio.wait([forth, answer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in (forth, answer):
                job.cancel()
            await asyncio.gather(forth, answer, return_exceptions=True)
            for end in (writer, back):
                end.close()
            self._connections -= {writer, back}
            self._streams.discard(writer)

    async def _ask(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                if _REQUEST.match(chunk):
                    line = chunk.partition(b"\r\n")[0].decode()
                    self.heard.append(line)
                    if re.search(EVENTS, line):
                        self._streams.add(writer)
                    if not await self._passes(line):
                        return
                back.write(chunk)
                await back.drain()

    async def _passes(self, line: str) -> bool:
        for hang in list(self._hangs):
            if hang.left and re.search(hang.pattern, line):
                hang.left -= 1
                hang.held.append(line)
                await hang.over.wait()
                return not hang.is_dropped
        return True

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b""
        with suppress(ConnectionError):
            while chunk := await there.read(65536):
                if writer in self._streams and self.is_mute:
                    if b"\r\n\r\n" in head:
                        continue
                    chunk = (head + chunk).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                head += chunk if writer in self._streams else b""
                writer.write(chunk)
                await writer.drain()


@contextmanager
def docker_front(docker: str, folder: Path) -> Iterator[DockerFront]:
    """A front before the engine at *docker* (a `DOCKER_HOST`), with its socket in *folder*."""
    front = DockerFront(docker.removeprefix("unix://"), folder / "front.sock")
    front.open()
    try:
        yield front
    finally:
        front.close()
