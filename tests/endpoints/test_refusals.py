from datetime import timedelta

from structlog.testing import capture_logs

from agent.endpoints.calls import Caller, Known
from agent.endpoints.refusals import MOST, SAID_AGAIN_AFTER, Refusals
from agent.model.names import TaskArn
from tests.engine.rows import T0


def caller(task: str = "arn:task/b") -> Caller:
    return Caller(Known.ADDRESS, TaskArn(task), "web")


def test_a_refusal_is_told_once_a_minute_for_each_task_and_says_how_many_were_not() -> None:
    now = [T0]
    refusals = Refusals(lambda: now[0])

    with capture_logs() as logs:
        for _ in range(3):
            refusals.tell(caller(), "metadata")
        refusals.tell(caller("arn:task/c"), "credentials")
        now[0] += SAID_AGAIN_AFTER
        refusals.tell(caller(), "metadata")

    assert [(one["what"], one["asked_by"], one["not_said"]) for one in logs] == [
        ("metadata", "arn:task/b", 0),
        ("credentials", "arn:task/c", 0),
        ("metadata", "arn:task/b", 2),
    ]


def test_no_more_callers_are_remembered_than_there_is_room_for() -> None:
    now = [T0]
    refusals = Refusals(lambda: now[0])

    with capture_logs() as logs:
        for number in range(MOST + 1):
            refusals.tell(caller(f"arn:task/{number}"), "metadata")
            now[0] += timedelta(milliseconds=1)
        refusals.tell(caller("arn:task/1"), "metadata")
        refusals.tell(caller("arn:task/0"), "metadata")  # the one who had to make room

    assert len(logs) == MOST + 2
