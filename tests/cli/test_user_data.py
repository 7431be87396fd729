"""What EC2 says for the agent, asked of a metadata service that answers."""

import json

import aiohttp
import pytest
from aiohttp import web

from agent.aws.imds_client import ImdsClient, ImdsSettings
from agent.config.load import load
from agent.config.settings import Settings
from agent.model.errors import NOT_WORTH_A_RESTART, Fatal
from agent.opening import heed_user_data
from tests.aws.peers import run, serving


def heeded(settings: Settings, text: str | None) -> tuple[Settings, list[str]]:
    """*settings* after a service was asked that has *text*, and the paths that it was asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.match_info["path"])
        if request.method == "PUT":
            return web.Response(text="token")
        return web.Response(text=text) if text is not None else web.Response(status=404)

    async def ask() -> Settings:
        app = web.Application()
        app.router.add_route("*", "/latest/{path:.+}", answer)
        async with serving(app) as url, aiohttp.ClientSession() as session:
            return await heed_user_data(settings, ImdsClient(ImdsSettings(url), session))

    return run(ask()), asked


def test_user_data_fills_in_what_nothing_else_says() -> None:
    text = json.dumps({"ECSAgentConfiguration": {"Cluster": "late", "ReservedMemory": 7}})

    settings, asked = heeded(load({"ECS_CLUSTER": "mine"}), text)

    assert (settings.cluster, settings.reserved_memory) == ("mine", 7)
    assert asked == ["api/token", "user-data"]


@pytest.mark.parametrize("text", [None, "", "#!/bin/sh\necho ECS_CLUSTER=x >> /etc/ecs/ecs.config\n"])
def test_no_user_data_or_a_script_changes_nothing(text: str | None) -> None:
    settings = load({"ECS_CLUSTER": "mine"})

    assert heeded(settings, text)[0] is settings


def test_a_machine_that_is_not_of_ec2_is_not_asked() -> None:
    settings = load({"ECS_EXTERNAL": "true"})

    assert heeded(settings, '{"ECSAgentConfiguration": {"Cluster": "x"}}') == (settings, [])


def test_user_data_that_cannot_be_used_ends_the_start() -> None:
    with pytest.raises(Fatal, match="EC2 user data: ReservedMemory") as fatal:
        heeded(load({}), '{"ECSAgentConfiguration": {"ReservedMemory": "much"}}')

    assert fatal.value.exit_code == NOT_WORTH_A_RESTART
