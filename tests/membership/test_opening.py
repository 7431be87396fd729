"""What an agent asks EC2 before it opens anything."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from agent.aws.imds_client import ImdsClient
from agent.config.settings import Settings
from agent.model.errors import Fatal
from agent.opening import access_to_aws, heed_cloud_init, imds_settings, instance_of, region_of
from tests.aws.peers import run
from tests.fakes.metadata import Metadata, a_metadata_service

USER_DATA = "user-data"


def asked(settings: Settings, *, found_nothing: bool, user_data: str | None) -> list[str]:
    """The paths that were asked for until the agent went on."""

    async def story() -> list[str]:
        async with a_metadata_service() as service:
            if user_data is not None:
                service.texts[USER_DATA] = user_data
            here = Settings(imds_endpoint=service.url)
            async with ImdsClient.open(imds_settings(here)) as imds:
                await heed_cloud_init(settings, imds, lambda: found_nothing)
            return service.asked

    return run(story())


def test_user_data_that_cloud_init_has_passed_over_ends_the_start_for_good() -> None:
    with pytest.raises(Fatal, match="cloud-init found no data source") as caught:
        asked(Settings(), found_nothing=True, user_data="#!/bin/sh\n")
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("user_data", [None, ""])
def test_where_there_was_nothing_to_do_nothing_was_passed_over(user_data: str | None) -> None:
    assert asked(Settings(), found_nothing=True, user_data=user_data) == [USER_DATA]


def test_a_machine_that_cloud_init_knows_and_an_external_one_are_asked_nothing() -> None:
    assert asked(Settings(), found_nothing=False, user_data="#!/bin/sh\n") == []
    assert asked(Settings(external=True), found_nothing=True, user_data="#!/bin/sh\n") == []


def with_instance(
    settings: Settings, look: Callable[[Metadata], None] = lambda _: None
) -> tuple[tuple[str, str], list[str]]:
    """What is told of itself by an instance with *settings*, and the paths that it asked for."""

    async def story() -> tuple[tuple[str, str], list[str]]:
        async with a_metadata_service() as service, AsyncExitStack() as stack:
            look(service)
            imds = await stack.enter_async_context(ImdsClient.open(imds_settings(Settings(imds_endpoint=service.url))))
            assert await region_of(settings, imds) == "eu-west-1"
            instance = await instance_of(stack, settings, imds, await access_to_aws(settings, "eu-west-1"))
            return await instance.identity_document(), service.asked

    return run(story())


def test_without_an_identity_document_the_region_comes_from_elsewhere_and_nothing_is_proved() -> None:
    told, paths = with_instance(Settings(no_identity_document=True))
    assert told == ("", "")
    assert not [path for path in paths if "identity" in path]


def test_an_ec2_instance_proves_itself() -> None:
    told, paths = with_instance(Settings())
    assert all(told)
    assert paths.count("dynamic/instance-identity/document") == 2  # the region was in the first


def test_an_external_instance_asks_for_no_instance_metadata() -> None:
    async def story() -> None:
        async with a_metadata_service() as service, AsyncExitStack() as stack:
            settings = Settings(external=True, region="eu-west-1", imds_endpoint=service.url)
            imds = await stack.enter_async_context(ImdsClient.open(imds_settings(settings)))
            instance = await instance_of(stack, settings, imds, await access_to_aws(settings, "eu-west-1"))
            assert await instance.identity_document() == ("", "")
            assert await instance.instance_id() == ""
            assert service.asked == []

    run(story())


@pytest.mark.parametrize(
    ("settings", "patience", "code"), [(Settings(), 0.2, 1), (Settings(), 0.0, 5), (Settings(external=True), 0.2, 5)]
)
def test_a_region_that_instance_metadata_may_tell_later_is_worth_a_restart(
    settings: Settings, patience: float, code: int
) -> None:
    async def story() -> None:
        async with a_metadata_service() as service:
            service.texts.clear()
            service.failures, url = 1000, Settings(imds_endpoint=service.url, external=settings.external)
            async with ImdsClient.open(imds_settings(url, patience)) as imds:
                with pytest.raises(Fatal, match="AWS_REGION is not set") as caught:
                    await region_of(settings, imds)
                assert caught.value.exit_code == code

    run(story())


def test_what_is_no_region_ends_the_start_for_good_where_amazon_is_to_be_found_by_it() -> None:
    with pytest.raises(Fatal, match=r"AWS_DEFAULT_REGION: .*'eu west 1' is not the name of a region") as caught:
        run(access_to_aws(Settings(), "eu west 1"))
    assert caught.value.exit_code == 5
