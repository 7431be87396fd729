import json
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acs import session
from agent.acs.heard import Heard
from agent.acs.session import received
from agent.model.events import CredentialsArrived, TaskAssigned, TaskRefused, TaskStopRequested
from agent.model.names import TaskArn
from agent.wire import acs, acs_spec
from tests.wire.acs_samples import ARN, INSTANCE, ROLE, a_task, raw

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
CLUSTER = "arn:aws:ecs:us-west-2:111122223333:cluster/demo"
ACK = acs.AckRequest(CLUSTER, INSTANCE, "p-1")


def frame(kind: str, **message: object) -> str:
    return json.dumps({"type": kind, "message": message})


def payload(*tasks: object, **changes: object) -> str:
    message = {
        "messageId": "p-1",
        "clusterArn": CLUSTER,
        "containerInstanceArn": INSTANCE,
        "tasks": tasks,
        "seqNum": 12,
    }
    return frame("PayloadMessage", **{**message, **changes})


def hear(text: bytes | str) -> Heard:
    draws = count(1)
    return received(text, NOW, lambda: f"draw-{next(draws)}")


def events_of(heard: Heard) -> list[str]:
    return [note.event for note in heard.notes]


def stop(arn: str) -> dict[str, Any]:
    return {"arn": arn, "desiredStatus": "STOPPED"}


def test_a_heartbeat_is_answered_at_once() -> None:
    heard = hear(frame("HeartbeatMessage", messageId="hb-1", healthy=True))

    assert heard == Heard(replies=(acs.HeartbeatAckRequest("hb-1"),))


def test_a_task_is_assigned_and_acknowledged() -> None:
    heard = hear(payload(a_task()))

    assert heard.events == (TaskAssigned(acs_spec.read_spec(raw(a_task())), NOW, "draw-1", "p-1", 12),)
    assert heard.acks == (ACK,)
    assert heard.replies == ()
    assert not heard.wants_a_stop


def test_each_task_has_a_draw_of_its_own() -> None:
    heard = hear(payload(a_task(arn="a"), a_task(arn="b")))

    assert [e.draw for e in heard.events if isinstance(e, TaskAssigned)] == ["draw-1", "draw-2"]


def test_a_stop_needs_no_more_than_the_name_of_the_task() -> None:
    heard = hear(payload(stop(ARN)))

    assert heard.events == (TaskStopRequested(TaskArn(ARN), NOW, "p-1", 12),)
    assert heard.acks == (ACK,)
    assert heard.wants_a_stop


def test_a_stop_is_obeyed_whatever_else_the_task_says() -> None:
    heard = hear(payload(stop(ARN) | {"containers": 7, "volumes": ["x"], "roleCredentials": {"credentialsId": 7}}))

    assert heard.events == (TaskStopRequested(TaskArn(ARN), NOW, "p-1", 12),)
    assert heard.acks == (ACK,)


def test_tasks_to_stop_come_before_tasks_to_run() -> None:
    heard = hear(payload(a_task(arn="a"), stop("b"), a_task(arn="c", volumes=["x"]), stop("d")))

    assert [type(e) for e in heard.events] == [TaskStopRequested, TaskStopRequested, TaskAssigned, TaskRefused]
    assert [e.task for e in heard.events if isinstance(e, TaskStopRequested)] == ["b", "d"]


def test_a_payload_without_a_number_has_number_zero() -> None:
    heard = hear(payload(stop(ARN), seqNum=None))

    assert heard.events == (TaskStopRequested(TaskArn(ARN), NOW, "p-1", 0),)


def test_a_payload_without_tasks_is_acknowledged() -> None:
    assert hear(payload()).acks == (ACK,)
    assert hear(payload(tasks=None)).acks == (ACK,)


