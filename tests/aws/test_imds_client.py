from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from agent.aws.imds_client import ImdsClient, ImdsSettings, Interface
from agent.membership.ports import InstanceMetadata
from tests.aws.peers import run, serving

DOCUMENT = '{\n  "region" : "eu-west-1",\n  "instanceId" : "i-0abc"\n}'
TEXTS = {
    "dynamic/instance-identity/document": DOCUMENT,
    "dynamic/instance-identity/signature": "c2ln\nbmF0dXJl",
    "meta-data/instance-id": "i-0abc\n",
    "meta-data/placement/availability-zone": "eu-west-1b",
    "meta-data/mac": "02:29:96:8f:6a:2d",
    "meta-data/network/interfaces/macs/02:29:96:8f:6a:2d/vpc-id": "vpc-1",
    "meta-data/network/interfaces/macs/02:29:96:8f:6a:2d/subnet-id": "subnet-1",
}


@dataclass
class Metadata:
    """An instance metadata service that counts what it is asked."""

    texts: dict[str, str] = field(default_factory=lambda: dict(TEXTS))
    token_status: int = 200
    tokens: int = 0
    asked: list[str] = field(default_factory=list)
    failures: int = 0
    missing: int = 404
    url: str = ""

    async def token(self, request: web.Request) -> web.Response:
        assert request.headers["x-aws-ec2-metadata-token-ttl-seconds"] == "300"
        self.tokens += 1
        lifetime = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
        return web.Response(text=f"token-{self.tokens}", status=self.token_status, headers=lifetime)

    async def get(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["path"])
        if self.failures > 0:
            self.failures -= 1
            return web.Response(status=503)
        if self.token_status == 200 and request.headers.get("x-aws-ec2-metadata-token") != f"token-{self.tokens}":
            return web.Response(status=401)
        text = self.texts.get(request.match_info["path"])
        return web.Response(status=self.missing) if text is None else web.Response(text=text)


@dataclass
class Story:
    imds: ImdsClient
    service: Metadata
    now: float = 0.0
    waits: list[float] = field(default_factory=list)


@asynccontextmanager
async def a_story(patience: float = 0.0, *, disabled: bool = False) -> AsyncIterator[Story]:
    service = Metadata()
    app = web.Application()
    app.router.add_put("/latest/api/token", service.token)
    app.router.add_get("/latest/{path:.+}", service.get)

    async def sleep(seconds: float) -> None:
        story.waits.append(seconds)
        story.now += seconds

    async with serving(app) as url, aiohttp.ClientSession() as session:
        settings = ImdsSettings(url, disabled, patience)
        story = Story(ImdsClient(settings, session, monotonic=lambda: story.now, sleep=sleep), service)
        yield story


def test_an_instance_knows_itself_by_one_token() -> None:
    async def story() -> None:
        async with a_story() as s:
            metadata: InstanceMetadata = s.imds
            assert await metadata.identity_document() == (DOCUMENT, "c2ln\nbmF0dXJl")
            assert await metadata.instance_id() == "i-0abc"
            assert await s.imds.region() == "eu-west-1"
            assert await s.imds.availability_zone() == "eu-west-1b"
            assert await s.imds.interface() == Interface("02:29:96:8f:6a:2d", "vpc-1", "subnet-1")
            assert s.service.tokens == 1

    run(story())


def test_a_token_is_fetched_again_when_it_ends_or_is_refused() -> None:
    async def story() -> None:
        async with a_story() as s:
            await s.imds.instance_id()
            s.now = 60.0
            assert await s.imds.instance_id() == "i-0abc"
            assert s.service.tokens == 2
            s.service.tokens = 7
            assert await s.imds.instance_id() == "i-0abc"
            assert s.service.tokens == 8

    run(story())


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_service_without_tokens_is_asked_without_one(status: int) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.token_status = status
            assert await s.imds.instance_id() == "i-0abc"

    run(story())


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_not_there_or_switched_off_is_empty_at_once(status: int) -> None:
    async def story() -> None:
        async with a_story(patience=30) as s:
            s.service.texts.clear()
            s.service.missing = status
            assert await s.imds.identity_document() == ("", "")
            assert await s.imds.interface() == Interface()
            assert s.waits == []

    run(story())


def test_a_machine_without_metadata_is_asked_once() -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            imds = ImdsClient(ImdsSettings("http://127.0.0.1:1"), session)
            assert await imds.identity_document() == ("", "")
            imds._session = None  # type: ignore[assignment]  # whoever is asked again breaks
            assert await imds.instance_id() == ""

    run(story())


def test_an_ec2_instance_whose_metadata_is_late_is_waited_for() -> None:
    async def story() -> None:
        async with a_story(patience=30) as s:
            s.service.failures = 3
            assert await s.imds.instance_id() == "i-0abc"
            assert s.waits == [0.1, 0.2, 0.4]
            s.service.failures = 1000
            assert await s.imds.instance_id() == ""
            assert sum(s.waits[3:]) <= 30

    run(story())


def test_disabled_metadata_is_never_asked() -> None:
    async def story() -> None:
        async with a_story(disabled=True) as s:
            assert await s.imds.region() == ""
            assert s.service.tokens == 0
            assert s.service.asked == []

    run(story())


def test_the_variables_of_aws_are_read() -> None:
    assert ImdsSettings.read({}) == ImdsSettings("http://169.254.169.254", disabled=False, patience=0)
    assert ImdsSettings.read({"AWS_EC2_METADATA_DISABLED": "TRUE"}).disabled
    assert ImdsSettings.read({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}).endpoint == "http://[fd00:ec2::254]"
    chosen = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://h:1/", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv6"}
    assert ImdsSettings.read(chosen, 30.0) == ImdsSettings("http://h:1", disabled=False, patience=30.0)
