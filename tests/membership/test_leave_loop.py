"""The end of an agent's life: drained or not, it is over in time."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from agent.config.settings import Settings
from agent.membership import leave_loop
from agent.membership.leave_loop import DRAINER, Leaving, Rooms
from agent.model.errors import TryAgain
from agent.model.events import Event, OperatorStop
from agent.model.identity import Identity
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import Task, TaskSpec

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Identity("agent", "demo", "arn:instance")
AWAY = TryAgain("nobody answers")
ALONE, SERVED = TaskArn("arn:task/alone"), TaskArn("arn:task/served")


def a_task(arn: TaskArn, service: str = "") -> Task:
    return Task(TaskSpec(arn, "web", "1", (), service=service), (), T0, known=Status.RUNNING)


@dataclass
class House:
    """A machine with a standalone task and one of a service, and an ECS that answers as it is told."""

    identity: Identity = HERE
    was: str | TryAgain = "ACTIVE"
    answers: deque[str | Exception] = field(default_factory=lambda: deque([""]))
    stuck: frozenset[TaskArn] = frozenset()
    refused: bool = False
    unsent: bool = False
    rows: dict[TaskArn, Task] = field(default_factory=lambda: {ALONE: a_task(ALONE), SERVED: a_task(SERVED, "shop")})
    calls: list[str] = field(default_factory=list)
    marks: list[bool] = field(default_factory=list)
    stops: list[OperatorStop] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    silent: bool = False

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        return self.rows

    @property
    def is_refused(self) -> bool:
        return self.refused

    def end(self, arn: TaskArn) -> None:
        if arn not in self.stuck:
            self.rows[arn] = replace(self.rows[arn], known=Status.STOPPED, wanted=Status.STOPPED, settled=True)

    async def status(self, identity: Identity) -> str:
        if isinstance(self.was, TryAgain):
            raise self.was
        return self.was

    async def mark(self, identity: Identity, *, drained: bool) -> None:
        self.marks.append(drained)

    async def set_state(self, cluster: str, instance_arn: str, status: str) -> str:
        self.calls.append(status)
        if self.silent:
            await asyncio.Event().wait()
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if status == "DRAINING":
            self.end(SERVED)  # what a service scheduler does about it
        return answer

    async def submit(self, *events: Event) -> None:
        return

    def post(self, *events: Event) -> None:
        for event in events:
            assert isinstance(event, OperatorStop)
            self.stops.append(event)
            self.end(event.task)

    def flush(self) -> None:
        self.calls.append("flush")

    async def is_done(self) -> bool:
        return not self.unsent

    def leaving(self, mode: str = "all", timeout: float = 0.3) -> Leaving:
        leaving = Leaving(
            Settings(drain_on_stop=mode, drain_timeout=timedelta(seconds=timeout)),
            lambda left, _patience: self.told.append(left),
            lambda: T0,
        )
        leaving.rooms = Rooms(self, self, self, self, self, self)
        return leaving


def run(leaving: Leaving) -> list[str]:
    """The events that were logged."""
    with capture_logs() as lines:
        asyncio.run(leaving.leave())
    return [line["event"] for line in lines]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAST_REPORTS_WITHIN", "ASKED_WITHIN", "KNOWN_WITHIN", "TRY_AGAIN", "SAY_EVERY", "TURN"):
        monkeypatch.setattr(leave_loop, name, getattr(leave_loop, name) / 50)


def test_off_drains_nothing_and_sends_the_last_reports() -> None:
    house = House()
    assert run(house.leaving("off")) == []
    assert (house.calls, house.stops) == (["flush"], [])


def test_before_the_house_lives_there_is_nothing_to_leave() -> None:
    assert run(Leaving(Settings(drain_on_stop="all"))) == []


def test_services_are_ended_by_ecs_and_standalone_tasks_stay() -> None:
    house = House()
    assert run(house.leaving("services")) == ["drain_began", "instance_draining", "drained"]
    assert (house.calls, house.stops, house.marks) == (["DRAINING", "flush"], [], [True])
    assert house.rows[ALONE].known is Status.RUNNING


def test_all_ends_standalone_tasks_with_their_grace_once_the_instance_is_draining() -> None:
    house = House()
    run(house.leaving("all"))
    assert house.calls == ["DRAINING", "flush"]
    assert house.stops == [OperatorStop(ALONE, False, DRAINER, T0, "drain")]  # noqa: FBT003


def test_a_task_that_does_not_end_in_time_is_left_running_and_named() -> None:
    house = House(stuck=frozenset({ALONE}))
    with capture_logs() as lines:
        asyncio.run(house.leaving("all").leave())
    (left,) = (line for line in lines if line["event"] == "drain_ended_early")
    assert left["left_running"] == ["alone"]
    assert len(house.stops) == 1
    assert house.told[0] == 2
    assert len(house.told) > 2, "systemd hears of it again and again"


def test_a_task_whose_end_ecs_has_not_heard_of_is_waited_for() -> None:
    house = House()
    house.rows = {SERVED: replace(a_task(SERVED, "shop"), known=Status.STOPPED, wanted=Status.STOPPED)}
    house.stuck = frozenset({SERVED})
    assert "drain_ended_early" in run(house.leaving("services"))


def test_what_breaks_the_drain_is_told_and_the_last_reports_leave_all_the_same() -> None:
    house = House(answers=deque([KeyError("a bug")]))
    with capture_logs() as lines:
        asyncio.run(house.leaving("services").leave())
    (broken,) = (line for line in lines if line["event"] == "drain_broke")
    assert isinstance(broken["exc_info"], KeyError)
    assert house.calls == ["DRAINING", "flush"]


def test_an_instance_that_somebody_has_drained_before_is_not_ours_to_have_back() -> None:
    house = House(was="DRAINING")
    house.end(SERVED)
    run(house.leaving("services"))
    assert (house.calls, house.marks) == (["flush"], [])


def test_where_nobody_says_how_it_is_it_is_drained_and_remembered_first() -> None:
    house = House(was=AWAY)
    run(house.leaving("services"))
    assert (house.calls, house.marks) == (["DRAINING", "flush"], [True])


def test_ecs_that_is_away_for_a_moment_is_asked_again() -> None:
    house = House(answers=deque([AWAY, AWAY, ""]))
    run(house.leaving("services"))
    assert house.calls == ["DRAINING", "DRAINING", "DRAINING", "flush"]


@pytest.mark.parametrize("silent", [True, False])
def test_ecs_that_stays_away_keeps_nobody_from_leaving(*, silent: bool) -> None:
    house = House(answers=deque([AWAY]), silent=silent, unsent=True)
    seen = run(house.leaving("all"))
    assert "drain_ended_early" in seen, "the service's task is left to ECS"
    assert [stop.task for stop in house.stops] == [ALONE]
    assert seen[-1] == "last_reports_not_sent"


def test_a_refusal_is_said_and_forgotten() -> None:
    house = House(answers=deque(["INACTIVE"]))
    assert "instance_not_drained" in run(house.leaving("services"))
    assert house.marks == [True, False]


def test_reports_that_ecs_does_not_take_are_not_waited_for() -> None:
    house = House(unsent=True, refused=True)
    assert run(house.leaving("off")) == []


def test_an_instance_that_this_agent_drained_is_active_again_at_the_next_start() -> None:
    house = House(identity=replace(HERE, drained=True), answers=deque([AWAY, ""]))
    asyncio.run(house.leaving().come_back())
    assert (house.calls, house.marks, house.identity.drained) == (["ACTIVE", "ACTIVE"], [False], False)


def test_nobody_elses_drain_is_undone() -> None:
    house = House()
    asyncio.run(house.leaving().come_back())
    assert house.calls == []


def test_an_instance_that_was_registered_anew_meanwhile_is_not_taken_back_for_the_old_one() -> None:
    house = House(replace(HERE, drained=True))

    async def renewed(_cluster: str, _instance_arn: str, _status: str) -> str:
        house.identity = replace(house.identity, instance_arn="arn:new")
        return "there is no such instance"

    house.set_state = renewed  # type: ignore[assignment, method-assign]
    leaving = house.leaving()
    asyncio.run(leaving.come_back())

    assert house.identity == replace(HERE, instance_arn="arn:new")
