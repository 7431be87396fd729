"""An ECS that is moved by hand, an agent as a process of its own before real Docker, and the wire between them.

What is sent and what was heard is at hand octet by octet; the wire can break in every way, also by falling silent.
"""

import asyncio
import json
import secrets
import socket
import sqlite3
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from agent.docker import labels
from agent.docker.engine_driver import DEFAULT_HOST
from agent.store.journal_driver import FILE_NAME
from tests.bench.plane import ACCOUNT, CLUSTER, INSTANCE, Plane, Report, a_plane
from tests.bench.stand import agent_environment
from tests.sample_image import SAMPLE, client, remove_containers
from tests.stories.house import Program, remove_cgroups

PATIENCE = 20.0
CLUSTER_ARN = f"{ACCOUNT}:cluster/{CLUSTER}"
NEW = INSTANCE[:-8] + "1" * 8
ROOT = Path(__file__).parents[2]


@dataclass
class Session:
    """One WebSocket of the agent's, seen from ECS."""

    request: web.Request
    socket: web.WebSocketResponse
    began: float
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    over: bool = False

    async def say(self, kind: str, **message: object) -> None:
        """Send one frame."""
        await self.socket.send_str(json.dumps({"type": kind, "message": message}))

    @property
    def transport(self) -> asyncio.Transport:
        assert isinstance(self.request.transport, asyncio.Transport)
        return self.request.transport

    def reset(self) -> None:
        """Break the TCP connection."""
        reset(self.transport)


def reset(transport: asyncio.WriteTransport) -> None:
    """End a TCP connection by a reset."""
    at = transport.get_extra_info("socket")
    at.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


@dataclass
class Hand(Plane):
    """What the agent takes for ECS. Nothing is sent, or sent again, unless the story says so."""

    sessions: list[Session] = field(default_factory=list)
    acs_url: str = ""
    """Where the agent is sent for ACS, if elsewhere."""
    attached: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What was told of attachments: the action, and what it said."""
    not_known: str = ""
    """The instance of which ECS says that there is none; whoever registers then without an ARN becomes `NEW`."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a call, or be the other end of a WebSocket, unless it is of an instance that is not known."""
        asks_for = request.query.get("containerInstanceArn", request.query.get("containerInstance"))
        if request.method == "GET" and asks_for == self.not_known:
            unknown = {"type": "InvalidInstanceException", "message": {"message": "there is no such instance"}}
            return web.json_response(unknown, status=400)
        return await super().serve(request)

    async def session(self, number: int = 0, patience: float = PATIENCE) -> Session:
        """The newest session that is open, once there have been *number* sessions."""

        def look() -> Session | None:
            enough = len(self.sessions) >= max(1, number) and not self.sessions[-1].over
            return self.sessions[-1] if enough else None

        return await self._until(look, f"session {number}", patience)

    async def answer(self, session: Session, kind: str, message_id: str, count: int = 1) -> dict[str, Any]:
        """The frame of *kind* that answers *message_id*, when there are *count*."""

        def look() -> dict[str, Any] | None:
            found = [m for k, m in session.heard if k == kind and m.get("messageId") == message_id]
            return found[-1] if len(found) >= count else None

        return await self._until(look, f"{kind} {message_id}", PATIENCE)

    async def beat(self, session: Session) -> None:
        """See a heartbeat answered: all that was sent before has been read, and all that was answered is here."""
        name = f"heartbeat-{secrets.token_hex(4)}"
        await session.say("HeartbeatMessage", messageId=name, healthy=True)
        await self.answer(session, "HeartbeatAckRequest", name)

    async def until_attached(self, arn: str) -> tuple[str, dict[str, Any]]:
        """How ECS was told that the attachment is there."""

        def look() -> tuple[str, dict[str, Any]] | None:
            return next((one for one in self.attached if one[1]["attachments"][0]["attachmentArn"] == arn), None)

        return await self._until(look, f"attachment {arn}", PATIENCE)

    def told(self, task: str, status: str) -> list[Report]:
        """What ECS was told of *task* being *status*."""
        return [report for report in self.reports if (report.task, report.status) == (task, status)]

    def _answer(self, action: str, body: dict[str, Any], at: float) -> dict[str, Any]:
        if action == "DiscoverPollEndpoint" and self.acs_url:
            return {"endpoint": self.acs_url, "telemetryEndpoint": self.url}
        if "attachments" in body:
            self.attached.append((action, body))
            self._changed.set()
            return {"acknowledgment": "ok"}
        answer = super()._answer(action, body, at)
        if action == "RegisterContainerInstance" and self.not_known and not body.get("containerInstanceArn"):
            answer["containerInstance"]["containerInstanceArn"] = NEW
        return answer

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False, timeout=1)
        await ws.prepare(request)
        session = Session(request, ws, time.monotonic())
        self.sessions.append(session)
        self._socket = ws
        self._changed.set()
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    frame = json.loads(message.data)
                    session.heard.append((frame["type"], frame["message"]))
                    self._changed.set()
        finally:
            session.over = True
            self._changed.set()
        return ws


def payload(name: str, *tasks: object, seq: int = 1, **more: object) -> dict[str, Any]:
    """The message of a payload."""
    names = {"messageId": name, "clusterArn": CLUSTER_ARN, "containerInstanceArn": INSTANCE}
    return {**names, "tasks": tasks, "seqNum": seq, **more}


