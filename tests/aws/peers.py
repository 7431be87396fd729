"""Peers on loopback for the clients of this room: an ECS that checks signatures, and an instance metadata service."""

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

import msgspec
from aiohttp import web

from agent.model.credentials import SigningKeys
from agent.model.errors import TryAgain

T = TypeVar("T")

KEYS = SigningKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SESSION_KEYS = SigningKeys("ASIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a-session-token/+=")
REGION = "us-west-2"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
INSTANCE = "arn:aws:ecs:us-west-2:111122223333:container-instance/demo/0123456789abcdef0123456789abcdef"


def run(story: Coroutine[Any, Any, T]) -> T:
    """Run *story* to its end, for at most ten seconds."""

    async def bounded() -> T:
        async with asyncio.timeout(10):
            return await story

    return asyncio.run(bounded())


@dataclass
class FixedKeys:
    """Keys that are simply there, or are not."""

    found: SigningKeys | None = field(default_factory=lambda: KEYS)
    forgotten: int = 0

    async def keys(self) -> SigningKeys:
        if self.found is None:
            raise TryAgain("no keys here")
        return self.found

    def forget(self) -> None:
        self.forgotten += 1


def signature_of(request: web.Request, body: bytes, secret: str) -> str:
    """The signature that *request* should carry, computed from the specification with nothing but hashes."""
    scope, names, _ = authorization(request)
    _, date, region, service, _ = scope.split("/")
    pairs = sorted(
        (quote(k, safe="-_.~"), quote(v, safe="-_.~"))
        for k, v in parse_qsl(request.query_string, keep_blank_values=True)
    )
    canonical = "\n".join(
        [
            request.method,
            quote(request.path, safe="/-_.~"),
            "&".join(f"{key}={value}" for key, value in pairs),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in names.split(";")),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    stamp = request.headers["X-Amz-Date"]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/{service}/aws4_request\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def authorization(request: web.Request) -> tuple[str, str, str]:
    """Scope, names of signed headers, and signature, as *request* states them."""
    _, _, fields = request.headers["Authorization"].partition(" ")
    stated = dict(part.strip().split("=", 1) for part in fields.split(","))
    return stated["Credential"], stated["SignedHeaders"], stated["Signature"]


@dataclass
class Call:
    """One call that the peer has had."""

    action: str
    body: dict[str, Any]
    headers: dict[str, str]
    signed: bool


@dataclass
class Reply:
    """What the peer answers next."""

    body: object
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class EcsPeer:
    """An ECS that answers what it was told to, in order; the last reply serves all further calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.replies: deque[Reply] = deque()
        self.url = ""
        self.hangs = False

    def will(self, body: object, status: int = 200, **headers: str) -> "EcsPeer":
        self.replies.append(Reply(body, status, {name.replace("_", "-"): text for name, text in headers.items()}))
        return self

    def fails(self, code: str, status: int = 400, message: str = "no") -> "EcsPeer":
        return self.will({"__type": code, "message": message}, status)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        signed = authorization(request)[2] == signature_of(request, body, KEYS.secret_access_key)
        action = request.headers["X-Amz-Target"].rpartition(".")[2]
        self.calls.append(Call(action, msgspec.json.decode(body), dict(request.headers), signed))
        if self.hangs:
            await asyncio.Event().wait()
        reply = self.replies.popleft() if len(self.replies) > 1 else self.replies[0]
        raw = reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)
        return web.Response(body=raw, status=reply.status, headers=reply.headers)


@asynccontextmanager
async def serving(app: web.Application, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """*app* on a free port; gives its base URL."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def an_ecs() -> AsyncIterator[EcsPeer]:
    """A peer that listens."""
    peer = EcsPeer()
    app = web.Application()
    app.router.add_post("/", peer.answer)
    async with serving(app) as url:
        peer.url = url
        yield peer
