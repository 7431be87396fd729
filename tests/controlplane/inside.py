"""A control plane whose events a test can send itself, and a client of bare bytes to meet it with."""

import asyncio
import json
import os
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from agent.controlplane import model_driver
from agent.controlplane.acs_server import AcsServer
from agent.controlplane.api_server import ApiServer
from agent.controlplane.events import Called, Event, PlaneDecision
from agent.controlplane.gate_server import Gate
from agent.controlplane.idle_loop import Idle
from agent.controlplane.keys_driver import KeyPair, load_or_make
from agent.controlplane.mint_driver import LocalSource, Source
from agent.controlplane.mint_loop import Mint
from agent.controlplane.operations import ACTIONS
from agent.controlplane.records import ContainerInstance, JsonObject
from agent.controlplane.road_loop import Road, open_road
from agent.controlplane.role_keys import secret_of
from agent.controlplane.service_loop import Rooms, open_site
from agent.controlplane.settings import Cadence, PlaneSettings
from agent.controlplane.telemetry_server import TelemetryServer
from agent.model.clock import Clock, utc_now
from tests.controlplane.hand_agent import poll_query, signed_frame, upgrade_headers
from tests.controlplane.house import QUICK, SETTLED, House

REGION = "us-east-1"
CAPABILITIES = (
    "docker-remote-api.1.18",
    "docker-remote-api.1.19",
    "task-iam-role",
)
TEXT, BINARY, CLOSE, CONTINUATION, PING, PONG = 1, 2, 8, 0, 9, 10
FINAL = 0x80


@dataclass
class Inside:
    """A control plane in this event loop."""

    house: House
    road: Road
    acs: AcsServer

    async def decide(self, event: Event) -> PlaneDecision:
        return await self.road.decide(REGION, event)

    async def call(self, action: str, /, **request: object) -> JsonObject:
        """The answer to a call that nobody had to sign."""
        decision = await self.decide(Called(action, request, utc_now(), os.urandom(32).hex()))
        assert decision.answer is not None
        return decision.answer

    async def host(self) -> str:
        """A host that any small task fits on."""
        answer = await self.call(
            "RegisterContainerInstance",
            cluster="default",
            attributes=[{"name": f"com.amazonaws.ecs.capability.{name}"} for name in CAPABILITIES],
            totalResources=[{"name": name, "type": "INTEGER", "integerValue": 1000} for name in ("CPU", "MEMORY")],
        )
        arn: str = answer["containerInstance"]["containerInstanceArn"]
        return arn

    def instance(self, arn: str) -> ContainerInstance:
        """What is known of a host."""
        return self.road._planes[REGION].world.instances[arn]

    async def until(self, changed: Callable[[PlaneDecision], bool]) -> None:
        """Return when a decision was committed that *changed* knows."""
        seen = asyncio.Event()

        def heard(decision: PlaneDecision) -> None:
            if changed(decision):
                seen.set()

        self.road.listen(heard)
        async with asyncio.timeout(SETTLED):
            await seen.wait()


@asynccontextmanager
async def inside(
    folder: Path,
    cadence: Cadence = QUICK,
    *,
    clock: Clock = utc_now,
    auth: bool = True,
    source: Source | None = None,
) -> AsyncIterator[Inside]:
    settings = PlaneSettings(folder, listen_port=0, auth=auth)
    keys = await asyncio.to_thread(load_or_make, folder)
    model = await asyncio.to_thread(model_driver.load, ACTIONS)
    async with open_road(folder, settings.account) as road:
        gate = Gate(settings, keys, clock)
        mint = Mint(source or LocalSource(secret_of(keys)), clock, monotonic=lambda: 10 * time.monotonic())
        acs = AcsServer(road, gate, clock, cadence, mint)
        rooms = Rooms(ApiServer(road, gate, model, clock), acs, TelemetryServer(road, gate, clock, cadence))
        running = [asyncio.ensure_future(job) for job in (road.run(), mint.run())]
        try:
            async with open_site(settings, rooms, Idle(cadence.silence)) as address:
                yield Inside(House(address, folder, keys), road, acs)
                rooms.telemetry.end_all()
                await acs.end_all()
        finally:
            for job in running:
                job.cancel()


