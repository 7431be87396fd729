"""A control plane moved by hand: it sends payloads, and notes when they left and when reports arrived.

It has no scheduler, no file and no rule of its own that could be measured along; what it notes is what was on the wire.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

T = TypeVar("T")
P = TypeVar("P", bound="Plane")

ACCOUNT = "arn:aws:ecs:us-east-1:123456789012"
CLUSTER = "bench"
INSTANCE = f"{ACCOUNT}:container-instance/{CLUSTER}/{'0' * 32}"
PATIENCE = 120.0
"""Seconds that anything may take which is waited for."""
HEARTBEAT = 20.0


@dataclass(frozen=True, slots=True)
class Report:
    """One SubmitTaskStateChange, and when it came in (seconds since 1970)."""

    at: float
    task: str
    status: str
    reason: str
    containers: Mapping[str, Mapping[str, Any]]


@dataclass
class Plane:
    """What the agent under measurement takes for ECS."""

    url: str = ""
    reports: list[Report] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _socket: web.WebSocketResponse | None = None
    _sent: int = 0

    async def send(self, *tasks: Mapping[str, Any]) -> float:
        """Send each task in a payload of its own; gives the moment before the first one left."""
        assert self._socket is not None, "no agent is connected"
        frames = [self._payload(task) for task in tasks]
        began = time.time()
        for frame in frames:
            await self._socket.send_str(frame)
        return began

    async def until_connected(self) -> None:
        """Return once an agent has opened its WebSocket."""
        await self._until(lambda: self._socket, "the agent to connect", patience=20)

    async def until_told(self, task: str, status: str) -> Report:
        """The first report that calls *task* *status*. A task that is STOPPED instead ends the measurement."""

        def look() -> Report | None:
            for report in self.reports:
                if report.task == task and report.status in (status, "STOPPED"):
                    assert report.status == status, f"{task} was stopped: {report}"
                    return report
            return None

        return await self._until(look, f"{task} to be told {status}")

    async def until_container_told(self, task: str, container: str, status: str) -> Report:
        """The first report that calls *container* of *task* *status*."""

        def look() -> Report | None:
            ours = (report for report in self.reports if report.task == task)
            return next((one for one in ours if one.containers.get(container, {}).get("status") == status), None)

        return await self._until(look, f"{container} of {task} to be told {status}")

    def runtime_id(self, task: str, container: str) -> str:
        """The Docker id that a report named for *container*."""
        named = (one.containers.get(container, {}).get("runtimeId") for one in self.reports if one.task == task)
        return str(next(runtime_id for runtime_id in named if runtime_id))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a call, or be the other end of a WebSocket."""
        at = time.time()
        if request.method == "GET":
            return await (_hear_figures(request) if "containerInstance" in request.query else self._converse(request))
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        body = json.loads(await request.read())
        return web.json_response(self._answer(action, body, at), content_type="application/x-amz-json-1.1")

    def _answer(self, action: str, body: dict[str, Any], at: float) -> dict[str, Any]:
        match action:
            case "RegisterContainerInstance":
                attributes = body.get("attributes", [])
                return {"containerInstance": {"containerInstanceArn": INSTANCE, "attributes": attributes}}
            case "CreateCluster":
                return {"cluster": {"clusterName": body["clusterName"]}}
            case "DiscoverPollEndpoint":
                return {"endpoint": self.url, "telemetryEndpoint": self.url}
            case "SubmitTaskStateChange":
                containers = {one["containerName"]: one for one in body.get("containers", [])}
                self.reports.append(Report(at, body["task"], body["status"], body.get("reason", ""), containers))
                self._changed.set()
        return {"acknowledgment": "ok"}

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._socket = socket
        self._changed.set()
        beats = asyncio.create_task(_beat(socket))
        try:
            async for message in socket:  # acknowledgements; what is not acknowledged here is not sent again
                if message.type is not WSMsgType.TEXT:
                    break
        finally:
            beats.cancel()
            if self._socket is socket:
                self._socket = None
        return socket

    def _payload(self, task: Mapping[str, Any]) -> str:
        self._sent += 1
        message = {
            "messageId": f"payload-{self._sent}",
            "clusterArn": f"{ACCOUNT}:cluster/{CLUSTER}",
            "containerInstanceArn": INSTANCE,
            "tasks": [task],
            "seqNum": self._sent,
            "generatedAt": int(time.time() * 1000),
        }
        return json.dumps({"type": "PayloadMessage", "message": message})

    async def _until(self, look: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
        try:
            async with asyncio.timeout(patience):
                while (found := look()) is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"waited {patience:g} s for {what}") from None
        return found


async def _hear_figures(request: web.Request) -> web.WebSocketResponse:
    """Take telemetry as it comes, and acknowledge it."""
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            break
        await socket.send_str(json.dumps({"type": "AckPublishMetric", "message": {"message": "ok"}}))
    return socket


async def _beat(socket: web.WebSocketResponse) -> None:
    """An agent that hears nothing for a minute connects anew."""
    number = 0
    while True:
        await asyncio.sleep(HEARTBEAT)
        number += 1
        message = {"messageId": f"heartbeat-{number}", "healthy": True}
        await socket.send_str(json.dumps({"type": "HeartbeatMessage", "message": message}))


@asynccontextmanager
async def a_plane(plane: P) -> AsyncIterator[P]:
    """A plane that listens on a free port of loopback."""
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", plane.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        plane.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        yield plane
    finally:
        await runner.cleanup()


def a_task(*containers: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """A task in the words of a payload."""
    family = {"family": "bench", "version": "1"}
    return {"arn": arn, "desiredStatus": "RUNNING", **family, "networkMode": "bridge", "containers": containers}


def a_container(name: str, image: str, command: Sequence[str], **more: object) -> dict[str, Any]:
    """A container in the words of a payload; essential unless *more* says otherwise."""
    return {
        "name": name,
        "image": image,
        "essential": True,
        "cpu": 2,
        "memory": 16,
        "command": list(command),
        "environment": {"AWS_EXECUTION_ENV": "AWS_ECS_EC2"},
        "portMappings": [],
        "dockerConfig": {"version": "1.24", "config": "{}", "hostConfig": '{"NetworkMode":"bridge"}'},
        **more,
    }
