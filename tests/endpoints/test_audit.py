from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from agent.endpoints.audit import Audit, without_id
from agent.endpoints.calls import Asked, Caller, Known
from agent.endpoints.refusals import MOST, Refusals
from agent.model.identity import Identity
from agent.model.names import TaskArn
from tests.endpoints.test_credentials_desk import Lines

NOON = datetime(2026, 1, 15, 12, 0, 0, 999_999, tzinfo=UTC)


def a_line(path: str = "/x", agent: str | None = "curl", *, granted: bool = False, instance: str = "") -> str:
    log = Lines()
    audit = Audit(log, lambda: Identity("a", "", instance), lambda: NOON)
    asked = Asked("GET", path, "10.0.0.1:5", headers={} if agent is None else {"user-agent": agent})
    if granted:
        audit.granted(asked, TaskArn("arn:t"), "GetCredentials")
    else:
        audit.limited(asked)
    return log.lines[0]


def test_a_request_beyond_the_limit_is_noted_as_one_of_nobody() -> None:
    assert a_line("/v2/credentials/SECRET") == '2026-01-15T12:00:00Z 429 10.0.0.1:5 "/v2/credentials" "curl" - '


def test_what_is_not_known_is_a_dash_but_for_the_program_that_asks() -> None:
    assert a_line(agent=None, granted=True) == '2026-01-15T12:00:00Z 200 10.0.0.1:5 "/x" "" arn:t GetCredentials 2 - -'


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v3/SECRET/task", "/v3"),
        ("/v4/SECRET", "/v4"),
        ("/api/SECRET/task-protection/v1/state", "/api"),
        ("/v2/metadata/SECRET", "/v2/metadata"),
        ("/v2/metadata", "/v2/metadata"),
        ("/v1/credentials", "/v1/credentials"),
        ("/elsewhere", "/elsewhere"),
    ],
)
def test_no_id_is_noted(path: str, shown: str) -> None:
    assert without_id(path) == shown


def test_whatever_a_program_calls_itself_it_is_one_line_and_one_field() -> None:
    line = a_line(agent='a "b"\n2026 200\\\x1b[31m' + "x" * 5000)

    assert line.count("\n") == 0
    assert line.isprintable()
    assert line.split('"x', 1)[0].startswith('2026-01-15T12:00:00Z 429 10.0.0.1:5 "/x" "a \\"b\\"')
    assert len(line) < 400


def test_a_refusal_is_said_once_a_minute_for_each_task_and_with_no_id() -> None:
    now = [NOON]
    refusals = Refusals(lambda: now[0])
    a, b = (Caller(Known.ADDRESS, TaskArn(one), "web") for one in "ab")
    with capture_logs() as told:
        for caller in (a, a, b, a):
            refusals.tell(caller, "credentials")
        now[0] += timedelta(minutes=1)
        refusals.tell(a, "credentials")

    assert [(one["asked_by"], one["not_said"]) for one in told] == [("a", 0), ("b", 0), ("a", 2)]


def test_refusals_to_ever_new_callers_take_no_more_room() -> None:
    refusals = Refusals(lambda: NOON)
    for number in range(MOST + 50):
        for _ in range(2):
            refusals.tell(Caller(Known.ADDRESS, TaskArn(str(number)), "web"), "credentials")

    assert len(refusals._said) == MOST
    assert len(refusals._more) <= MOST
