"""An agent moved by hand: it speaks the real WebSocket and the real API, and decides nothing by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from mypy_boto3_ecs import ECSClient
from mypy_boto3_ecs.type_defs import ContainerInstanceTypeDef
from yarl import URL

from agent.controlplane.keys_driver import KeyPair
from agent.wire.acs import (
    AckRequest,
    Frame,
    HeartbeatAckRequest,
    HeartbeatMessage,
    IAMRoleCredentialsAckRequest,
    PayloadMessage,
    decode,
    encode,
)
from agent.wire.acs_task import Task
from agent.wire.reading import read
from agent.wire.tcs import seal
from tests.controlplane.house import SETTLED, House

F = TypeVar("F")
T = TypeVar("T")
VERSIONS = {"agentHash": "a8b3e7d3", "agentVersion": "1.105.1", "dockerVersion": "DockerVersion: 25.0.14"}


def upgrade_headers(url: str, pair: KeyPair, region: str = "us-east-1") -> dict[str, str]:
    """Signed by botocore, which knows nothing of the house."""
    request = AWSRequest(method="GET", url=url)
    SigV4Auth(Credentials(pair.access_key_id, pair.secret_access_key), "ecs", region).add_auth(request)
    return dict(request.headers.items())


def signed_frame(url: str, pair: KeyPair, document: bytes, region: str = "us-east-1") -> bytes:
    """A frame of telemetry on the session of *url*, signed by botocore as well."""
    request = AWSRequest(method="GET", url=url, data=document)
    SigV4Auth(Credentials(pair.access_key_id, pair.secret_access_key), "ecs", region).add_auth(request)
    return seal({**dict(request.headers.items()), "Host": urlsplit(url).netloc}, document)


def poll_query(arn: str, *, send_credentials: bool = False) -> dict[str, str]:
    return {
        **VERSIONS,
        "clusterArn": "demo",
        "containerInstanceArn": arn,
        "protocolVersion": "2",
        "sendCredentials": "true" if send_credentials else "false",
        "seqNum": "1",
    }


@dataclass
class HandAgent:
    """One connection."""

    house: House
    arn: str
    socket: aiohttp.ClientWebSocketResponse
    waiting: list[Frame] = field(default_factory=list)

    async def next(self, kind: type[F], fits: Callable[[F], bool] = lambda _frame: True) -> F:
        """The next frame of *kind*; heartbeats are answered on the way, other frames are kept for later."""
        async with asyncio.timeout(SETTLED):
            while True:
                for frame in self.waiting:
                    if isinstance(frame, kind) and fits(frame):
                        self.waiting.remove(frame)
                        return frame
                self.waiting.append(await self._receive())

    async def _receive(self) -> Frame:
        frame = decode(await self.socket.receive_str())
        if isinstance(frame, HeartbeatMessage):
            await self.say(HeartbeatAckRequest(message_id=frame.message_id))
        return frame

    async def say(self, frame: Frame) -> None:
        await self.socket.send_str(encode(frame))

    async def ack(self, message: PayloadMessage) -> None:
        await self.say(AckRequest(message.cluster_arn, message.container_instance_arn, message.message_id))
        assert message.tasks is not None
        task = read(message.tasks[0], Task)
        for role in (task.role_credentials, task.execution_role_credentials):
            if role is not None:
                await self.say(IAMRoleCredentialsAckRequest(message.message_id, role.expiration, role.credentials_id))

    async def next_task(self) -> tuple[PayloadMessage, Task]:
        """The next payload, and the one task in it."""
        message = await self.next(PayloadMessage)
        assert message.tasks is not None
        [raw] = message.tasks
        return message, read(raw, Task)

    async def ended(self) -> tuple[int, str]:
        """How and why the control plane ends this connection."""
        async with asyncio.timeout(SETTLED):
            while (message := await self.socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
                assert message.type is aiohttp.WSMsgType.TEXT, message
        return message.data, message.extra or ""


@asynccontextmanager
async def connected(house: House, arn: str, *, send_credentials: bool = False) -> AsyncIterator[HandAgent]:
    """An open ACS connection of *arn*. The space in dockerVersion is sent as ``+`` and signed as ``%20``."""
    query = poll_query(arn, send_credentials=send_credentials)
    signed = f"{house.url}/ws?{urlencode(query, quote_via=quote)}"
    sent = f"{house.url}/ws?{urlencode(query)}"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(URL(sent, encoded=True), headers=upgrade_headers(signed, house.keys.agent)) as socket,
    ):
        yield HandAgent(house, arn, socket)


async def call(action: Callable[..., T], **members: Any) -> T:  # noqa: ANN401  # whatever the action takes
    """Make one boto3 call beside the event loop."""
    return await asyncio.to_thread(action, **members)


async def until(question: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """Ask until the answer is right: the control plane owes it within moments."""
    async with asyncio.timeout(SETTLED):
        while True:
            answer = await asyncio.to_thread(question)
            if holds(answer):
                return answer


def register(client: ECSClient, cluster: str = "demo", cpu: int = 2048, memory: int = 1024, **more: Any) -> str:  # noqa: ANN401
    """Register a host and give its ARN."""
    answer = client.register_container_instance(
        cluster=cluster,
        totalResources=[
            {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22", "2375"]},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
        ],
        **more,
    )
    return answer["containerInstance"]["containerInstanceArn"]


def describe(client: ECSClient, arn: str, cluster: str = "demo") -> ContainerInstanceTypeDef:
    return client.describe_container_instances(cluster=cluster, containerInstances=[arn])["containerInstances"][0]
