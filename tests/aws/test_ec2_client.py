"""The tags of an EC2 instance, from moto's EC2 and from a peer that breaks in every way."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import aiohttp
import boto3
import pytest
from aiohttp import web
from moto.server import ThreadedMotoServer

from agent.aws import ec2_client
from agent.aws.ec2_client import Ec2Client, Ec2Settings, Tags, is_reserved
from agent.aws.imds_client import ImdsClient, ImdsSettings
from agent.aws.instance_client import InstanceClient
from agent.model.errors import TryAgain
from tests.aws.peers import KEYS, REGION, FixedKeys, authorization, run, serving, signature_of
from tests.fakes.metadata import a_metadata_service

SPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def page(*tags: tuple[str, str], more: str = "") -> str:
    items = "".join(
        f"<item><resourceId>i-1</resourceId><resourceType>instance</resourceType><key>{key}</key>"
        f"<value>{value}</value></item>"
        for key, value in tags
    )
    token = f"<nextToken>{more}</nextToken>" if more else ""
    return f'<DescribeTagsResponse xmlns="{SPACE}"><tagSet>{items}</tagSet>{token}</DescribeTagsResponse>'


def failure(code: str) -> str:
    return f"<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>"


@dataclass
class Peer:
    """An EC2 that answers as it is told; its last word stays."""

    replies: deque[tuple[int, str]] = field(default_factory=deque)
    asked: list[dict[str, str]] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    date: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append(dict(parse_qsl(body.decode(), keep_blank_values=True)))
        scope, _, signature = authorization(request)
        self.scopes.append(scope.partition("/")[2].partition("/")[2])
        self.signed.append(signature == signature_of(request, body, KEYS.secret_access_key))
        self.dates.append(request.headers["X-Amz-Date"])
        status, text = self.replies.popleft() if len(self.replies) > 1 else self.replies[0]
        headers = {"Date": self.date} if self.date else {}
        return web.Response(status=status, text=text, content_type="text/xml", headers=headers)


@dataclass
class Story:
    client: Ec2Client
    peer: Peer
    keys: FixedKeys
    waits: list[float] = field(default_factory=list)


@asynccontextmanager
async def a_story(*replies: tuple[int, str]) -> AsyncIterator[Story]:
    peer, keys = Peer(deque(replies)), FixedKeys()
    app = web.Application()
    app.router.add_post("/", peer.answer)

    async def sleep(seconds: float) -> None:
        story.waits.append(seconds)

    async with serving(app) as url, aiohttp.ClientSession() as session:
        client = Ec2Client(Ec2Settings(url, REGION, "test"), session, keys, sleep=sleep, draw=lambda: 0.5)
        story = Story(client, peer, keys)
        yield story


@pytest.fixture
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


def test_another_ec2_tells_the_tags_that_its_owner_gave_an_instance(moto: str) -> None:
    ec2 = boto3.Session(KEYS.access_key_id, KEYS.secret_access_key, region_name=REGION).client("ec2", endpoint_url=moto)
    given = {"Name": "box <1> & more", "empty": "", "ünï": "cödé"}
    mine, other = (one["InstanceId"] for one in ec2.run_instances(ImageId="ami-1", MinCount=2, MaxCount=2)["Instances"])
    ec2.create_tags(Resources=[mine], Tags=[{"Key": key, "Value": value} for key, value in given.items()])
    ec2.create_tags(Resources=[other], Tags=[{"Key": "whose", "Value": "another's"}])

    async def story() -> Tags:
        async with (
            a_metadata_service() as service,
            ImdsClient.open(ImdsSettings(service.url)) as imds,
            Ec2Client.open(Ec2Settings(moto, REGION), FixedKeys()) as client,
        ):
            service.texts["meta-data/instance-id"] = mine
            instance = InstanceClient(imds, client)
            first = await instance.tags()
            await asyncio.to_thread(ec2.delete_tags, Resources=[mine], Tags=[{"Key": "Name"}])
            assert await instance.tags() == first  # asked until it was answered once
            return first

    assert dict(run(story())) == given


def test_the_call_is_signed_for_ec2_and_names_the_instance() -> None:
    async def story() -> None:
        async with a_story((200, page(("Name", "box")))) as s:
            assert await s.client.tags("i-1") == (("Name", "box"),)
            assert s.peer.signed == [True]
            assert s.peer.scopes == [f"{REGION}/ec2/aws4_request"]
            (asked,) = s.peer.asked
            assert (asked["Action"], asked["Version"], asked["MaxResults"]) == ("DescribeTags", "2016-11-15", "50")
            filters = {asked[f"Filter.{n}.Name"]: asked[f"Filter.{n}.Value.1"] for n in (1, 2)}
            assert filters == {"resource-id": "i-1", "resource-type": "instance"}
            assert "NextToken" not in asked

    run(story())


def test_all_pages_are_read_and_a_token_that_comes_back_ends_it() -> None:
    async def story() -> None:
        async with a_story((200, page(("a", "1"), more="p2")), (200, page(("b", "2"), more="p3")), (200, page())) as s:
            assert await s.client.tags("i-1") == (("a", "1"), ("b", "2"))
            assert [asked.get("NextToken") for asked in s.peer.asked] == [None, "p2", "p3"]
        async with a_story((200, page(("a", "1"), more="p2"))) as s:
            assert await s.client.tags("i-1") == (("a", "1"),)
            assert len(s.peer.asked) == 2

    run(story())


@pytest.mark.parametrize(
    ("key", "value", "reserved"),
    [
        ("aws:autoscaling:groupName", "x", True),
        ("AWS:x", "x", True),
        ("stack", "aws:cloudformation", True),
        ("stack", "Aws:x", True),
        ("my-aws:x", "x", False),
        ("awsome", "aws", False),
    ],
)
def test_tags_that_aws_made_are_left_out(key: str, value: str, reserved: bool) -> None:  # noqa: FBT001
    async def story() -> Tags:
        async with a_story((200, page((key, value), ("Name", "box")))) as s:
            return await s.client.tags("i-1")

    assert is_reserved(key, value) is reserved
    assert run(story()) == (*(() if reserved else ((key, value),)), ("Name", "box"))


def test_a_busy_ec2_is_asked_five_times() -> None:
    async def story() -> None:
        async with a_story(*[(503, failure("RequestLimitExceeded"))] * 4, (200, page(("a", "1")))) as s:
            assert await s.client.tags("i-1") == (("a", "1"),)
            assert s.waits == [1.0, 2.0, 4.0, 8.0]
        async with a_story((503, failure("RequestLimitExceeded"))) as s:
            with pytest.raises(TryAgain, match="RequestLimitExceeded"):
                await s.client.tags("i-1")
            assert len(s.peer.asked) == 5

    run(story())


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (403, failure("UnauthorizedOperation"), "UnauthorizedOperation: no"),
        (400, "<html>", "status 400"),
        (400, '<?xml version="1.0" encoding="odd"?><a/>', "status 400"),
        (200, '<?xml version="1.0" encoding="odd"?><a/>', "cannot read"),
        (200, '<?xml version="1.0" encoding="idna"?><a/>', "cannot read"),
        (400, "<Response/>", "status 400"),
        (200, "no XML", "cannot read"),
        (302, "", "status 302"),
    ],
)
def test_what_ec2_refuses_or_garbles_is_told_at_once(status: int, text: str, said: str) -> None:
    async def story() -> None:
        async with a_story((status, text)) as s:
            with pytest.raises(TryAgain, match=said):
                await s.client.tags("i-1")
            assert (len(s.peer.asked), s.keys.forgotten) == (1, 0)

    run(story())


def test_keys_that_ec2_does_not_take_are_looked_for_afresh() -> None:
    async def story() -> None:
        async with a_story((401, failure("AuthFailure"))) as s:
            with pytest.raises(TryAgain, match="AuthFailure"):
                await s.client.tags("i-1")
            assert s.keys.forgotten == 1

    run(story())


@pytest.mark.parametrize("code", ["RequestExpired", "AuthFailure", "SignatureDoesNotMatch"])
def test_a_date_that_ec2_does_not_take_is_set_right_at_once(code: str) -> None:
    async def story() -> None:
        async with a_story((403, failure(code)), (200, page(("Name", "box")))) as s:
            s.peer.date = "Thu, 15 Jan 2026 12:00:00 GMT"
            assert await s.client.tags("i-1") == (("Name", "box"),)
            assert s.peer.dates[1].startswith("20260115T120")
            assert (s.waits, s.keys.forgotten) == ([], 0)

    run(story())


def test_no_keys_and_no_ec2_are_told_alike() -> None:
    async def story() -> None:
        async with a_story((200, page())) as s:
            s.keys.found = None
            with pytest.raises(TryAgain, match="no keys here"):
                await s.client.tags("i-1")
        async with aiohttp.ClientSession() as session:

            async def sleep(_: float) -> None: ...

            client = Ec2Client(Ec2Settings("http://127.0.0.1:1", REGION), session, FixedKeys(), sleep=sleep)
            with pytest.raises(TryAgain, match="cannot reach EC2"):
                await client.tags("i-1")

    run(story())


def test_an_answer_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ec2_client, "LARGEST", 100)

    async def story() -> None:
        async with a_story((200, page(*[("a", "1")] * 50))) as s:
            with pytest.raises(TryAgain, match="cannot read"):
                await s.client.tags("i-1")

    run(story())
