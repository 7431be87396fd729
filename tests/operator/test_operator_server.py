import asyncio
import json
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.cli import agent_client, explain
from agent.model.names import TaskArn
from agent.model.saved import OutboxRow
from agent.model.task import Task
from agent.operator.chronicle import Chronicle
from agent.operator.operator_server import SOCKET, OperatorServer, Sources
from tests.operator.scene import ARN, OTHER, ended
from tests.operator.test_waits import Far, Vault


class Engine:
    def __init__(self, *tasks: Task) -> None:
        self.tasks: Mapping[TaskArn, Task] = {task.arn: task for task in tasks}


class Outbox:
    def __init__(self, error: OSError | None = None) -> None:
        self._error = error

    async def unsent(self, after: int = 0) -> tuple[OutboxRow, ...]:
        if self._error:
            raise self._error
        return ()


class Pulls:
    def snapshot(self) -> Mapping[str, Far]:
        return {}


def ask(folder: Path, *questions: str, outbox: Outbox | None = None) -> list[tuple[int, str, str]]:
    """Exit code, output and complaint of ``dockworker explain`` for each question, asked of a server with two tasks."""
    task = ended()
    other = replace(task, spec=replace(task.spec, arn=OTHER))
    sources = Sources(Engine(task, other), Chronicle(), outbox or Outbox(), Pulls(), Vault())

    async def story() -> list[tuple[int, str, str]]:
        serving = asyncio.create_task(OperatorServer(folder, sources).run())
        while not (folder / SOCKET).is_socket() and not serving.done():
            await asyncio.wait({serving}, timeout=0.005)
        try:
            return [await asyncio.to_thread(answer, question, folder) for question in questions]
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    return asyncio.run(story())


def answer(question: str, folder: Path) -> tuple[int, str, str]:
    try:
        return 0, json.dumps(explain.ask(question, agent_client.places(folder, {}))), ""
    except explain.NoAnswer as error:
        return 1, "", str(error)


def test_a_task_is_explained_by_arn_id_or_beginning(tmp_path: Path) -> None:
    answers = ask(tmp_path, ARN, ARN[-32:], ARN[-32:][:5])
    assert {json.loads(said)["taskArn"] for _, said, _ in answers} == {ARN}


def test_what_is_unknown_or_means_two_tasks_is_said_with_the_tasks(tmp_path: Path) -> None:
    unknown, both = ask(tmp_path, "99", "0123")
    assert unknown[2].startswith("99: this agent knows no such task")
    assert "more than one task begins like that" in both[2]
    assert ARN in both[2]
    assert OTHER in both[2]


def test_only_the_owner_may_open_the_socket_and_it_goes_with_the_agent(tmp_path: Path) -> None:
    place = tmp_path / SOCKET
    modes = []

    class Looking(Outbox):
        async def unsent(self, after: int = 0) -> tuple[OutboxRow, ...]:
            modes.append(stat.S_IMODE(place.stat().st_mode))
            return ()

    ask(tmp_path, ARN, outbox=Looking())
    assert modes == [0o600]
    assert not place.exists()


def test_a_socket_that_a_killed_agent_left_is_no_hindrance_nor_is_a_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    (deep / SOCKET).touch()
    ((code, _, complaint),) = ask(deep, ARN)
    assert (code, complaint) == (0, "")


def test_the_directory_of_a_whole_house_leads_to_its_agent(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    task = ended()
    sources = Sources(Engine(task), Chronicle(), Outbox(), Pulls(), Vault())

    async def story() -> tuple[int, str, str]:
        serving = asyncio.create_task(OperatorServer(tmp_path / "agent", sources).run())
        while not (tmp_path / "agent" / SOCKET).is_socket():
            await asyncio.wait({serving}, timeout=0.005)
        try:
            return await asyncio.to_thread(answer, ARN, tmp_path)
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    code, said, _ = asyncio.run(story())
    assert code == 0
    assert json.loads(said)["taskArn"] == ARN


def test_a_journal_that_cannot_be_read_is_no_reason_to_be_silent(tmp_path: Path) -> None:
    ((code, said, _),) = ask(tmp_path, ARN, outbox=Outbox(OSError("no disk")))
    assert code == 0
    assert json.loads(said)["reportsWaiting"] is None


def test_the_agent_lives_on_where_no_socket_can_be_opened(tmp_path: Path) -> None:
    server = OperatorServer(tmp_path / "nowhere", Sources(Engine(), Chronicle(), Outbox(), Pulls(), Vault()))
    with capture_logs() as logs:
        asyncio.run(server.run())
    assert [line["event"] for line in logs] == ["operator_socket_not_opened"]


@pytest.mark.parametrize("named", ["named", ""])
def test_where_no_agent_answers_it_is_said_where_it_was_asked_for(
    tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECS_DATADIR", str(tmp_path / "configured"))
    code = explain.main("0123", tmp_path / named if named else None, as_json=False)
    shown = capsys.readouterr()
    assert code == 1
    assert shown.out == ""
    assert str(tmp_path / (named or "configured") / SOCKET) in shown.err
    assert "--data-dir" in shown.err