@dataclass
class Wire:
    """One WebSocket, frame by frame."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str
    url: str
    pair: KeyPair

    async def send(self, data: bytes, opcode: int = TEXT, *, last: bool = True) -> None:
        """One masked frame."""
        mask = b"\x01\x02\x03\x04"
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xff" + struct.pack("!Q", len(data))
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self.writer.write(bytes([opcode | (FINAL if last else 0)]) + length + mask + masked)
        await self.writer.drain()

    async def say(self, kind: str, **message: object) -> None:
        await self.send(frame(kind, **message))

    async def publish(self, document: bytes, pair: KeyPair | None = None) -> None:
        """A frame of telemetry, signed for this session, by *pair* if given."""
        await self.send(signed_frame(self.url, pair or self.pair, document))

    async def receive(self) -> tuple[int, bytes]:
        """The next frame: its opcode and its octets. An empty one with opcode -1 is the end of the connection."""
        async with asyncio.timeout(SETTLED):
            try:
                first, second = await self.reader.readexactly(2)
            except asyncio.IncompleteReadError:
                return -1, b""
            assert not second & 0x80, "a server masks nothing"
            length = second & 0x7F
            if length == 126:
                [length] = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                [length] = struct.unpack("!Q", await self.reader.readexactly(8))
            assert not first & 0x70, "no extension was agreed on"
            return first & 0x0F, await self.reader.readexactly(length)

    async def next(self, kind: str, *, answers: bool = True) -> dict[str, Any]:
        """What is in the next frame of *kind*; heartbeats are answered on the way."""
        async with asyncio.timeout(SETTLED):
            while True:
                opcode, data = await self.receive()
                assert opcode == TEXT, (opcode, data)
                told = json.loads(data)
                if answers and told["type"] == "HeartbeatMessage" and "messageId" in told["message"]:
                    await self.say("HeartbeatAckRequest", messageId=told["message"]["messageId"])
                if told["type"] == kind:
                    message: dict[str, Any] = told["message"]
                    return message

    async def end(self) -> tuple[int, str]:
        """The code and the reason of the close frame that comes after all else."""
        while True:
            opcode, data = await self.receive()
            if opcode == CLOSE:
                return struct.unpack("!H", data[:2])[0], data[2:].decode()
            assert opcode == TEXT, (opcode, data)


def frame(kind: str, **message: object) -> bytes:
    return json.dumps({"type": kind, "message": message}).encode()


def close_frame(code: int, reason: str) -> bytes:
    return struct.pack("!H", code) + reason.encode()


@asynccontextmanager
async def wire(house: House, path: str, query: dict[str, str], pair: KeyPair, **more: str) -> AsyncIterator[Wire]:
    """A signed upgrade on a connection of its own; *more* are headers besides."""
    url = f"{house.url}{path}?{urlencode(query, quote_via=quote)}"
    headers = {
        "Host": f"{house.address.host}:{house.address.port}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **upgrade_headers(url, pair),
        **more,
    }
    reader, writer = await asyncio.open_connection(house.address.host, house.address.port)
    try:
        lines = [f"GET {path}?{urlencode(query)} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(SETTLED):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        yield Wire(reader, writer, head, url, pair)
    finally:
        writer.close()


@asynccontextmanager
async def acs(house: House, arn: str, **more: str) -> AsyncIterator[Wire]:
    async with wire(house, "/ws", poll_query(arn), house.keys.agent, **more) as connection:
        yield connection


@asynccontextmanager
async def tcs(house: House, arn: str, pair: KeyPair | None = None, **more: str) -> AsyncIterator[Wire]:
    query = {"agentVersion": "1.105.1", "cluster": "default", "containerInstance": arn, "dockerVersion": "25.0.14"}
    async with wire(house, "/telemetry/ws", query, pair or house.keys.agent, **more) as connection:
        yield connection
