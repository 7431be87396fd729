from dataclasses import replace

import pytest

from agent.docker import log_options
from agent.docker.overlay import Body
from agent.docker.surroundings import Surroundings
from agent.model.acts import CreateContainer, Wiring
from agent.model.credentials import NO_VALUES, ContainerValues
from agent.model.errors import GiveUp
from tests.docker.making import an_act

AWSLOGS: Body = {"Type": "awslogs", "Config": {"awslogs-group": "g"}}
HERE = Surroundings(region="eu-west-1")
SIGNED = replace(an_act(logs_by_execution_role=True), wiring=Wiring(execution_credentials_id="e1"))


def completed(
    log: Body, act: CreateContainer | None = None, values: ContainerValues = NO_VALUES, host: Surroundings = HERE
) -> Body:
    return log_options.completed(log, act or an_act(), values, host)


def test_what_needs_nothing_stays_as_it_is() -> None:
    assert completed({}) == {}
    assert completed({"Type": "none"}) == {"Type": "none"}
    assert completed(AWSLOGS) == AWSLOGS


def test_awslogs_that_sign_with_the_execution_role_are_told_where_its_keys_are() -> None:
    told = completed(AWSLOGS, SIGNED)

    assert told["Config"] == {"awslogs-group": "g", "awslogs-credentials-endpoint": "/v2/credentials/e1"}


def test_other_drivers_sign_with_nothing() -> None:
    assert completed({"Type": "json-file"}, SIGNED) == {"Type": "json-file"}


def test_without_an_execution_role_awslogs_cannot_sign() -> None:
    with pytest.raises(GiveUp) as told:
        completed(AWSLOGS, an_act(logs_by_execution_role=True))

    assert told.value.reason.startswith("HostConfigError: No execution credentials set for the task")


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("us-iso-east-1", "c2s.ic.gov"),
        ("us-iso-west-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
        ("eu-isoe-west-1", "cloud.adc-e.uk"),
        ("us-isof-east-1", "csp.hci.ic.gov"),
        ("us-isof-south-1", "csp.hci.ic.gov"),
    ],
)
def test_in_isolated_regions_awslogs_are_told_their_endpoint(region: str, suffix: str) -> None:
    given = {"Type": "awslogs", "Config": {"awslogs-endpoint": "mine"}}

    told = completed(given, host=Surroundings(region=region, dns_suffix=suffix))

    assert told["Config"] == {"awslogs-endpoint": f"https://logs.{region}.{suffix}"}
    assert completed({"Type": "syslog"}, host=Surroundings(region=region)) == {"Type": "syslog"}


def test_a_buffer_that_blocks_nobody_has_a_size() -> None:
    def size_of(**options: str) -> object:
        return completed({"Type": "json-file", "Config": options})["Config"].get("max-buffer-size")

    assert size_of(mode="non-blocking") == "10m"
    assert size_of(mode="non-blocking", **{"max-buffer-size": "1m"}) == "1m"
    assert size_of(mode="blocking") is None


def test_secret_options_join_and_empty_ones_do_not() -> None:
    values = ContainerValues(log_options={"splunk-token": "t", "splunk-url": ""})

    told = completed({"Type": "splunk", "Config": {"splunk-url": "u"}}, values=values)

    assert told == {"Type": "splunk", "Config": {"splunk-url": "u", "splunk-token": "t"}}
    assert completed({"Type": "splunk"}, values=values)["Config"] == {"splunk-token": "t"}
