import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from agent.aws.imds_client import ImdsClient, ImdsSettings, Interface, Whereabouts
from agent.membership.interruption_loop import NO_SERVICE
from agent.model.errors import GiveUp, TryAgain
from tests.aws.peers import run, serving
from tests.fakes.metadata import MAC, Metadata, a_metadata_service

SUBNET = Interface(MAC, "vpc-1", "subnet-1")


@dataclass
class Story:
    imds: ImdsClient
    service: Metadata
    now: float = 0.0
    waits: list[float] = field(default_factory=list)


@asynccontextmanager
async def a_story(patience: float = 0.0, *, disabled: bool = False) -> AsyncIterator[Story]:
    async def sleep(seconds: float) -> None:
        story.waits.append(seconds)
        story.now += seconds

    async with a_metadata_service() as service, aiohttp.ClientSession() as session:
        settings = ImdsSettings(service.url, disabled, patience)
        story = Story(ImdsClient(settings, session, monotonic=lambda: story.now, sleep=sleep), service)
        yield story


def test_an_instance_knows_itself_by_one_token() -> None:
    async def story() -> None:
        async with a_story() as s:
            assert await s.imds.instance_id() == "i-0abc"
            assert await s.imds.region() == "eu-west-1"
            assert await s.imds.availability_zone() == "eu-west-1b"
            assert await s.imds.interface() == SUBNET
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
            assert await s.imds.instance_id() == ""
            assert await s.imds.interface() == Interface()
            assert s.waits == []

    run(story())


def test_a_machine_without_metadata_is_asked_once() -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            imds = ImdsClient(ImdsSettings("http://127.0.0.1:1"), session)
            assert await imds.region() == ""
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


def test_a_service_that_never_answers_is_waited_for_once_however_much_is_asked() -> None:
    async def story() -> None:
        async with a_story(patience=30) as s:
            s.service.token_status = 503
            assert await s.imds.whereabouts() == Whereabouts()
            assert await s.imds.instance_id() == ""
            assert 20 < s.now <= 30
            s.service.token_status, s.service.failures = 200, 2
            assert await s.imds.instance_id() == ""  # no more waits, but one more question
            assert await s.imds.instance_id() == "i-0abc"  # there it is: from now on it is worth a wait
            assert s.waits[-1] == 0.1

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


def test_the_region_is_asked_for_once_and_where_the_document_is_to_be_left_alone_by_its_own_name() -> None:
    async def story() -> None:
        async with a_story() as s:
            assert await s.imds.region(by_document=False) == "eu-west-1"
            assert await s.imds.region() == "eu-west-1"
            assert s.service.asked == ["meta-data/placement/region"]

    run(story())


def test_a_document_that_cannot_be_read_leaves_the_region_to_its_own_name() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.texts["dynamic/instance-identity/document"] = "<html>"
            assert await s.imds.region() == "eu-west-1"

    run(story())


def test_a_machine_knows_where_it_stands_as_far_as_it_is_told() -> None:
    async def story() -> None:
        async with a_story() as s:
            assert await s.imds.whereabouts() == Whereabouts("euw1-az2", "", SUBNET)
            s.service.texts["meta-data/outpost-arn"] = "arn:aws:outposts:eu-west-1:1:outpost/op-1"
            assert (await s.imds.whereabouts()).outpost_arn == "arn:aws:outposts:eu-west-1:1:outpost/op-1"
            s.service.texts.clear()
            assert await s.imds.whereabouts() == Whereabouts()

    run(story())


def test_a_notice_is_what_is_there_now_and_nothing_while_there_is_none() -> None:
    async def story() -> None:
        async with a_story(patience=30) as s:
            assert await s.imds.notice("spot/instance-action") == ""
            s.service.texts["meta-data/spot/instance-action"] = "{}\n"
            assert await s.imds.notice("spot/instance-action") == "{}"
            assert s.waits == []

    run(story())


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_notice_that_cannot_be_had_now_may_be_had_later(status: int) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.failure, s.service.failures = status, 1
            with pytest.raises(TryAgain, match=str(status)):
                await s.imds.notice("spot/instance-action")
            assert await s.imds.notice("spot/instance-action") == ""

    run(story())


