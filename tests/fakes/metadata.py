"""An instance metadata service of EC2 on loopback. What it has in common with another's is held by a contract test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.aws.peers import serving

DOCUMENT = '{\n  "region" : "eu-west-1",\n  "instanceId" : "i-0abc"\n}'
SIGNATURE = "c2ln\nbmF0dXJl"
MAC = "02:29:96:8f:6a:2d"
TEXTS = {
    "dynamic/instance-identity/document": DOCUMENT,
    "dynamic/instance-identity/signature": SIGNATURE,
    "meta-data/instance-id": "i-0abc\n",
    "meta-data/placement/availability-zone": "eu-west-1b",
    "meta-data/placement/availability-zone-id": "euw1-az2",
    "meta-data/placement/region": "eu-west-1",
    "meta-data/mac": MAC,
    f"meta-data/network/interfaces/macs/{MAC}/vpc-id": "vpc-1",
    f"meta-data/network/interfaces/macs/{MAC}/subnet-id": "subnet-1",
}


@dataclass
class Metadata:
    """A service that says what it is told to, and counts what it is asked."""

    texts: dict[str, str | bytes] = field(default_factory=lambda: dict[str, str | bytes](TEXTS))
    gives: str = "token-{}"
    token_status: int = 200
    tokens: int = 0
    asked: list[str] = field(default_factory=list)
    failures: int = 0
    failure: int = 503
    missing: int = 404
    url: str = ""

    async def token(self, request: web.Request) -> web.Response:
        assert request.headers["x-aws-ec2-metadata-token-ttl-seconds"] == "300"
        self.tokens += 1
        lifetime = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
        return web.Response(text=self.gives.format(self.tokens), status=self.token_status, headers=lifetime)

    async def get(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["path"])
        if self.failures > 0:
            self.failures -= 1
            return web.Response(status=self.failure)
        if self.token_status == 200 and request.headers.get("x-aws-ec2-metadata-token") != f"token-{self.tokens}":
            return web.Response(status=401)
        text = self.texts.get(request.match_info["path"])
        if isinstance(text, bytes):
            return web.Response(body=text)
        return web.Response(status=self.missing) if text is None else web.Response(text=text)


@asynccontextmanager
async def a_metadata_service() -> AsyncIterator[Metadata]:
    """A service that listens."""
    service = Metadata()
    app = web.Application()
    app.router.add_put("/latest/api/token", service.token)
    app.router.add_get("/latest/{path:.+}", service.get)
    async with serving(app) as url:
        service.url = url
        yield service
