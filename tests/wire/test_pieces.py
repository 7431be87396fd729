"""Texts that JSON forbids, taken apart as far as brackets go."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.errors import BadInput
from agent.wire import acs, acs_spec, pieces
from tests.wire.acs_samples import ARN, a_task, raw

DEEP = "[" * 5000 + "]" * 5000


def bad_task(old: str, new: bytes) -> bytes:
    """The sample task, where *old* stands once and is written as *new*."""
    text = json.dumps(a_task()).encode()
    assert text.count(old.encode()) == 1
    return text.replace(old.encode(), new)


def payload(*tasks: bytes) -> bytes:
    message = b'{"messageId":"m","clusterArn":"c","containerInstanceArn":"i","tasks":[' + b",".join(tasks) + b"]}"
    return b'{"type": "PayloadMessage" , "message": ' + message + b"}"


BAD = [
    ('"nginx:1.27"', b'"\\ud800"', "containers[0].image: is not JSON"),
    ('"nginx:1.27"', b'"\xff"', "containers[0].image: is not UTF-8"),
    ('{"MODE": "prod"}', b'{"MODE":"\xc3("}', "containers[0].environment.MODE: is not UTF-8"),
    ('{"MODE": "prod"}', b'{"\xff":"prod"}', "containers[0].environment[0]: has a name that is not UTF-8"),
    ('{"MODE": "prod"}', b"NaN", "containers[0].environment: is not JSON"),
    ("512", b"Infinity", "memory: is not JSON"),
    ("512", b"0x200", "memory: is not JSON"),
    ('"cpu": 0.5', b'"agentConfiguration":' + DEEP.encode(), "agentConfiguration[0][0][0]: is nested too deeply"),
    (
        '"portMappings": [',
        b'"portMappings":[{"x":' + DEEP.encode() + b"},",
        "containers[0].portMappings[0]: is nested too deeply",
    ),
]


@pytest.mark.parametrize(("old", "new", "error"), BAD)
def test_a_task_that_is_no_json_has_its_name_and_is_refused_by_the_field(old: str, new: bytes, error: str) -> None:
    good, bad = bytes(raw(a_task())), bad_task(old, new)

    frame = acs.decode(payload(good, bad, good))

    assert isinstance(frame, acs.PayloadMessage)
    assert frame.message_id == "m"
    tasks = frame.tasks or []
    assert [bytes(task) for task in tasks] == [good, bad, good]
    assert acs_spec.read_arn(tasks[1]) == ARN
    assert not acs_spec.is_stop(tasks[1])
    assert acs_spec.read_spec(tasks[0]).arn == ARN
    with pytest.raises(BadInput) as caught:
        acs_spec.read_spec(tasks[1])
    assert str(caught.value) == error


@pytest.mark.parametrize(
    "text",
    [
        payload(bad_task("512", b"NaN"))[:-1],
        payload(bad_task("512", b"NaN")) + b"}",
        payload(b'{"arn":"unfinished}'),
        payload(b"NaN").replace(b"PayloadMessage", b"HeartbeatMessage"),
        payload(b"NaN").replace(b'"m"', b"NaN"),
        payload(b"NaN").replace(b'"tasks":', b'"tasks"'),
        payload(b"NaN" + b" " * pieces.MOST),
    ],
)
def test_what_is_broken_around_the_tasks_is_no_frame(text: bytes) -> None:
    with pytest.raises(BadInput, match=r"^is not JSON$"):
        acs.decode(text)


@given(st.dictionaries(st.text(max_size=4), st.recursive(st.text(max_size=4), st.lists, max_leaves=3), max_size=3))
def test_what_json_allows_is_cut_where_json_ends_it(document: dict[str, object]) -> None:
    text = json.dumps(document, ensure_ascii=False).encode()

    found = {json.loads(name): json.loads(value) for name, value in pieces.members(text)}

    assert found == document


@given(st.binary(max_size=60) | st.text('[]{}",:\\ a', max_size=60).map(str.encode))
def test_no_octets_whatever_break_more_than_a_rule(text: bytes) -> None:
    with suppress(BadInput):
        pieces.members(text)
    pieces.blamed(text, BadInput("", "is not JSON"))


def test_a_number_that_could_not_be_saved_is_refused_by_the_field() -> None:
    for field, kind in (("seqNum", "PayloadMessage"), ("timeline", "TaskManifestMessage")):
        with pytest.raises(BadInput, match=f"message.{field}"):
            acs.decode(json.dumps({"type": kind, "message": {field: 2**63}}))


@pytest.mark.parametrize("arn", ["arn:aws:ecs:task/c/..", "a\x00b", "with space/x", "arn/c/", "arn/" + "x" * 129])
def test_a_task_whose_name_is_no_name_of_files_is_refused_by_the_field(arn: str) -> None:
    with pytest.raises(BadInput, match=r"^arn: "):
        acs_spec.read_spec(raw(a_task(arn=arn)))
