"""What a daemon that begins makes of what was written down."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.docker.engine_driver import DockerEngine
from agent.model.errors import WORTH_A_RESTART, Fatal
from agent.model.events import Event, TasksTaken
from agent.model.identity import Identity
from agent.model.names import DockerId, Image, TaskArn
from agent.model.status import Status
from agent.model.takeover import TakenContainer, TakenTask, Takeover
from agent.store.identity_driver import IdentityFile
from agent.store.takeover_driver import TakeoverFile
from agent.takeover.adoption_driver import Adoption, adopt
from tests.docker.making import NOWHERE
from tests.takeover.other_agent import INSTANCE, OtherAgent

TASK = TakenTask(
    TaskArn("arn:task"), "shop", "7", (TakenContainer(DockerId("aa"), "web", Image("web:1"), Status.RUNNING),)
)
TAKEN = Takeover("us", "default", INSTANCE, "http://127.0.0.1:9", datetime(2026, 1, 1, tzinfo=UTC), (TASK,))
OURS = Identity("us", "default", INSTANCE)


def adopted(folder: Path, takeover: Takeover | None, identity: Identity | None = OURS) -> Adoption:
    async def story() -> Adoption:
        if identity is not None:
            await IdentityFile(folder / "identity.json").write(identity)
        if takeover is not None:
            await TakeoverFile(folder / "takeover.json").write(takeover)
        return await adopt(folder)

    return asyncio.run(story())


def heard(adoption: Adoption) -> list[TaskArn]:
    events: list[Event] = []
    adoption.tell(events.append)
    return [task.arn for event in events if isinstance(event, TasksTaken) for task in event.tasks]


def identity_in(folder: Path) -> Identity | None:
    return asyncio.run(IdentityFile(folder / "identity.json").read())


def test_where_nothing_was_taken_over_nothing_is_adopted(tmp_path: Path) -> None:
    adoption = adopted(tmp_path, None)
    assert (adoption.taken, heard(adoption)) == ({}, [])


def test_tasks_are_told_of_and_containers_are_ours(tmp_path: Path) -> None:
    adoption = adopted(tmp_path, TAKEN)
    assert heard(adoption) == ["arn:task"]
    assert adoption.taken[DockerId("aa")].agent == "us"


@pytest.mark.parametrize("identity", [None, Identity("us", "default")])
def test_an_identity_that_a_crash_kept_from_the_disk_is_written(tmp_path: Path, identity: Identity | None) -> None:
    adopted(tmp_path, TAKEN, identity)
    assert identity_in(tmp_path) == OURS


def test_what_the_journal_has_is_told_of_no_more_but_stays_ours(tmp_path: Path) -> None:
    with OtherAgent.serving() as other:
        adoption = adopted(tmp_path, replace(TAKEN, is_heard=True, agent_url=other.url))
        assert other.asked == []
    assert (heard(adoption), list(adoption.taken)) == ([], ["aa"])


def test_what_another_installation_took_over_is_not_ours(tmp_path: Path) -> None:
    copied = Identity("them", "default", INSTANCE)
    adoption = adopted(tmp_path, TAKEN, copied)
    assert (adoption.taken, heard(adoption), identity_in(tmp_path)) == ({}, [], copied)


def test_nobody_begins_beside_the_agent_whose_tasks_were_taken_over(tmp_path: Path) -> None:
    with OtherAgent.serving() as other:
        with pytest.raises(Fatal, match="still answers at http") as refused:
            adopted(tmp_path, replace(TAKEN, agent_url=other.url))
        assert refused.value.exit_code == WORTH_A_RESTART
        other.instance_arn = "arn:of:somebody:else"
        assert heard(adopted(tmp_path, replace(TAKEN, agent_url=other.url))) == ["arn:task"]


def settled(adoption: Adoption, docker_host: str) -> Takeover | None:
    async def story() -> Takeover | None:
        async with DockerEngine.connect(docker_host) as docker:
            await adoption.settle(saved, docker)
        return await adoption.file.read()

    async def saved() -> None:
        return

    return asyncio.run(story())


def test_once_the_journal_has_the_tasks_it_is_noted(tmp_path: Path) -> None:
    assert settled(adopted(tmp_path, TAKEN), NOWHERE) == replace(TAKEN, is_heard=True)


@pytest.mark.docker
def test_when_nothing_of_it_is_left_the_file_goes(tmp_path: Path, docker_host: str) -> None:
    assert settled(adopted(tmp_path, replace(TAKEN, is_heard=True)), docker_host) is None


def test_who_cannot_ask_docker_forgets_nothing(tmp_path: Path) -> None:
    heard_once = replace(TAKEN, is_heard=True)
    assert settled(adopted(tmp_path, heard_once), NOWHERE) == heard_once


def test_a_disk_that_takes_no_note_ends_nothing(tmp_path: Path) -> None:
    adoption = adopted(tmp_path, TAKEN)
    (tmp_path / "takeover.json.new").mkdir()
    assert settled(adoption, NOWHERE) == TAKEN
