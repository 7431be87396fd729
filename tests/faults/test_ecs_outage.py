"""The ECS API refuses connections, fails, throttles, is silent, or loses its answers, while tasks live on.

Promised: containers run on, exits are noticed, the restart policy works; reports wait on the disk, few of them in
memory, and leave in order as soon as ECS answers anything: within 5 s of the first success, and within 36 s (30 s and a
fifth more by chance) of its return.
"""

import asyncio
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from agent.aws.ecs_client import EcsClient, EcsSettings, TaskReports
from agent.docker import labels
from agent.model.decision import Decision
from agent.model.identity import Identity
from agent.model.reports import TaskReport, Verdict
from agent.reporter import backlog, next_call
from agent.reporter.loop import Reporter
from agent.reporter.pause import JITTER, LONGEST
from agent.store.journal_driver import FILE_NAME, Journal
from agent.wire import ecs
from tests.aws.peers import FixedKeys
from tests.faults.front import Front, Weather, a_house_behind_a_front
from tests.faults.ledger import Fate, Ledger
from tests.reporter.made_up import RUNNING, STOPPED, a_report, container
from tests.reporter.scene import Scene, a_reporter
from tests.sample_image import SAMPLE
from tests.stories.house import House, free_port, of_agent, until
from tests.stories.raw import a_raw_agent
from tests.stories.test_one_task import sh

FIRST_SUCCESS, RETURN = 5.0, 36.0
DAY = 86_400.0
HOUR = 3_600.0
TASKS_AN_HOUR = 20


