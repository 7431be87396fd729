import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.model.names import DockerId, Image, TaskArn
from agent.model.parts import Dependency, RestartPolicy
from agent.model.status import Status
from agent.model.takeover import TakenContainer, TakenTask, Takeover
from agent.model.task import PortMapping
from agent.store.takeover_driver import TakeoverFile

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TAKEN = Takeover(
    "agent",
    "blue",
    "arn:instance",
    "http://127.0.0.1:51678",
    T0,
    (
        TakenTask(
            TaskArn("arn:task"),
            "shop",
            "7",
            (
                TakenContainer(
                    DockerId("aa"),
                    "web",
                    Image("nginx"),
                    Status.RUNNING,
                    stop_timeout=7.5,
                    ports=(PortMapping(80, 8080),),
                    depends_on=(Dependency("~internal~ecs~pause"),),
                    restart=RestartPolicy((3,), 60.0),
                    started_at=T0,
                ),
            ),
            stopping=True,
            reason="why",
            has_cgroup=True,
        ),
    ),
)


def test_what_was_written_is_read_and_only_its_owner_may(tmp_path: Path) -> None:
    file = TakeoverFile(tmp_path / "takeover.json")

    async def story() -> None:
        assert await file.read() is None
        await file.write(TAKEN)
        assert await file.read() == TAKEN
        await file.remove()
        await file.remove()
        assert await file.read() is None
        await file.write(TAKEN)

    asyncio.run(story())
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["takeover.json", "takeover.json.copy"]
    assert (tmp_path / "takeover.json.copy").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", '{"form":1}', '{"form":9,"min_reader":9}', "[" * 100_000])
def test_a_file_that_makes_no_sense_is_set_aside(tmp_path: Path, text: str) -> None:
    file = TakeoverFile(tmp_path / "takeover.json")
    file.path.write_text(text)
    assert asyncio.run(file.read()) is None
    (aside,) = tmp_path.iterdir()
    assert aside.read_text() == text
    assert aside.name.startswith("takeover.json.")


def test_a_later_form_that_an_older_program_may_not_read_is_set_aside(tmp_path: Path) -> None:
    file = TakeoverFile(tmp_path / "takeover.json")
    asyncio.run(file.write(TAKEN))
    for one in (file.path, file.copy):
        one.write_text(one.read_text().replace('"min_reader": 1', '"min_reader": 2'))
    assert asyncio.run(file.read()) is None


@pytest.mark.parametrize("text", ["", "{", None])
def test_a_copy_makes_up_for_a_file_that_is_damaged_or_lost(tmp_path: Path, text: str | None) -> None:
    file = TakeoverFile(tmp_path / "takeover.json")
    asyncio.run(file.write(TAKEN))
    file.path.unlink()
    if text is not None:
        file.path.write_text(text)
    assert asyncio.run(file.peek()) == TAKEN
    assert asyncio.run(file.read()) == TAKEN, "else containers that run would count as gone"


def test_a_directory_in_its_place_is_set_aside_too(tmp_path: Path) -> None:
    file = TakeoverFile(tmp_path / "takeover.json")
    asyncio.run(file.write(TAKEN))
    file.path.unlink()
    file.path.mkdir()
    assert asyncio.run(file.read()) == TAKEN
    assert not file.path.exists()


def test_a_damaged_file_that_cannot_be_moved_costs_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = TakeoverFile(tmp_path / "takeover.json")
    asyncio.run(file.write(TAKEN))
    file.path.write_bytes(b"\xff")
    monkeypatch.setattr(Path, "rename", _refused)
    assert asyncio.run(file.read()) == TAKEN


def _refused(*_: object) -> None:
    raise OSError("Read-only file system")
