from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from agent.model.names import TaskArn
from agent.model.reports import ContainerReport
from agent.model.saved import OutboxRow
from agent.model.status import Status
from agent.reporter.next_call import CALLS_AT_ONCE, RIDE_WITHIN, ROWS_PER_CALL, Call, Plan, Waiting, merged, next_calls
from tests.reporter.made_up import RUNNING, STOPPED, T0, a_report, arn, aside, container, moved

READ_AT = 50.0


def plan(
    *rows: OutboxRow,
    now: float = READ_AT,
    busy: frozenset[TaskArn] = frozenset(),
    held: Mapping[TaskArn, float] | None = None,
    paused_until: float = 0.0,
) -> Plan:
    queues: dict[TaskArn, list[Waiting]] = {}
    for row in rows:
        queues.setdefault(row.report.subject, []).append(Waiting(row, READ_AT))
    return next_calls(queues, now, busy, held or {}, paused_until)


def only(found: Plan) -> Call:
    (call,) = found.calls
    return call


def test_nothing_waits_for_nothing() -> None:
    assert plan() == Plan((), None)


def test_a_change_of_the_task_leaves_at_once() -> None:
    row = moved(7, "a", RUNNING)

    assert plan(row) == Plan((Call(number=7, rows=(7,), report=row.report, frozen=True),), None)


def test_what_others_may_still_join_is_not_frozen_by_itself() -> None:
    late = next_calls({arn("a"): [Waiting(aside(1, "a", RUNNING), READ_AT)]}, READ_AT + 0.1, frozenset(), {})
    assert not only(late).frozen


def test_running_and_stopped_are_never_told_in_one_call() -> None:
    assert only(plan(moved(1, "a", RUNNING), moved(2, "a", STOPPED))).rows == (1,)
    assert only(plan(aside(1, "a", RUNNING), moved(2, "a", RUNNING), moved(3, "a", STOPPED))).rows == (1, 2)


def test_changes_of_containers_ride_with_the_next_change_of_their_task() -> None:
    web, log, late = container("web", RUNNING), container("log", STOPPED, exit_code=1), container("web", STOPPED)

    call = only(plan(aside(1, "a", RUNNING, web), aside(2, "a", RUNNING, log), moved(4, "a", STOPPED, late)))

    assert (call.number, call.rows, call.frozen) == (4, (1, 2, 4), False)
    assert call.report == a_report("a", STOPPED, web, log, late)


def test_changes_of_containers_with_nothing_to_ride_with_leave_after_a_tenth_of_a_second() -> None:
    row = aside(1, "a", RUNNING, container("web", STOPPED))

    assert plan(row) == Plan((), READ_AT + RIDE_WITHIN)
    assert only(plan(row, now=READ_AT + RIDE_WITHIN)).report == row.report


def test_the_tenth_of_a_second_counts_from_the_first_change() -> None:
    queue = [Waiting(aside(1, "a", RUNNING), READ_AT), Waiting(aside(2, "a", RUNNING), READ_AT + 0.09)]

    assert only(next_calls({arn("a"): queue}, READ_AT + 0.1, frozenset(), {})).rows == (1, 2)


def test_a_call_of_many_changes_of_containers_is_kept_small_and_leaves_at_once() -> None:
    rows = [aside(number, "a", RUNNING) for number in range(1, ROWS_PER_CALL + 1)]

    assert plan(*rows[:-1]).calls == ()
    assert only(plan(*rows, moved(ROWS_PER_CALL + 1, "a", STOPPED))).rows == tuple(range(1, ROWS_PER_CALL + 1))


def test_a_frozen_call_goes_out_as_it_was_whatever_came_after() -> None:
    frozen = aside(1, "a", RUNNING, call=2), aside(2, "a", RUNNING, call=2)

    call = only(plan(*frozen, moved(3, "a", STOPPED)))

    assert (call.number, call.rows, call.frozen) == (2, (1, 2), True)
    assert call.report == merged([row.report for row in frozen])


def test_a_frozen_call_does_not_wait_for_company() -> None:
    assert only(plan(aside(1, "a", RUNNING, call=1))).rows == (1,)


def test_two_frozen_calls_of_a_task_leave_one_after_the_other() -> None:
    assert only(plan(moved(1, "a", RUNNING, call=1), moved(2, "a", STOPPED, call=2))).rows == (1,)


def test_a_task_with_a_call_in_flight_has_no_second_one() -> None:
    assert plan(moved(2, "a", STOPPED), busy=frozenset({arn("a")})) == Plan((), None)


def test_ten_calls_leave_at_once_the_oldest_first() -> None:
    rows = [moved(number, f"task-{number}", RUNNING) for number in range(30, 0, -1)]

    found = plan(*rows, busy=frozenset({arn("x"), arn("y")}))

    assert [call.number for call in found.calls] == list(range(1, CALLS_AT_ONCE - 1))


def test_with_ten_calls_in_flight_nothing_leaves() -> None:
    busy = frozenset(arn(str(number)) for number in range(CALLS_AT_ONCE))

    assert plan(moved(1, "a", RUNNING), aside(2, "b", RUNNING), busy=busy) == Plan((), None)


def test_a_task_that_is_held_back_holds_back_no_other() -> None:
    found = plan(moved(1, "a", RUNNING), moved(2, "b", RUNNING), held={arn("a"): READ_AT + 5})

    assert only(found).rows == (2,)
    assert found.wake_at == READ_AT + 5
    assert len(plan(moved(1, "a", RUNNING), now=READ_AT + 5, held={arn("a"): READ_AT + 5}).calls) == 1


def test_a_pause_holds_back_everything() -> None:
    assert plan(moved(1, "a", RUNNING), aside(2, "b", RUNNING), paused_until=READ_AT + 9) == Plan((), READ_AT + 9)


def test_the_state_of_containers_alone_is_their_tasks() -> None:
    assert merged([a_report("a", Status.NONE, moved=False), a_report("a", RUNNING, moved=False)]).status is RUNNING


def test_a_container_that_went_on_is_named_twice_and_a_mere_repetition_once() -> None:
    up, down = container("web", RUNNING), container("web", STOPPED, exit_code=1)
    reports = [a_report("a", RUNNING, one, moved=False) for one in (up, up, down, up, down)]

    assert merged(reports).containers == (up, down, up, down)


def test_a_container_that_says_more_of_the_same_state_is_told_again() -> None:
    bare, full = container("web", RUNNING), container("web", RUNNING, image_digest="sha256:9f")

    assert merged([a_report("a", RUNNING, bare), a_report("a", RUNNING, full)]).containers == (bare, full)


def test_repetitions_are_judged_for_each_container_by_itself() -> None:
    web, log = container("web", RUNNING), ContainerReport("log", RUNNING)

    assert merged([a_report("a", RUNNING, web, log), a_report("a", RUNNING, web, log)]).containers == (web, log)


def test_times_that_an_earlier_row_knew_are_not_lost() -> None:
    first = replace(a_report("a", RUNNING, moved=False), pull_started_at=T0, pull_stopped_at=T0)
    later = replace(a_report("a", STOPPED), pull_stopped_at=T0 + timedelta(seconds=1), execution_stopped_at=T0)

    found = merged([first, later])

    assert (found.pull_started_at, found.pull_stopped_at) == (T0, T0 + timedelta(seconds=1))
    assert (found.status, found.moved, found.execution_stopped_at) == (STOPPED, True, T0)
