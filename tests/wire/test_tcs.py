import json
from datetime import UTC, datetime

import msgspec
import pytest

from agent.model.errors import BadInput
from agent.wire import tcs
from agent.wire.tcs_metrics import (
    LARGEST_LONG,
    ContainerMetric,
    CWStatsSet,
    TaskMetric,
    ULongStatsSet,
    count_set,
    level_set,
)

ARN = "arn:aws:ecs:us-west-2:111122223333:container-instance/demo/0123456789abcdef0123456789abcdef"
IDLE = (
    '{"type":"PublishMetricsRequest","message":{"metadata":{"cluster":"demo","containerInstance":"' + ARN + '",'
    '"fin":true,"idle":true,"messageId":"5b0f7f0e-6c8e-4f4a-9d3e-0c7d9c7c2a11"},"timestamp":1768478400.123}}'
)
METADATA = tcs.MetricsMetadata("demo", ARN, fin=True, idle=True, message_id="5b0f7f0e-6c8e-4f4a-9d3e-0c7d9c7c2a11")
HEADERS = {"X-Amz-Date": "20260115T120000Z", "Host": "tcs.test.example", "Authorization": "AWS4-HMAC-SHA256 x"}


def test_an_idle_page_is_written_as_the_reference_writes_it() -> None:
    frame = tcs.PublishMetricsRequest(METADATA, timestamp=1768478400.123)

    assert tcs.encode(frame).decode() == IDLE
    assert tcs.decode(IDLE) == frame


def test_members_stand_in_the_order_of_the_alphabet() -> None:
    for shape in (*tcs.ACKNOWLEDGEMENTS, tcs.MetricsMetadata, ContainerMetric, TaskMetric, CWStatsSet, ULongStatsSet):
        names = [field.encode_name for field in msgspec.structs.fields(shape)]

        assert names == sorted(names)


def test_health_and_status_are_read_as_they_are_written() -> None:
    health = tcs.PublishHealthRequest(
        tcs.HealthMetadata("demo", ARN, fin=True, message_id="c0de"),
        [tcs.TaskHealth([tcs.ContainerHealth("web", "HEALTHY", 1768478431.5)], "arn:task", "shop", "7")],
        1768478440.01,
    )
    status = tcs.PublishInstanceStatusRequest(
        tcs.InstanceStatusMetadata("demo", ARN, "f00d"),
        [tcs.InstanceStatus(1768478405.2, 1768478430.1, "OK", tcs.CONTAINER_RUNTIME)],
        1768478440,
    )

    assert json.loads(tcs.encode(health)) == {
        "type": "PublishHealthRequest",
        "message": {
            "metadata": {"cluster": "demo", "containerInstance": ARN, "fin": True, "messageId": "c0de"},
            "tasks": [
                {
                    "containers": [{"containerName": "web", "healthStatus": "HEALTHY", "statusSince": 1768478431.5}],
                    "taskArn": "arn:task",
                    "taskDefinitionFamily": "shop",
                    "taskDefinitionVersion": "7",
                }
            ],
            "timestamp": 1768478440.01,
        },
    }
    assert [tcs.decode(tcs.encode(one)) for one in (health, status)] == [health, status]
    assert b'"timestamp":1768478440}' in tcs.encode(status)


@pytest.mark.parametrize("kind", tcs.ACKNOWLEDGEMENTS.values())
def test_a_server_acknowledges_with_a_sentence(kind: type[tcs.Said]) -> None:
    text = tcs.encode(kind("ok"))

    assert json.loads(text) == {"type": kind.__name__, "message": {"message": "ok"}}
    assert tcs.decode(text) == kind("ok")
    assert isinstance(tcs.decode(text), tcs.KEEP_ALIVE)


def test_errors_are_read_in_both_forms_that_they_come_in() -> None:
    said = tcs.InactiveInstanceException("gone")

    assert tcs.decode('{"InactiveInstanceException":"gone"}') == said
    assert tcs.decode('{"type":"InactiveInstanceException","message":{"message":"gone"}}') == said


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{}", "type: is missing"),
        ('{"type":"PollRequest","message":{}}', "type: 'PollRequest' is not a type of this protocol"),
        ('{"type":"PublishHealthRequest"}', "message: is missing"),
        ('{"type":"PublishHealthRequest","message":{"tasks":3}}', "message.tasks: expected `array | null`, got `int`"),
        ("[1" + ",1" * tcs.MOST_VALUES + ",1]", f"must have {tcs.MOST_VALUES} values at most"),
        ("no", "is not JSON"),
    ],
)
def test_what_is_no_frame_is_refused_by_name(text: str, rule: str) -> None:
    with pytest.raises(BadInput) as error:
        tcs.decode(text)

    assert str(error.value) == rule


def test_a_frame_is_sealed_with_its_headers_in_order_and_opened_again() -> None:
    frame = tcs.seal(HEADERS, IDLE.encode())

    assert frame == (
        b"Authorization: AWS4-HMAC-SHA256 x\r\nHost: tcs.test.example\r\nX-Amz-Date: 20260115T120000Z\r\n\r\n"
        + IDLE.encode()
    )
    assert tcs.unseal(frame) == ({name.lower(): value for name, value in HEADERS.items()}, IDLE.encode())
    assert tcs.unseal(IDLE.encode()) == ({}, IDLE.encode())


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"Host: a",
        b"Host\r\n\r\n{}",
        b"Host: a\r\nhost: b\r\n\r\n{}",
        b"H: \xff\r\n\r\n{}",
        b"H: " + b"a" * 20000 + b"\r\n\r\n{}",
    ],
)
def test_headers_that_cannot_be_told_apart_are_refused(frame: bytes) -> None:
    with pytest.raises(BadInput):
        tcs.unseal(frame)


def test_times_are_seconds_of_which_three_decimals_count() -> None:
    at = datetime(2026, 1, 15, 12, 0, 0, 123_456, UTC)

    assert tcs.stamp(at) == 1768478400.123
    assert msgspec.json.encode(tcs.stamp(at.replace(microsecond=0))) == b"1768478400"
    assert tcs.moment(1768478400) == at.replace(microsecond=0)
    with pytest.raises(BadInput):
        tcs.moment(1e300)


def test_levels_come_to_their_bounds_their_number_and_their_sum() -> None:
    assert msgspec.json.encode(level_set([2.5, 0.5, 41.0])) == b'{"max":41,"min":0.5,"sampleCount":3,"sum":44}'


def test_what_a_long_cannot_hold_flows_over() -> None:
    found = count_set([5, LARGEST_LONG, LARGEST_LONG + 7])

    assert found == ULongStatsSet(
        max=LARGEST_LONG,
        min=5,
        overflow_max=7,
        overflow_min=0,
        overflow_sum=12,
        sample_count=3,
        sum=LARGEST_LONG,
    )