@pytest.mark.parametrize("status", [400, 401, 403, 501])
def test_a_notice_that_is_refused_is_told_from_one_that_is_late(status: int) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.failure, s.service.failures = status, 2
            with pytest.raises(GiveUp, match=str(status)):
                await s.imds.notice("spot/instance-action")

    run(story())


def test_where_there_is_no_service_no_notice_ever_comes() -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            imds = ImdsClient(ImdsSettings("http://127.0.0.1:1"), session)
            for _ in range(2):
                with pytest.raises(GiveUp, match="no instance metadata at") as caught:
                    await imds.notice("spot/instance-action")
                assert caught.value.name == NO_SERVICE
            assert imds.is_absent()

    run(story())


def test_a_service_that_has_answered_once_is_asked_again_though_it_was_away() -> None:
    async def story() -> None:
        now = [0.0]
        async with aiohttp.ClientSession() as session:
            async with a_metadata_service() as service:
                imds = ImdsClient(ImdsSettings(service.url), session, monotonic=lambda: now[0])
                assert await imds.instance_id() == "i-0abc"
            now[0] = 60.0  # the token is over, so another is asked for
            with pytest.raises(TryAgain):
                await imds.notice("spot/instance-action")
            assert not imds.is_absent()

    run(story())


def test_user_data_that_are_no_text_are_read_at_once_and_told_to_nobody() -> None:
    secret = b"password=hunter2"

    async def story() -> None:
        async with a_story(patience=30) as s:
            s.service.texts["user-data"] = b"\x1f\x8b\xff" + secret  # as cloud-init takes them, too
            with capture_logs() as lines:
                assert "hunter2" in await s.imds.get("user-data")
            assert s.waits == []
            assert "hunter2" not in repr(lines)

    run(story())


@pytest.mark.parametrize("page", ["<html>\n<body>Log in</body></html>", "to ken", "tökén", ""])
def test_somebody_who_gives_no_token_is_no_metadata_service(page: str) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.gives = page
            assert await s.imds.instance_id() == ""
            with pytest.raises(TryAgain, match="no token"):
                await s.imds.notice("spot/instance-action")
            assert s.service.asked == []

    run(story())


def test_what_is_no_name_of_a_region_is_none() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.texts["dynamic/instance-identity/document"] = '{"region": "<b>eu</b>"}'
            assert await s.imds.region() == "eu-west-1"
            s.service.texts["meta-data/placement/region"] = "<html>Log in</html>"
            assert await ImdsClient(ImdsSettings(s.service.url), s.imds._session).region() == ""

    run(story())


def test_the_token_is_told_to_nobody_whatever_the_answer_is() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhunter" if asked.startswith(b"PUT") else b"\0\r\n\r\n"
        )
        writer.close()
        await writer.wait_closed()

    async def story() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1")
        host, port = server.sockets[0].getsockname()
        async with server, ImdsClient.open(ImdsSettings(f"http://{host}:{port}")) as imds:
            with capture_logs() as lines:
                assert await imds.instance_id() == ""
            assert imds._token == "hunter"
            assert [line["event"] for line in lines] == ["instance_metadata_missing"]
            assert "hunter" not in repr(lines)

    run(story())


def test_nobody_is_followed_to_another_place() -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound(other.url + "/latest/meta-data/instance-id")

    async def story() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.+}", elsewhere)
        async with a_story() as s, serving(app) as url:
            imds = ImdsClient(ImdsSettings(url), s.imds._session)
            other.url = s.service.url
            assert await imds.instance_id() == ""
            assert (s.service.tokens, s.service.asked) == (0, [])
            assert not imds.is_absent()

    other = Metadata()
    run(story())
