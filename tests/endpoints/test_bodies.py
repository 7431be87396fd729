"""What a row says that a golden body does not show: rare states of tasks and containers, and of interfaces."""

from dataclasses import replace
from typing import Any

import pytest

from agent.endpoints import bodies, bodies_networks
from agent.endpoints.bodies import V3, V4, Look
from agent.model.portrait import Eni
from agent.model.status import Health, Status
from tests.endpoints.metadata_scene import ENI, PLACE, at, bridge, host


def look(**changes: Any) -> Look:  # noqa: ANN401 -- fields of a row
    task, (portrait,) = host()
    return Look(task, task.asked("web"), replace(task["web"], **changes), portrait)


@pytest.mark.parametrize("version", [V3, V4])
def test_a_task_that_has_its_images_has_no_word_for_it(version: int) -> None:
    task = replace(bridge()[0], known=Status.PULLED)

    assert bodies.task(task, (), PLACE, version)["KnownStatus"] == "NONE"


def test_a_container_that_has_its_image_is_shown_where_its_task_has_nothing_else() -> None:
    task = bridge()[0]
    row = replace(task["next"], docker_id=task["next"].docker_id)
    looks = [Look(task, task.asked("next"), row)]

    assert "Containers" not in bodies.task(task, looks, PLACE, V3)
    shown = bodies.task(task, looks, PLACE, V4)["Containers"]
    assert isinstance(shown, list)
    assert [(one["Name"], one["DockerId"], one["KnownStatus"]) for one in shown] == [("next", "", "PULLED")]


def test_who_has_recovered_has_no_exit_code_of_a_check() -> None:
    health = bodies.container(look(health=Health.HEALTHY, health_since=at(1)), V3)["Health"]

    assert health == {"status": "HEALTHY", "statusSince": "2024-05-01T12:00:01Z", "output": "<refused>"}


def test_who_runs_again_has_no_end() -> None:
    again = look(finished_at=at(2))
    assert again.portrait is not None
    portrait = replace(again.portrait, finished_at="2024-05-01T12:00:02Z")

    assert "FinishedAt" not in bodies.container(replace(again, portrait=portrait), V4)
    ended = replace(again, portrait=portrait, container=replace(again.container, known=Status.STOPPED))
    assert bodies.container(ended, V4)["FinishedAt"] == "2024-05-01T12:00:02Z"


@pytest.mark.parametrize("config", ["", "no JSON", "[]", '{"LogConfig":7}', '{"LogConfig":{"Type":7,"Config":[]}}'])
def test_what_is_no_log_configuration_is_left_out(config: str) -> None:
    found = look()
    body = bodies.container(replace(found, spec=replace(found.spec, host_config=config)), V4)

    assert not body.keys() & {"LogDriver", "LogOptions"}


def test_an_interface_without_ipv4_has_the_prefix_and_the_gateway_that_it_says() -> None:
    eni = Eni(ipv6=("2001:db8:0:1::44",), mac="0a:1b", gateway_ipv6="2001:db8:0:1::1/60")

    assert bodies_networks.of_interface(eni, with_properties=True) == [
        {
            "NetworkMode": "awsvpc",
            "IPv6Addresses": ["2001:db8:0:1::44"],
            "AttachmentIndex": 0,
            "MACAddress": "0a:1b",
            "IPv6SubnetCIDRBlock": "2001:db8::/60",
            "SubnetGatewayIpv6Address": "2001:db8:0:1::1/60",
        }
    ]
    assert "IPv6Addresses" not in bodies_networks.of_interface(replace(ENI, ipv6=()), with_properties=True)[0]