@pytest.mark.docker
@pytest.mark.usefixtures("sample_image")
def test_tasks_live_through_every_weather_and_ecs_hears_of_it_in_order(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """One house, one weather after the other; in each a task ends, and another has nothing to do with it."""
    with a_house_behind_a_front(tmp_path) as (house, front):
        definition = house.define("app", sh("app", "exec sleep 600"))
        stays = house.run(definition)
        house.until_status(stays, "RUNNING")
        before = started_at(house, stays)
        for weather in (Weather.REFUSES, Weather.FAILS, Weather.THROTTLES, Weather.LOSES):
            ends = house.run(definition)
            house.until_status(ends, "RUNNING")
            until(lambda: unsent(house.agent_data) == 0, "the outbox to be empty")
            front.weather = weather
            kill(house, ends)
            until(lambda: unsent(house.agent_data) == 1, f"a report to wait on the disk: ECS {weather}")
            if weather is not Weather.REFUSES:
                until(lambda: front.has_met(weather), f"a call: ECS {weather}")  # noqa: B023 -- asked at once
            took, since_success = clears_up(house, front, ends)
            record_property(
                f"ECS {weather}", f"told {took:.2f} s after its return, {since_success:.2f} s after a success"
            )
            assert since_success <= FIRST_SUCCESS, f"ECS {weather}: told {since_success:.2f} s after the first success"
            assert took <= RETURN, f"ECS {weather}: told {took:.2f} s after its return"
            assert started_at(house, stays) == before, "a task that has nothing to do with it runs on"
        until(lambda: unsent(house.agent_data) == 0, "the outbox to be empty")
        front.ledger.check()


@pytest.mark.docker
@pytest.mark.usefixtures("sample_image")
def test_a_call_that_hangs_from_before_is_made_anew_once_ecs_answers_another(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with a_house_behind_a_front(tmp_path) as (house, front):
        definition = house.define("app", sh("app", "exec sleep 600"))
        tasks = [house.run(definition) for _ in range(2)]
        for task in tasks:
            house.until_status(task, "RUNNING")
        front.weather = Weather.SILENT
        kill(house, tasks[0])
        until(lambda: front.has_met(Weather.SILENT), "a call that hangs")
        _, since_success = clears_up(house, front, tasks[0], lambda: kill(house, tasks[1]))
        record_property("seconds from the first success", round(since_success, 2))
        assert since_success <= FIRST_SUCCESS, f"told {since_success:.2f} s after the first success"
        front.ledger.check()


@pytest.mark.docker
@pytest.mark.usefixtures("sample_image")
def test_the_restart_policy_works_and_no_restart_waits_to_be_told_while_ecs_is_away(
    tmp_path: Path, owner: Identity
) -> None:
    """The shortest attempt period is a minute in ECS; here it is a second, 1:60."""

    async def story() -> None:
        nowhere = EcsSettings("us-east-1", "test", f"http://127.0.0.1:{free_port()}")
        async with (
            a_raw_agent(owner, tmp_path) as agent,
            EcsClient.open(nowhere, FixedKeys()) as client,
            asyncio.TaskGroup() as jobs,
        ):
            reporter = Reporter(agent.journal, TaskReports(client, "demo"), agent.runner)
            telling = jobs.create_task(reporter.run())
            policy = {"enabled": True, "restartAttemptPeriod": 1}
            app = {"name": "app", "image": SAMPLE, "essential": True, "memory": 32, "restartPolicy": policy}
            task = await agent.hear(containers=[app | {"command": ["sh", "-c", "sleep 1.1; exit 3"]}])
            await agent.until(task, lambda: agent.engine.tasks[task]["app"].restarts >= 2)
            assert [row.report.status for row in await agent.journal.unsent()] == [RUNNING]
            telling.cancel()

    asyncio.run(story())


def test_a_day_without_ecs_costs_little_and_ends_within_half_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """86,400 seconds of a clock in the test's hand, 20 tasks an hour. Scaled: rows at hand 1:20, calls at once 1:5."""
    monkeypatch.setattr(backlog, "ROWS_AT_HAND", 50)
    monkeypatch.setattr(next_call, "CALLS_AT_ONCE", 2)

    class Away(Scene):
        """ECS, which comes back after a day."""

        ledger = Ledger()
        back = Scene().now + DAY
        committed = 0
        calls = 0
        most = 0

        async def submit(self, report: TaskReport) -> Verdict:
            await self.live()
            is_back = self.now >= self.back
            self.verdicts = [Verdict.SETTLED if is_back else Verdict.LATER]
            self.calls += not is_back
            if not is_back:
                return await super().submit(report)
            entry = self.ledger.open(msgspec.json.encode(ecs.to_state_change(report, "demo")))
            self.came_back = min(self.came_back, self.now)
            verdict = await super().submit(report)
            self.ledger.end(entry, Fate.TAKEN)
            return verdict

        came_back = float("inf")

        async def live(self) -> None:
            """Tasks begin and end, whatever ECS does."""
            self.most = max(self.most, reporters[0]._backlog.rows)
            hours = int(min(self.now - (self.back - DAY), DAY) / HOUR)
            while self.committed < hours:
                names = [f"{self.committed}-{number}" for number in range(TASKS_AN_HOUR)]
                self.committed += 1
                await journals[0].commit(Decision(reports=tuple(one for name in names for one in life(name))))

    reporters: list[Reporter] = []
    journals: list[Journal] = []

    async def main() -> Away:
        scene = Away()
        scene.hurries = True
        async with Journal.open(tmp_path / "agent.db") as journal:
            journals.append(journal)
            await journal.commit(Decision(reports=life("first")))
            async with a_reporter(journal, scene) as reporter:
                reporters.append(reporter)
                async with asyncio.timeout(60):
                    while scene.now < scene.back or await journal.unsent(0, 1):
                        scene._stir.clear()
                        await scene._stir.wait()
        return scene

    scene = asyncio.run(main())
    scene.ledger.check()
    tasks = 24 * TASKS_AN_HOUR + 1
    late = scene.came_back - scene.back
    record_property("seconds from the return to the first report", round(late, 1))
    record_property("calls in a day", scene.calls)
    record_property("rows in memory at most", scene.most)
    assert sum(entry.body["status"] == "STOPPED" for entry in scene.ledger.entries) == tasks
    assert late <= LONGEST, f"{late:.1f} s"
    assert scene.most <= 50 + 2 * TASKS_AN_HOUR + 2 * 50
    assert scene.calls <= 1.1 * 2 * DAY / (LONGEST / (1 + JITTER)), f"{scene.calls} calls in a day"
    size = (tmp_path / "agent.db").stat().st_size
    assert size <= 4096 * tasks, f"{size} bytes for {tasks} tasks"


def life(name: str) -> tuple[TaskReport, TaskReport]:
    return (
        a_report(name, RUNNING, container("app", RUNNING)),
        a_report(name, STOPPED, container("app", STOPPED, exit_code=0)),
    )


def clears_up(
    house: House, front: Front, ends: str, and_then: Callable[[], None] = lambda: None
) -> tuple[float, float]:
    """Seconds until nothing waits any more: from the return of ECS, and from its first answer with success."""
    back = time.monotonic()
    front.weather = Weather.CLEAR
    and_then()
    until(lambda: unsent(house.agent_data) == 0, "the report to be told", patience=RETURN + 5)
    told = time.monotonic()
    assert house.task(ends)["lastStatus"] == "STOPPED"
    return told - back, told - next(at for at in front.successes if at >= back)


def kill(house: House, task: str) -> None:
    subprocess.run(["docker", "kill", container_of(house, task)], check=True, capture_output=True)


def container_of(house: House, task: str) -> str:
    """The id of the one container of *task* that runs."""
    listing = of_agent(house, "ps", "-q", "--no-trunc", "--filter", f"label={labels.TASK}={task}")
    (found,) = listing
    return found


def started_at(house: House, task: str) -> str:
    what = ["docker", "inspect", "-f", "{{.State.StartedAt}}", container_of(house, task)]
    return subprocess.run(what, check=True, capture_output=True, text=True).stdout


def unsent(agent_data: Path) -> int:
    """How many reports wait on the disk."""
    with closing(sqlite3.connect(agent_data / FILE_NAME)) as file:
        found: int = file.execute("SELECT count(*) FROM outbox").fetchone()[0]
    return found
