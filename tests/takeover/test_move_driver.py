"""``dockworker takeover``: what it refuses, and what it writes."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.config.settings import Settings
from agent.host import introspection_client
from agent.model.errors import NoAnswer, TryAgain
from agent.model.identity import Identity
from agent.store.identity_driver import IdentityFile
from agent.store.lock_driver import only_one
from agent.takeover import move_driver
from agent.takeover.joining import Scene
from agent.takeover.move_driver import Wish, take_over
from tests.docker.making import NOWHERE
from tests.sample_image import client
from tests.takeover.other_agent import INSTANCE, OtherAgent, a_container, a_task

TASK = "arn:aws:ecs:us-east-1:123456789012:task/default/" + secrets.token_hex(16)


@dataclass
class Desk:
    """Somebody who gives the command."""

    folder: Path
    url: str
    docker_host: str = NOWHERE
    cluster: str = ""
    said: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(
            cluster=self.cluster,
            data_dir=self.folder / "data",
            docker_host=self.docker_host,
            share_host=True,
            imds_disabled=True,
        )

    def give(self, **wish: bool) -> int:
        return asyncio.run(take_over(self.settings, Wish(self.url, **wish), self.said.append))

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    def written(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "data" / "takeover.json").read_text())["takeover"]
        return found


@pytest.fixture
def other() -> Iterator[OtherAgent]:
    with OtherAgent.serving() as agent:
        yield agent


@pytest.fixture
def desk(tmp_path: Path, other: OtherAgent, docker_host: str) -> Desk:
    return Desk(tmp_path, other.url, docker_host)


def test_where_nobody_answers_another_try_may_help(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "http://127.0.0.1:9")
    assert desk.give() == 1
    assert "no agent answers at http://127.0.0.1:9" in desk.text
    assert list(tmp_path.iterdir()) == []


def test_an_agent_that_is_not_registered_has_nothing_to_be_taken_over(desk: Desk, other: OtherAgent) -> None:
    other.instance_arn = None
    assert desk.give() == 1
    assert "has not registered" in desk.text


@pytest.mark.parametrize("cluster", ["", "blue"])
def test_another_cluster_than_the_one_that_is_set_is_refused(desk: Desk, other: OtherAgent, cluster: str) -> None:
    other.cluster, desk.cluster = "green", cluster
    assert desk.give() == 5
    assert "set ECS_CLUSTER=green" in desk.text
    assert not (desk.folder / "data").exists()


def test_the_data_of_an_agent_with_another_instance_are_in_the_way(desk: Desk) -> None:
    mine = Identity("us", "default", INSTANCE[:-4] + "beef")
    asyncio.run(IdentityFile(desk.folder / "data" / "identity.json").write(mine))
    assert desk.give() == 5
    assert mine.instance_arn in desk.text
    assert not (desk.folder / "data" / "takeover.json").exists()


@pytest.mark.docker
def test_an_agent_that_was_never_registered_stays_who_it_is(desk: Desk) -> None:
    asyncio.run(IdentityFile(desk.folder / "data" / "identity.json").write(Identity("us", "default")))
    assert desk.give() == 0
    assert desk.written()["agent_id"] == "us"


def test_an_agent_of_ours_that_runs_is_in_the_way(desk: Desk) -> None:
    (desk.folder / "data").mkdir()
    with only_one(desk.folder / "data"):
        assert desk.give() == 5
    assert "another agent is running" in desk.text


def test_a_docker_that_does_not_answer_leaves_nothing_half_done(desk: Desk) -> None:
    desk.docker_host = NOWHERE
    assert desk.give() == 1
    assert "Nothing was stopped" in desk.text
    assert not (desk.folder / "data" / "takeover.json").exists()
    assert not (desk.folder / "data" / "identity.json").exists()


@pytest.mark.docker
def test_tasks_on_their_way_are_left_to_the_agent_that_began_them_or_stopped(desk: Desk, other: OtherAgent) -> None:
    other.tasks = [a_task(TASK, known="PENDING")]
    assert desk.give() == 1
    assert TASK in desk.text
    assert not (desk.folder / "data" / "takeover.json").exists()
    assert desk.give(stop_pending=True) == 0
    (task,) = desk.written()["tasks"]
    assert (task["arn"], task["stopping"], task["containers"]) == (TASK, True, [])
    assert "had not begun" in task["reason"]


@pytest.mark.docker
def test_the_same_command_again_writes_the_same_agent_and_what_is_there_now(
    desk: Desk, other: OtherAgent, owner: Identity, sample_image: str
) -> None:
    one = asyncio.run(_a_container(desk.docker_host, owner))
    assert desk.give() == 0
    first = desk.written()
    assert (first["tasks"], first["instance_arn"], first["cluster"]) == ([], INSTANCE, "default")
    other.tasks = [a_task(TASK, a_container(one, "web"), a_container("f" * 64, "gone"))]
    assert desk.give() == 0
    second = desk.written()
    assert second["agent_id"] == first["agent_id"]
    ((web,),) = [task["containers"] for task in second["tasks"]]
    assert (web["docker_id"], web["stop_timeout"], web["memory"]) == (one, 42, 64)
    identity = json.loads((desk.folder / "data" / "identity.json").read_text())["identity"]
    assert (identity["agent_id"], identity["instance_arn"]) == (first["agent_id"], INSTANCE)
    assert f"get none from its end until Dockworker runs: {one[:12]}" in desk.text


@pytest.mark.docker
def test_who_went_back_and_comes_again_keeps_what_is_there_of_the_first_time(
    desk: Desk, other: OtherAgent, owner: Identity, sample_image: str
) -> None:
    one = asyncio.run(_a_container(desk.docker_host, owner))
    gone = TASK[:-4] + "beef"
    other.tasks = [a_task(TASK, a_container(one, "web")), a_task(gone, known="PENDING")]
    assert desk.give(stop_pending=True) == 0
    file = desk.folder / "data" / "takeover.json"
    file.write_text(file.read_text().replace('"is_heard": false', '"is_heard": true'))
    other.tasks = []
    for _ in range(2):  # and gives the command once more before that agent is stopped
        assert desk.give() == 0
        assert ([task["arn"] for task in desk.written()["tasks"]], desk.written()["is_heard"]) == ([TASK], False)


@pytest.mark.docker
def test_who_follows_notes_what_changes_until_that_agent_has_gone(
    tmp_path: Path, docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move_driver, "LOOK_AGAIN", 0.01)
    changed = asyncio.Event()

    async def story(serving: ExitStack, other: OtherAgent) -> int:
        desk = Desk(tmp_path, other.url, docker_host)

        def say(text: str) -> None:
            if text.startswith("\nStaying"):
                other.tasks = [a_task(TASK, known="PENDING", desired="RUNNING")]
            if text.startswith("Tasks now: 1"):
                changed.set()

        following = asyncio.ensure_future(take_over(desk.settings, Wish(other.url, follow=True), say))
        async with asyncio.timeout(20):
            await changed.wait()
            await asyncio.to_thread(serving.close)
            code = await following
        assert [task["arn"] for task in desk.written()["tasks"]] == [TASK]
        return code

    with ExitStack() as serving:
        assert asyncio.run(story(serving, serving.enter_context(OtherAgent.serving()))) == 0


@pytest.mark.docker
def test_who_follows_does_not_take_an_answer_that_makes_no_sense_for_none(
    tmp_path: Path, docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move_driver, "LOOK_AGAIN", 0.01)
    said: list[str] = []

    async def story(serving: ExitStack, other: OtherAgent) -> int:
        desk, changed = Desk(tmp_path, other.url, docker_host), asyncio.Event()

        def say(text: str) -> None:
            said.append(text)
            if text.startswith("\nStaying"):
                other.tasks = [{"Arn": 7}]
            if "not answered as an ECS agent does" in text:
                other.tasks = [a_task(TASK, known="PENDING", desired="RUNNING")]
            if text.startswith("Tasks now: 1"):
                changed.set()

        following = asyncio.ensure_future(take_over(desk.settings, Wish(other.url, follow=True), say))
        async with asyncio.timeout(20):
            await asyncio.wait({following, asyncio.ensure_future(changed.wait())}, return_when="FIRST_COMPLETED")
            await asyncio.to_thread(serving.close)
            return await following

    with ExitStack() as serving:
        assert asyncio.run(story(serving, serving.enter_context(OtherAgent.serving()))) == 0
    assert sum("not answered" in text for text in said) == 1, "what is said once is not said each second"


def test_who_follows_does_not_take_dockers_silence_for_the_end_of_that_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(move_driver, "LOOK_AGAIN", 0)
    asked, said = list[str](), list[str]()

    class Silent:
        @property
        def other(self) -> "Silent":
            return self

        async def tasks(self) -> tuple[()]:
            asked.append("that agent")
            if len(asked) > 3:
                raise NoAnswer("nobody is there")
            return ()

        async def scene_of(self, _: object) -> Any:  # noqa: ANN401 -- it gives nothing
            raise NoAnswer("Docker did not answer in time")

    silent: Any = Silent()
    asyncio.run(move_driver._follow(silent, Scene((), (), {}), said.append))
    assert (len(asked), said[1:]) == (4, ["Trying again: Docker did not answer in time.", "That agent has gone."])


def test_an_agent_that_is_slow_to_answer_has_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection_client, "PATIENCE", 0.05)

    async def story() -> None:
        held = asyncio.Event()

        async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await held.wait()
            writer.close()

        async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with introspection_client.IntrospectionClient.open(f"http://127.0.0.1:{port}") as client:
                with pytest.raises(TryAgain, match="is not answered within") as slow:
                    await client.tasks()
            held.set()
        assert not isinstance(slow.value, NoAnswer)

    asyncio.run(story())


async def _a_container(host: str, owner: Identity) -> str:
    labels = {"com.amazonaws.ecs.task-arn": TASK, "dockworker.test": owner.agent_id}
    config: dict[str, Any] = {
        "Image": "dockworker.invalid/test:1",
        "Cmd": ["sleep", "600"],
        "Labels": labels,
        "StopTimeout": 42,
        "Env": ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/x"],
        "HostConfig": {"Memory": 64 << 20},
    }
    async with client(host) as docker:
        return (await docker.containers.create(config)).id
