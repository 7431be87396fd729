"""Whatever happens: rows, answers, lost answers, crashes and pauses in any order."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from agent.model.names import TaskArn
from agent.model.reports import TaskReport, Verdict
from agent.model.saved import OutboxRow
from agent.model.status import Status
from agent.reporter.backlog import Backlog
from agent.reporter.next_call import CALLS_AT_ONCE, Call
from tests.reporter.made_up import RUNNING, STOPPED, a_report, arn, aside, container, moved

NAMES = [f"task-{number}" for number in range(14)]
TASKS = st.sampled_from(NAMES[:2]) | st.sampled_from(NAMES)
"""Most rows are about few tasks, so that their queues grow; some are about many, so that calls compete."""


class Telling(RuleBasedStateMachine):
    """A disk that survives, a backlog that does not, and an ECS that notes what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.disk: dict[int, OutboxRow] = {}
        self.rows = 0
        self.known: dict[TaskArn, Status] = {}
        self.backlog = Backlog()
        self.now = 1000.0
        self.flying: list[Call] = []
        self.said: dict[int, TaskReport] = {}
        self.heard: dict[int, int] = {}
        self.settled: set[int] = set()

    @rule(name=TASKS, step=st.sampled_from(["aside", "moves"]))
    def decide(self, name: str, step: str) -> None:
        known = self.known.get(arn(name), Status.NONE)
        moves = step == "moves" and known is not STOPPED
        if moves:
            known = self.known[arn(name)] = STOPPED if known is RUNNING else RUNNING
        self.rows += 1
        marked = container("web", known, reason=f"row {self.rows}")
        self.disk[self.rows] = OutboxRow(self.rows, a_report(name, known, marked, moved=moves))

    @rule()
    def read(self) -> None:
        self.backlog.add([row for number, row in self.disk.items() if number > self.backlog.last_read], self.now)

    @rule(cut=st.sampled_from(["", "", "", "before the rows are frozen", "before the call"]))
    def send(self, cut: str) -> None:
        for call in self.backlog.start(self.now).calls:
            if cut == "before the rows are frozen":
                return self.crash()
            if not call.frozen:
                for number in call.rows:
                    self.disk[number] = replace(self.disk[number], call=call.number)
            if cut:
                return self.crash()
            if not call.frozen:
                self.backlog.freeze(call)
            self.flying.append(call)
            self.hear(call)
        return None

    def hear(self, call: Call) -> None:
        task = call.report.task
        unsettled = [number for number, row in self.disk.items() if row.report.task == task]
        assert list(call.rows) == unsettled[: len(call.rows)], "out of order"
        assert sum(self.disk[number].report.moved for number in call.rows) <= 1, "two states in one call"
        assert [c.reason for c in call.report.containers] == [f"row {number}" for number in call.rows]
        assert call.report == self.said.setdefault(call.number, call.report), "a repetition says something else"
        for number in call.rows:
            assert self.heard.setdefault(number, call.number) == call.number, "a row is told in two calls"

    @rule(draw=st.data(), verdict=st.sampled_from(Verdict))
    def answer(self, draw: st.DataObject, verdict: Verdict) -> None:
        if self.flying:
            call = self.flying.pop(draw.draw(st.integers(0, len(self.flying) - 1)))
            self.obey(call, verdict)

    def obey(self, call: Call, verdict: Verdict) -> None:
        if verdict in (Verdict.SETTLED, Verdict.REFUSED):
            for number in call.rows:
                del self.disk[number]
            self.settled.update(call.rows)
            self.backlog.settle(call)
        elif verdict is Verdict.HELD:
            self.backlog.hold(call.report.task, self.now, 0.5)
        else:
            self.backlog.pause(call.report.task, self.now, 0.5, self.now)
        self.backlog.end(call)

    @rule()
    def crash(self) -> None:
        self.backlog = Backlog()
        self.flying = []

    @rule()
    def flush(self) -> None:
        self.backlog.resume()

    @rule(seconds=st.sampled_from([0.05, 0.1, 1.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def calls_keep_to_their_limits(self) -> None:
        assert len(self.flying) <= CALLS_AT_ONCE
        assert len({call.report.task for call in self.flying}) == len(self.flying)

    def teardown(self) -> None:
        """In the end ECS takes everything: each row is heard, and nothing is left."""
        for _ in range(2 * self.rows + 1):
            self.read()
            self.send("")
            while self.flying:
                self.obey(self.flying.pop(), Verdict.SETTLED)
            self.wait(31.0)
        assert self.disk == {}
        assert self.settled == set(self.heard) == set(range(1, self.rows + 1))


def test_each_report_is_told_at_least_once_in_order_and_in_identical_calls() -> None:
    run_state_machine_as_test(Telling, settings=settings(max_examples=150, stateful_step_count=50, deadline=None))


def test_a_call_that_failed_takes_nothing_more_along() -> None:
    backlog = Backlog()
    backlog.add([aside(1, "a", RUNNING)], 100.0)
    (first,) = backlog.start(101.0).calls
    backlog.freeze(first)
    backlog.hold(arn("a"), 101.0, 0.0)
    backlog.end(first)

    backlog.add([aside(2, "a", RUNNING), moved(3, "a", STOPPED)], 101.0)
    (second,) = backlog.start(102.0).calls

    assert (second.number, second.rows, second.report) == (first.number, first.rows, first.report)
    assert second.frozen


def test_a_task_that_was_held_back_and_then_settled_is_held_back_briefly_the_next_time() -> None:
    backlog = Backlog()
    backlog.add([moved(1, "a", RUNNING), moved(2, "a", STOPPED)], 100.0)
    for now in (100.0, 110.0, 120.0):
        (call,) = backlog.start(now).calls
        backlog.hold(arn("a"), now, 0.0)
        backlog.end(call)
    (call,) = backlog.start(130.0).calls
    backlog.settle(call)
    backlog.hold(arn("a"), 130.0, 0.0)
    backlog.end(call)

    assert backlog.start(130.0).wake_at == 131.0


def test_a_pause_ended_by_another_tasks_success_leaves_the_stumbling_task_its_second() -> None:
    backlog = Backlog()
    backlog.add([moved(1, "a", RUNNING), moved(2, "b", RUNNING)], 100.0)
    stumbling, fine = backlog.start(100.0).calls

    backlog.pause(stumbling.report.task, 100.0, 0.0, 100.0)
    backlog.end(stumbling)
    backlog.resume()
    backlog.settle(fine)
    backlog.end(fine)

    assert backlog.start(100.5).wake_at == 101.0
    assert [call.rows for call in backlog.start(101.0).calls] == [(1,)]


def test_calls_that_fail_together_are_one_failure() -> None:
    backlog = Backlog()
    backlog.add([moved(number, f"{number}", RUNNING) for number in range(1, 6)], 100.0)

    for call in backlog.start(100.0).calls:
        backlog.pause(call.report.task, 100.0, 0.0, 100.0)
        backlog.end(call)

    assert backlog.start(100.0).wake_at == 101.0


def test_a_pause_that_was_ended_begins_small_again() -> None:
    backlog = Backlog()
    backlog.add([moved(1, "a", RUNNING)], 0.0)
    for now in (0.0, 10.0, 20.0):
        backlog.pause(arn("a"), now, 0.0, now)
    assert backlog.start(20.0).wake_at == 20.0 + 1.69

    backlog.resume()
    backlog.pause(arn("a"), 30.0, 0.0, 30.0)

    assert backlog.start(30.0).wake_at == 31.0


def test_a_call_that_was_not_answered_has_waited_already() -> None:
    """So that ECS is asked every 36 s at least, however long it lets calls hang."""
    backlog = Backlog()
    backlog.add([moved(1, "a", RUNNING)], 0.0)
    began = 0.0
    for _ in range(30):
        (call,) = backlog.start(began).calls
        ended = began + 30.0
        backlog.end(call)
        backlog.pause(arn("a"), ended, 1.0, began)
        plan = backlog.start(ended)
        assert not plan.calls
        assert plan.wake_at is not None
        assert plan.wake_at - began <= 36.0
        began = plan.wake_at