@pytest.mark.parametrize("field", ["messageId", "clusterArn", "containerInstanceArn"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_payload_that_lacks_a_name_is_dropped_without_an_answer(field: str, value: str | None) -> None:
    heard = hear(payload(a_task(roleCredentials=ROLE), **{field: value}))

    assert (heard.events, heard.acks, heard.replies, heard.credentials) == ((), (), (), ())
    assert events_of(heard) == ["acs_message_dropped"]
    assert heard.notes[0].fields["error"] == f"{field}: must not be empty"
    assert heard.understood


def test_a_task_that_cannot_be_read_is_refused_in_the_words_that_ecs_knows_and_the_message_not_acknowledged() -> None:
    good, bad = a_task(arn="good", roleCredentials=ROLE), a_task(arn="bad", networkMode="awsvpc")

    heard = hear(payload(bad, good))

    arrived, refused, assigned = heard.events
    assert arrived == CredentialsArrived("b9c1-app", NOW, "p-1")
    assert refused == TaskRefused(
        TaskArn("bad"),
        "UnrecogniedTaskError: Error loading task - networkMode: network mode awsvpc: not supported by this agent yet",
        NOW,
        "p-1",
    )
    assert isinstance(assigned, TaskAssigned)
    assert [c.credentials_id for c in heard.credentials] == ["b9c1-app"]
    assert heard.acks == ()


def test_the_credentials_of_a_refused_task_are_not_kept() -> None:
    assert hear(payload(a_task(roleCredentials=ROLE, networkMode="awsvpc"))).credentials == ()


@pytest.mark.parametrize("task", [None, 7, {}, {"arn": "", "desiredStatus": "STOPPED"}, {"arn": 7}])
def test_a_task_without_a_name_is_only_logged_and_blocks_the_acknowledgement(task: object) -> None:
    heard = hear(payload(task, stop("b")))

    assert heard.events == (TaskStopRequested(TaskArn("b"), NOW, "p-1", 12),)
    assert heard.acks == ()
    assert events_of(heard) == ["acs_payload_received", "acs_task_without_name_dropped"]


def test_a_bug_in_reading_one_task_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = acs_spec.read_spec

    def broken(text: Any) -> Any:  # noqa: ANN401
        if b"bad" in bytes(text):
            raise KeyError("hush-secret")
        return real(text)

    monkeypatch.setattr(acs_spec, "read_spec", broken)

    heard = hear(payload(a_task(arn="bad"), a_task(arn="good")))

    refused, assigned = heard.events
    assert isinstance(assigned, TaskAssigned)
    assert isinstance(refused, TaskRefused)
    assert refused.reason.startswith("UnrecogniedTaskError: Error loading task - the agent failed to read it (KeyError")
    assert "hush" not in refused.reason
    assert heard.acks == ()


def test_roles_are_acknowledged_after_the_payload_and_go_to_the_vault() -> None:
    task = a_task(roleCredentials=ROLE, executionRoleCredentials={"credentialsId": "77aa-exec"})

    heard = hear(payload(task))

    assert heard.acks == (
        ACK,
        acs.IAMRoleCredentialsAckRequest("p-1", "2026-01-15T18:00:00Z", "b9c1-app"),
        acs.IAMRoleCredentialsAckRequest("p-1", None, "77aa-exec"),
    )
    assert [(c.credentials_id, c.role_type) for c in heard.credentials] == [
        ("b9c1-app", "TaskApplication"),
        ("77aa-exec", "TaskExecution"),
    ]
    assert heard.credentials[0].secret_access_key == "hush-secret"


def test_no_secret_is_in_an_event_an_answer_or_a_line_of_the_log() -> None:
    heard = hear(payload(a_task(roleCredentials=ROLE), a_task(arn="bad", roleCredentials=ROLE, links=["x"])))

    assert "hush" not in repr(heard)


def test_fresh_credentials_go_to_the_vault_and_wake_who_waits_for_them() -> None:
    text = frame(
        "IAMRoleCredentialsMessage", messageId="c-9", taskArn=ARN, roleType="TaskExecution", roleCredentials=ROLE
    )

    heard = hear(text)

    assert heard.events == (CredentialsArrived("b9c1-app", NOW, "c-9"),)
    assert [c.role_type for c in heard.credentials] == ["TaskExecution"]
    assert heard.acks == (acs.IAMRoleCredentialsAckRequest("c-9", "2026-01-15T18:00:00Z", "b9c1-app"),)
    assert "hush" not in repr(heard)


@pytest.mark.parametrize("expiration", ["", "next year", None])
def test_the_expiration_is_echoed_verbatim(expiration: str | None) -> None:
    role = {**ROLE, "expiration": expiration}
    text = frame(
        "IAMRoleCredentialsMessage", messageId="c-9", taskArn=ARN, roleType="TaskApplication", roleCredentials=role
    )

    assert hear(text).acks == (acs.IAMRoleCredentialsAckRequest("c-9", expiration, "b9c1-app"),)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"messageId": None}, "messageId: must not be empty"),
        ({"taskArn": ""}, "taskArn: must not be empty"),
        ({"roleType": "Other"}, "roleType: must be TaskApplication or TaskExecution"),
        ({"roleCredentials": None}, "roleCredentials: is missing"),
        ({"roleCredentials": {}}, "roleCredentials.credentialsId: must not be empty"),
    ],
)
def test_credentials_that_lack_a_name_are_dropped_without_an_answer(changes: dict[str, object], error: str) -> None:
    message = {"messageId": "c-9", "taskArn": ARN, "roleType": "TaskApplication", "roleCredentials": ROLE, **changes}

    heard = hear(frame("IAMRoleCredentialsMessage", **message))

    assert (heard.events, heard.acks, heard.credentials) == ((), (), ())
    assert heard.notes[0].fields["error"] == error


