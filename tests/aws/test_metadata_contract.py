"""The instance metadata service of the tests and that of moto, asked the same."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from moto.server import ThreadedMotoServer

from agent.aws.imds_client import ImdsClient, ImdsSettings
from tests.aws.peers import run
from tests.fakes.metadata import MAC, a_metadata_service


@asynccontextmanager
async def ours() -> AsyncIterator[str]:
    async with a_metadata_service() as service:
        yield service.url


@asynccontextmanager
async def motos() -> AsyncIterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


Service = Callable[[], AbstractAsyncContextManager[str]]


@pytest.mark.parametrize(
    ("service", "instance", "mac", "zone_id", "region"),
    [
        (ours, "i-0abc", MAC, "euw1-az2", "eu-west-1"),
        (motos, "i-fake", "00:de:ad:be:ef:00", "use1-az1", "us-east-1"),
    ],
    ids=["ours", "moto"],
)
def test_both_give_a_token_and_answer_by_it(
    service: Service, instance: str, mac: str, zone_id: str, region: str
) -> None:
    async def story() -> None:
        async with service() as url, ImdsClient.open(ImdsSettings(url)) as imds:
            assert await imds.instance_id() == instance
            assert await imds.region(by_document=False) == region
            place = await imds.whereabouts()
            assert (place.zone_id, place.interface.mac) == (zone_id, mac)
            assert imds._token

    run(story())
