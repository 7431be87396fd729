"""Each test of this folder runs twice: on the Docker in memory, and on the real one."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agent.model.identity import Identity
from tests.contracts.docks import Dock, a_dock

Play = Callable[[Callable[[Dock], Awaitable[None]]], None]


@pytest.fixture(params=["fake", pytest.param("real", marks=[pytest.mark.docker])])
def play(request: pytest.FixtureRequest) -> Play:
    """Plays a story on one of the two."""
    identity = Identity(agent_id="me", cluster="tests", instance_arn="here")
    if request.param == "real":
        request.getfixturevalue("sample_image")
        identity = request.getfixturevalue("owner")

    def told(story: Callable[[Dock], Awaitable[None]]) -> None:
        async def tell() -> None:
            async with a_dock(request.param, identity) as dock:
                await story(dock)

        asyncio.run(tell())

    return told
