"""An EC2 instance that proves which one it is, and has tags."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from agent.aws.ec2_client import Ec2Client, Ec2Settings
from agent.aws.imds_client import ImdsClient, ImdsSettings
from agent.aws.instance_client import Addresses, InstanceClient
from agent.membership.ports import InstanceMetadata, Notices
from agent.model.errors import TryAgain
from tests.aws.peers import FixedKeys, run
from tests.fakes.metadata import DOCUMENT, SIGNATURE, Metadata, a_metadata_service


@dataclass
class Story:
    instance: InstanceClient
    service: Metadata
    imds: ImdsClient
    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    forgotten: int = 0


@asynccontextmanager
async def a_story(patience: float = 30.0, *, proves: bool = True) -> AsyncIterator[Story]:
    async def sleep(seconds: float) -> None:
        story.waits.append(seconds)
        story.now += seconds

    def forget() -> None:
        story.forgotten += 1

    async with a_metadata_service() as service, aiohttp.ClientSession() as session:
        imds = ImdsClient(ImdsSettings(service.url, patience=patience), session, sleep=sleep)
        instance = InstanceClient(
            imds,
            proves=proves,
            forget=forget,
            monotonic=lambda: story.now,
            sleep=sleep,
            draw=lambda: 0.5,
        )
        story = Story(instance, service, imds)
        yield story


def test_an_instance_proves_itself_verbatim_and_afresh_each_time() -> None:
    async def story() -> None:
        async with a_story() as s:
            metadata: InstanceMetadata = s.instance
            assert await metadata.identity_document() == (DOCUMENT, SIGNATURE)
            s.service.texts["dynamic/instance-identity/document"] = "another"
            assert await metadata.identity_document() == ("another", SIGNATURE)
            assert await metadata.instance_id() == "i-0abc"
            assert await metadata.tags() == ()
            assert s.forgotten == 0

    run(story())


@pytest.mark.parametrize("failure", [404, 500, 503])
def test_a_document_is_asked_for_with_growing_waits_and_the_keys_are_looked_for_afresh_each_time(failure: int) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.failure, s.service.failures = failure, 3
            assert await s.instance.identity_document() == (DOCUMENT, SIGNATURE)
            assert s.waits == pytest.approx([0.11, 0.22, 0.44])
            assert s.forgotten == 3

    run(story())


def test_after_half_a_minute_the_instance_registers_without_a_document_and_asks_for_no_signature() -> None:
    async def story() -> None:
        async with a_story() as s:
            del s.service.texts["dynamic/instance-identity/document"]
            assert await s.instance.identity_document() == ("", "")
            assert 20 < sum(s.waits) <= 30
            assert max(s.waits) == pytest.approx(5.5)
            assert s.forgotten == len(s.waits) + 1
            assert set(s.service.asked) == {"dynamic/instance-identity/document"}

    run(story())


def test_a_signature_has_half_a_minute_of_its_own_and_costs_no_keys() -> None:
    async def story() -> None:
        async with a_story() as s:
            del s.service.texts["dynamic/instance-identity/signature"]
            assert await s.instance.identity_document() == (DOCUMENT, "")
            assert 20 < sum(s.waits) <= 30
            assert s.forgotten == 0

    run(story())


def test_a_document_of_nothing_is_none() -> None:
    async def story() -> None:
        async with a_story(patience=0) as s:
            s.service.texts["dynamic/instance-identity/document"] = "\n"
            assert await s.instance.identity_document() == ("", "")

    run(story())


def test_a_service_that_is_switched_off_is_not_waited_for() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.texts.clear()
            s.service.missing = 403
            assert await s.instance.identity_document() == ("", "")
            assert s.waits == []

    run(story())


def test_a_machine_that_is_to_prove_nothing_asks_for_nothing() -> None:
    async def story() -> None:
        async with a_story(proves=False) as s:
            assert await s.instance.identity_document() == ("", "")
            assert s.service.asked == []

    run(story())


def test_a_machine_without_metadata_is_not_held_up_and_keeps_its_keys_longer_than_a_moment() -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            forgotten: list[int] = []
            imds = ImdsClient(ImdsSettings("http://127.0.0.1:1"), session)
            instance = InstanceClient(imds, forget=lambda: forgotten.append(1))
            for _ in range(3):
                assert await instance.identity_document() == ("", "")
            assert len(forgotten) == 1

    run(story())


def test_notices_lie_where_ec2_puts_them() -> None:
    async def story() -> None:
        async with a_story() as s:
            notices: Notices = s.instance
            asked = notices.spot_action, notices.rebalance_recommendation, notices.target_lifecycle_state
            assert [await one() for one in asked] == ["", "", ""]
            assert s.service.asked == [
                "meta-data/spot/instance-action",
                "meta-data/events/recommendations/rebalance",
                "meta-data/autoscaling/target-lifecycle-state",
            ]
            s.service.texts |= {path: path.rpartition("/")[2] for path in s.service.asked}
            assert [await one() for one in asked] == ["instance-action", "rebalance", "target-lifecycle-state"]

    run(story())


def test_an_instance_that_was_opened_knows_where_it_stands() -> None:
    async def story() -> None:
        async with a_story() as s:
            opened = await InstanceClient.open(s.imds, None, proves=True, forget=lambda: None)
            assert (opened.place.zone_id, opened.place.interface.vpc_id) == ("euw1-az2", "vpc-1")

    run(story())


@pytest.mark.parametrize(
    ("texts", "addresses"),
    [
        ({"local-ipv4": "10.0.1.10", "public-ipv4": "203.0.113.9"}, Addresses("10.0.1.10", "203.0.113.9")),
        ({"local-ipv4": "10.0.1.10", "ipv6": "2001:db8::1"}, Addresses("10.0.1.10")),
        ({"ipv6": "2001:db8::1"}, Addresses(ipv6="2001:db8::1")),
        ({}, Addresses()),
    ],
)
def test_an_instance_is_reached_at_ipv6_only_where_there_is_nothing_else(
    texts: dict[str, str], addresses: Addresses
) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.service.texts.update({f"meta-data/{path}": text for path, text in texts.items()})
            assert await s.instance.addresses() == addresses
            s.service.texts["meta-data/local-ipv4"] = "192.0.2.1"
            assert await s.instance.addresses() == addresses, "they are asked for once"

    run(story())


def test_tags_of_an_instance_that_nobody_names_are_an_error_that_names_the_setting() -> None:
    async def story() -> None:
        async with a_story() as s, Ec2Client.open(Ec2Settings(s.service.url, "eu-west-1"), FixedKeys()) as ec2:
            del s.service.texts["meta-data/instance-id"]
            with pytest.raises(TryAgain, match="ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM"):
                await InstanceClient(s.imds, ec2).tags()

    run(story())
