"""Introspection, as it is asked for over HTTP; what the bodies hold is another test's."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs

from agent.model.errors import TryAgain
from agent.model.names import DockerId
from agent.model.portrait import Portrait
from agent.model.status import Status
from agent.model.task import Container
from agent.operator import introspection_server
from agent.operator.host_server import HostServer
from agent.operator.introspection_server import BETWEEN, Agent, IntrospectionDesk, licence
from tests.operator.gauged import Engine
from tests.operator.scene import ARN, OTHER, a_task
from tests.stories.house import free_port

ONE, TWO = DockerId("a" * 64), DockerId("b" * 64)
INSTANCE = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/1"
EMPTY = {"Arn": "", "KnownStatus": "", "Family": "", "Version": "", "Containers": None}


class Shown:
    """Docker, as a test has it."""

    def __init__(self, portraits: Mapping[DockerId, Portrait], error: TryAgain | None = None) -> None:
        self._portraits = portraits
        self._error = error
        self.asked: list[DockerId] = []

    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        self.asked.append(docker_id)
        if self._error is not None:
            raise self._error
        return self._portraits.get(docker_id)


class Hanging(Shown):
    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        self.asked.append(docker_id)
        if docker_id == TWO:
            await asyncio.Event().wait()
        return self._portraits.get(docker_id)


def a_desk(shown: Shown | None = None) -> IntrospectionDesk:
    one = replace(a_task(Container("app", Status.RUNNING, docker_id=ONE)), known=Status.RUNNING)
    two = replace(a_task(Container("app", Status.RUNNING, docker_id=TWO), arn=OTHER), known=Status.RUNNING)
    agent = Agent(lambda: "default", lambda: INSTANCE, "1.105.1", "dockworker")
    portrait = Portrait(
        ONE, "ecs-web-3-app-00", image="app:1", image_id="sha256:1", created_at="2026-01-01T00:00:00.5Z"
    )
    return IntrospectionDesk(agent, Engine({ARN: one, OTHER: two}), shown or Shown({ONE: portrait}))


def ask(page: Callable[[web.BaseRequest], Awaitable[web.Response]], path: str = "/") -> web.Response:
    async def story() -> web.Response:
        return await page(make_mocked_request("GET", path))

    return asyncio.run(story())


def body(answer: web.Response) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def test_metadata_say_which_agent_this_is_in_the_form_that_is_known() -> None:
    answer = ask(a_desk().metadata)

    assert answer.headers["Content-Type"] == "application/json"
    assert body(answer) == (
        b'{"Cluster":"default","ContainerInstanceArn":"' + INSTANCE.encode() + b'",'
        b'"Version":"Amazon ECS Agent - v1.105.1 (dockworker)"}'
    )


def test_all_tasks_are_listed_with_what_docker_shows_and_without_it() -> None:
    answer = ask(a_desk().tasks, "/v1/tasks")
    first, second = json.loads(body(answer))["Tasks"]

    assert answer.status == 200
    assert (first["Arn"], second["Arn"]) == (ARN, OTHER)
    assert first["Containers"][0]["ImageID"] == "sha256:1"
    assert first["Containers"][0]["CreatedAt"] == "2026-01-01T00:00:00.5Z"
    assert second["Containers"][0]["ImageID"] == ""  # Docker does not know it any more


@pytest.mark.parametrize(
    ("query", "status", "arn"),
    [
        (f"taskarn={ARN}", 200, ARN),
        (f"dockerid={TWO}", 200, OTHER),
        ("dockerid=aaaa", 200, ARN),
        ("dockerid=", 400, ""),
        (f"dockerid={ONE}&taskarn={ARN}", 400, ""),
        ("taskarn=nothing", 404, ""),
    ],
)
def test_one_task_is_found_by_a_filter_and_docker_is_asked_of_it_alone(query: str, status: int, arn: str) -> None:
    shown = Shown({})
    answer = ask(a_desk(shown).tasks, f"/v1/tasks?{query}")
    told = json.loads(body(answer))

    assert (answer.status, told["Arn"]) == (status, arn)
    assert told == EMPTY if not arn else len(shown.asked) == 1


def test_docker_that_fails_or_is_slow_costs_what_it_alone_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection_server, "PORTRAITS_WITHIN", 0.02)
    portrait = Portrait(ONE, "name", image_id="sha256:1")
    failing, hanging = Shown({}, TryAgain("away")), Hanging({ONE: portrait})
    with capture_logs() as lines:
        for shown, first in ((failing, ""), (hanging, "sha256:1")):
            answer = ask(a_desk(shown).tasks, "/v1/tasks")
            tasks = json.loads(body(answer))["Tasks"]
            assert [task["Containers"][0]["ImageID"] for task in tasks] == [first, ""]

    assert [line["event"] for line in lines] == ["portrait_not_had", "portrait_not_had", "portraits_not_had"]


def test_the_licence_is_that_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ask(a_desk().license)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain")
    assert b"Apache License" in body(answer)

    for name in ("LICENSE", "NOTICE"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(introspection_server, "_texts", lambda: [tmp_path / "LICENSE", tmp_path / "NOTICE"])
    assert licence() == f"LICENSE{BETWEEN}NOTICE"


def test_a_licence_that_cannot_be_read_is_500_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for texts in ([], [Path("/nowhere")]):
        monkeypatch.setattr(introspection_server, "_texts", lambda texts=texts: texts)
        with capture_logs() as lines:
            answer = ask(a_desk().license)
        assert (answer.status, body(answer)) == (500, b"")
        assert [line["event"] for line in lines] == ["licence_not_read"]


def test_any_other_path_lists_those_that_there_are() -> None:
    async def story() -> None:
        port, desk = free_port(), a_desk()
        server = HostServer(lambda: [("127.0.0.1", port)], {"/v1/tasks": desk.tasks}, desk.commands)
        job = asyncio.create_task(server.run())
        async with asyncio.timeout(10), aiohttp.ClientSession() as client:
            while not server.addresses:
                await asyncio.wait({job}, timeout=0.005)
            for path in ("/", "/v1/credentials", "/v1/tasks/"):
                async with client.get(f"http://127.0.0.1:{port}{path}") as answer:
                    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
                    assert await answer.read() == b'{"AvailableCommands":["/v1/metadata","/v1/tasks","/license"]}'
            async with client.get(f"http://127.0.0.1:{port}//v1//tasks") as answer:
                assert len((await answer.json())["Tasks"]) == 2
        job.cancel()
        await asyncio.wait({job})

    asyncio.run(story())