def new_arn() -> str:
    return f"{ACCOUNT}:task/{CLUSTER}/{secrets.token_hex(16)}"


def sleeper(arn: str, *command: str) -> dict[str, Any]:
    """A task of one container, which sleeps unless it is to do something else."""
    container = {
        "name": "app",
        "image": SAMPLE,
        "essential": True,
        "memory": 16,
        "command": command or ("sleep", "600"),
        "stopTimeout": 2,
        "dockerConfig": {"hostConfig": '{"NetworkMode":"bridge","Init":true}'},
    }
    return {"arn": arn, "desiredStatus": "RUNNING", "family": "hand", "version": "1", "containers": [container]}


def stop(arn: str) -> dict[str, Any]:
    return {"arn": arn, "desiredStatus": "STOPPED"}


class Wire:
    """A TCP proxy before ACS. It can fall silent: what comes is read, and goes nowhere; no FIN, no reset."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pairs: list[_Pair] = []
        self._server: asyncio.Server | None = None
        self._jobs: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def silence(self, *, agent_alone: bool = False) -> "_Pair":
        """Swallow all that goes over the newest connection; or only what the agent says."""
        pair = self._pairs[-1]
        pair.agent_is_unheard, pair.ecs_is_unheard = True, not agent_alone
        return pair

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job = asyncio.current_task()
        assert job is not None
        self._jobs.add(job)
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        pair = _Pair()
        self._pairs.append(pair)
        try:
            async with asyncio.TaskGroup() as jobs:
                jobs.create_task(pair.from_agent(reader, back))
                jobs.create_task(pair.from_ecs(there, writer))
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, back):
                end.transport.abort()


class _Pair:
    """The two ends of one connection."""

    def __init__(self) -> None:
        self.agent_is_unheard = self.ecs_is_unheard = False
        self.given_up = asyncio.Event()
        """Set when the agent has closed its end."""

    async def from_agent(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while octets := await reader.read(1 << 16):
                if not self.agent_is_unheard:
                    to.write(octets)
        self.given_up.set()
        raise ConnectionError

    async def from_ecs(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(1 << 16):
                if not self.ecs_is_unheard:
                    to.write(octets)
        except ConnectionResetError:
            reset(to.transport)
        if not self.ecs_is_unheard:
            to.close()


@dataclass
class Ground:
    """Where a story plays."""

    ecs: Hand
    wire: Wire
    agent: Program
    data: Path

    @property
    def owner(self) -> str:
        """Under which id the agent labels its containers."""
        return str(json.loads((self.data / "identity.json").read_text())["identity"]["agent_id"])

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What the agent's log says under the name of *event*."""
        whole, _, _ = self.agent.log.read_text().rpartition("\n")  # the last line may be on its way
        found = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in found if line.get("event") == event]

    async def until_line(self, event: str, fits: Callable[[dict[str, Any]], bool], after: int = 0) -> dict[str, Any]:
        """The first such line that fits, behind the first *after* of its name; the log is written by a thread."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for line in self.lines(event)[after:]:
                if fits(line):
                    return line
            await asyncio.to_thread(time.sleep, 0.02)
        raise AssertionError(f"no line {event} that fits; there are {self.lines(event)[after:]}")

    async def containers(self, task: str) -> list[tuple[str, str]]:
        """Id and state of every container of *task* that there is."""
        async with client(DEFAULT_HOST) as docker:
            filters = json.dumps({"label": [f"{labels.TASK}={task}"]})
            found = await docker.containers.list(all="true", filters=filters)
            return [(one["Id"], one["State"]) for one in found]

    def rows_made(self) -> int:
        """How many reports were ever written down for ECS."""
        with closing(sqlite3.connect(f"file:{self.data / FILE_NAME}?mode=ro", uri=True)) as journal:
            found = journal.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        return int(found[0]) if found else 0


@asynccontextmanager
async def a_ground(folder: Path, *, faster: int = 1, **settings: str) -> AsyncIterator[Ground]:
    """An agent that is connected; its log is printed if the story fails. Leaves no container.

    The silence after which it gives a connection up is shorter by the factor *faster*.
    """
    async with a_plane(Hand()) as ecs:
        wire = Wire(int(ecs.url.rstrip("/").rpartition(":")[2]))
        ecs.acs_url = await wire.open()
        environ = {**agent_environment(folder, ecs.url, settings), "PYTHONPATH": str(ROOT)}
        command = (sys.executable, "-m", "tests.faults.hasty", str(faster), "run")
        ground = Ground(ecs, wire, Program("agent", command, environ, folder / "agent.log"), folder / "agent")
        try:
            ground.agent.start()
            await ecs.session()
            yield ground
        except BaseException:
            print(f"---- the agent's log\n{ground.agent.log.read_text()[-8000:]}", file=sys.stderr)  # noqa: T201
            raise
        finally:
            ground.agent.close()
            await wire.close()
            if (ground.data / "identity.json").exists():
                await remove_containers(DEFAULT_HOST, f"{labels.AGENT}={ground.owner}")
            await remove_cgroups(ground.data)


def listed(arn: str, status: str = "RUNNING") -> Mapping[str, str]:
    """A task on a manifest."""
    return {"taskArn": arn, "taskClusterArn": CLUSTER_ARN, "desiredStatus": status}
