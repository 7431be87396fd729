"""``dockworker leave`` after a takeover."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import departure
from agent.config.settings import Settings
from agent.departure import leave
from agent.model.identity import Identity
from agent.model.takeover import Takeover
from agent.store.identity_driver import IdentityFile
from agent.store.takeover_driver import TakeoverFile
from tests.takeover.other_agent import INSTANCE, OtherAgent


@pytest.fixture
def other() -> Iterator[OtherAgent]:
    with OtherAgent.serving() as agent:
        yield agent


def taken_over(folder: Path, url: str, instance: str = INSTANCE) -> None:
    async def story() -> None:
        await IdentityFile(folder / "identity.json").write(Identity("us", "default", instance))
        takeover = Takeover("us", "default", INSTANCE, url, datetime(2026, 1, 1, tzinfo=UTC))
        await TakeoverFile(folder / "takeover.json").write(takeover)

    asyncio.run(story())


def left(folder: Path, docker_host: str) -> tuple[int, str]:
    said: list[str] = []
    settings = Settings(data_dir=folder, docker_host=docker_host, share_host=True, imds_disabled=True)
    code = asyncio.run(leave(settings, force=True, say=said.append))
    return code, "\n".join(said)


def test_the_instance_of_an_agent_that_still_runs_is_not_left(
    tmp_path: Path, other: OtherAgent, docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deregister(*_: object) -> None:
        raise AssertionError("ECS is asked to let go of it")

    monkeypatch.setattr(departure, "_deregister", deregister)
    taken_over(tmp_path, other.url)
    code, said = left(tmp_path, docker_host)
    assert (code, "still answers" in said) == (1, True), said
    assert (tmp_path / "identity.json").exists()


@pytest.mark.docker
@pytest.mark.parametrize("crash", [1, 2, 3, 4])
def test_a_crash_at_the_end_leaves_nothing_that_the_next_command_does_not_put_away(
    tmp_path: Path, docker_host: str, monkeypatch: pytest.MonkeyPatch, crash: int
) -> None:
    put_away, moved = departure._put_away, list[Path]()

    def dies(path: Path) -> None:
        moved.append(path)
        if len(moved) == crash:
            raise OSError("the machine lost its power")
        put_away(path)

    taken_over(tmp_path, "http://127.0.0.1:9", "")  # without an ARN there is nothing to tell ECS
    (tmp_path / "agent.db").touch()
    with monkeypatch.context() as once:
        once.setattr(departure, "_put_away", dies)
        assert left(tmp_path, docker_host)[0] == 1
    code, said = left(tmp_path, docker_host)
    assert code == 0, said
    names = ("identity.json", "agent.db", "takeover.json", "takeover.json.copy")
    assert [name for name in names if (tmp_path / name).exists()] == []