@pytest.mark.parametrize("kind", ["StageUpdateMessage", "PerformUpdateMessage"])
@pytest.mark.parametrize("update", [None, {}, {"location": "https://example.test/a.tar", "signature": "ab"}])
def test_an_update_is_refused_in_the_words_that_ecs_knows_and_at_once(kind: str, update: object) -> None:
    heard = hear(frame(kind, messageId="u-1", clusterArn=CLUSTER, containerInstanceArn=INSTANCE, updateInfo=update))

    assert heard.replies == (acs.NackRequest(CLUSTER, INSTANCE, "u-1", "Updates are disabled"),)
    assert (heard.events, heard.acks, heard.understood) == ((), (), True)
    assert events_of(heard) == ["acs_update_refused"]


@pytest.mark.parametrize("kind", ["StageUpdateMessage", "PerformUpdateMessage"])
def test_an_update_without_a_name_is_dropped(kind: str) -> None:
    heard = hear(frame(kind, clusterArn=CLUSTER, containerInstanceArn=INSTANCE))

    assert (heard.events, heard.acks, heard.replies) == ((), (), ())
    assert events_of(heard) == ["acs_message_dropped"]


@pytest.mark.parametrize(
    "text",
    [frame(kind, message="bye") for kind in acs.SAYINGS]
    + ['{"InactiveInstanceException":"gone"}', frame("AckRequest", messageId="x")],
)
def test_a_message_that_asks_for_nothing_counts_as_a_sign_of_life(text: str) -> None:
    heard = hear(text)

    assert (heard.events, heard.acks, heard.replies) == ((), (), ())
    assert events_of(heard) == ["acs_message_noted"]
    assert heard.understood


@pytest.mark.parametrize("text", ["", "{", b"\xff", frame("Novelty"), frame("HeartbeatMessage", messageId=7)])
def test_a_frame_that_cannot_be_read_is_dropped_and_is_no_sign_of_life(text: bytes | str) -> None:
    heard = hear(text)

    assert (heard.events, heard.acks, heard.replies) == ((), (), ())
    assert events_of(heard) == ["acs_frame_dropped"]
    assert not heard.understood


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.just(ARN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from([*acs.SHAPES])
FIELDS = st.sampled_from(
    ["messageId", "clusterArn", "containerInstanceArn", "tasks", "seqNum", "arn", "roleCredentials", "containers",
     "desiredStatus", "message", "roleType", "taskArn", "credentialsId", "dockerConfig", "overrides", "portMappings",
     "waitTimeoutMs", "elasticNetworkInterfaces", "attachment", "updateInfo"]
)  # fmt: skip
MESSAGES = st.dictionaries(FIELDS, JSON, max_size=6)
TASKS = st.lists(st.dictionaries(FIELDS, JSON, max_size=4) | JSON, max_size=3)


@given(st.binary(max_size=64) | st.text(max_size=64))
def test_no_text_whatever_breaks_the_session(text: bytes | str) -> None:
    assert isinstance(hear(text), Heard)


@given(JSON)
def test_no_json_whatever_breaks_the_session(document: object) -> None:
    assert isinstance(hear(json.dumps(document)), Heard)


@given(KINDS, MESSAGES)
def test_no_message_of_a_known_type_breaks_the_session(kind: str, message: dict[str, object]) -> None:
    assert isinstance(hear(frame(kind, **message)), Heard)


@given(TASKS)
def test_no_task_breaks_a_payload_and_only_good_ones_are_acknowledged(tasks: list[object]) -> None:
    heard = hear(payload(*tasks, stop("b")))

    refused = [e for e in heard.events if isinstance(e, TaskRefused)]
    assert TaskStopRequested(TaskArn("b"), NOW, "p-1", 12) in heard.events
    assert (heard.acks != ()) == (not refused and len(heard.events) == len(tasks) + 1)
    assert all(e.reason.startswith(session.REFUSED) for e in refused)
