import json
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.errors import BadInput
from agent.wire import acs, acs_parts, acs_task
from agent.wire.acs_attachments import StageUpdateMessage
from agent.wire.acs_task import Task
from agent.wire.reading import Shape, read, read_document
from tests.wire.acs_samples import INSTANCE, ROLE, raw

TEXT = st.text(max_size=8)
SMALL: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-5, 5),
    bool: st.booleans(),
    float: st.floats(0, 100),
    msgspec.Raw: TEXT.map(raw),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401  a type hint is anything
    """Values of a field's type, None among them where the field may be absent."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return st.none() | TEXT | st.lists(TEXT, max_size=2) | st.dictionaries(TEXT, st.booleans(), max_size=2)
    if hint is type(None):
        return st.none()
    if origin is typing.Annotated:
        plain = {int: st.integers(0, 65535), float: st.floats(0, 100)}
        return plain[arguments[0]] if arguments[0] in plain else values_of(arguments[0])
    if origin is list:
        return st.lists(values_of(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(TEXT, values_of(arguments[1]), max_size=2)
    if arguments:
        return st.one_of([values_of(a) for a in arguments])
    return SMALL[hint] if hint in SMALL else shapes(hint)


def shapes(shape: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        shape, **{name: values_of(hint) for name, hint in typing.get_type_hints(shape, include_extras=True).items()}
    )


def same(a: object, b: object) -> bool:
    """Equal, where raw JSON compares by its text."""
    return msgspec.json.encode(a) == msgspec.json.encode(b)


@given(st.one_of([shapes(shape) for shape in acs.SHAPES.values()]))
def test_every_field_of_every_frame_survives_the_way_to_the_other_end(frame: acs.Frame) -> None:
    there = acs.decode(acs.encode(frame))

    assert type(there) is type(frame)
    assert same(there, frame)


@given(shapes(Task))
def test_every_field_of_a_task_survives_the_way_to_the_other_end(task: Task) -> None:
    payload = acs.PayloadMessage(message_id="p", tasks=[acs.task_text(task)])

    there = acs.decode(acs.encode(payload))

    assert isinstance(there, acs.PayloadMessage)
    [text] = there.tasks or []
    assert read(text, Task) == task


def test_an_acknowledgement_looks_on_the_wire_as_the_protocol_has_it() -> None:
    assert json.loads(acs.encode(acs.AckRequest("demo", INSTANCE, "m-17"))) == {
        "type": "AckRequest",
        "message": {"cluster": "demo", "containerInstance": INSTANCE, "messageId": "m-17"},
    }


def test_fields_that_are_absent_are_left_out_and_false_zero_and_empty_are_kept() -> None:
    container = acs_task.Container(name="", essential=False, cpu=0, command=[])

    assert json.loads(bytes(acs.task_text(Task(containers=[container], cpu=0.0)))) == {
        "containers": [{"name": "", "essential": False, "cpu": 0, "command": []}],
        "cpu": 0.0,
    }
    assert json.loads(acs.encode(acs.HeartbeatMessage("hb-1", healthy=False)))["message"] == {
        "messageId": "hb-1",
        "healthy": False,
    }


def test_names_of_fields_are_those_of_the_protocol() -> None:
    names = {field.encode_name for field in msgspec.structs.fields(acs.PayloadMessage)}

    assert names == {
        "messageId", "clusterArn", "containerInstanceArn", "tasks", "seqNum", "timeline", "generatedAt"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('{"type":"HeartbeatMessage","message":{"healthy":true}}', acs.HeartbeatMessage(healthy=True)),
        (b'{"message":{"messageId":"hb-1","new":[]},"type":"HeartbeatMessage","x":1}', acs.HeartbeatMessage("hb-1")),
        ('{"type":"HeartbeatMessage","message":{"messageId":null}}', acs.HeartbeatMessage()),
        ('{"type":"HeartbeatMessage","message":null}', acs.HeartbeatMessage()),
        ('{"type":"CloseMessage","message":{"message":"bye"}}', acs.CloseMessage("bye")),
        ('{"InactiveInstanceException":"gone"}', acs.InactiveInstanceException("gone")),
        ('{"type":"InactiveInstanceException","message":{"message":"gone"}}', acs.InactiveInstanceException("gone")),
        ('{"type":"TaskManifestMessage","message":{"messageId":"tm-1"}}', acs.TaskManifestMessage("tm-1")),
        ('{"type":"StageUpdateMessage","message":{"messageId":"u-1"}}', StageUpdateMessage("u-1")),
    ],
)  # fmt: skip
def test_a_frame_is_read_by_its_type(text: str | bytes, frame: acs.Frame) -> None:
    assert acs.decode(text) == frame


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is not JSON"),
        (b"\xff", "is not JSON"),
        ('"\ud800"', "is not JSON"),
        ('{"message":' + "[" * 100_000, "is nested too deeply"),
        ("[]", "expected `object`, got `array`"),
        ('{"type":1}', "type: expected `str | null`, got `int`"),
        ('{"type":"heartbeatmessage","message":{}}', "type: 'heartbeatmessage' is not a type of this protocol"),
        ('{"type":"HeartbeatMessage"}', "message: is missing"),
        ('{"type":"CloseMessage","message":{"message":7}}', "message.message: expected `str | null`, got `int`"),
        ('{"HeartbeatMessage":"x"}', "type: is missing"),
        ('{"InactiveInstanceException":"x","and":"more"}', "type: is missing"),
        ('{"InactiveInstanceException":{}}', "type: is missing"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_frame_is_refused_with_the_field_and_the_rule(text: str | bytes, error: str) -> None:
    with pytest.raises(BadInput) as caught:
        acs.decode(text)

    assert str(caught.value) == error


def test_a_wrong_type_in_one_task_is_no_matter_of_the_frame() -> None:
    text = '{"type":"PayloadMessage","message":{"messageId":"p","tasks":[{"arn":1},null,{"arn":"b"}]}}'

    frame = acs.decode(text)

    assert isinstance(frame, acs.PayloadMessage)
    assert [bytes(task) for task in frame.tasks or ()] == [b'{"arn":1}', b"null", b'{"arn":"b"}']


def test_credentials_and_environments_do_not_print() -> None:
    role = read(raw(ROLE), acs_task.IAMRoleCredentials)
    container = acs_task.Container(name="web", environment={"PW": "hush"}, secrets=[acs_parts.Secret(name="hush")])
    docker = acs_parts.DockerConfig(config='{"Env":["PW=hush"]}')
    credentials = acs.IAMRoleCredentialsMessage(role_credentials=role)
    share = acs_parts.DockerVolume(driver_opts={"o": "password=hush"})
    task = Task(
        containers=[container],
        role_credentials=role,
        volumes=[acs_parts.Volume(docker_volume_configuration=share)],
    )

    for secret in (role, task, docker, credentials, share):
        assert "hush" not in repr(secret)
        assert "hush" not in str(secret)


def test_errors_name_the_field_and_never_its_value() -> None:
    class Sample(Shape, frozen=True):
        environment: dict[str, str] | None = None

    with pytest.raises(BadInput) as caught:
        read('{"environment":{"PW":"hush","N":4711}}', Sample, "containers[0]")

    assert str(caught.value) == "containers[0].environment[...]: expected `str`, got `int`"


@pytest.mark.parametrize(("text", "document"), [(None, {}), ("", {}), ("null", {}), ("{}", {}), ('{"A":1}', {"A": 1})])
def test_a_document_in_a_string_may_be_empty(text: str | None, document: dict[str, Any]) -> None:
    assert read_document(text, "x") == document


@pytest.mark.parametrize(("text", "error"), [("[]", "x: must hold a JSON object"), ("{", "x: is not JSON")])
def test_a_document_in_a_string_is_an_object(text: str, error: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_document(text, "x")

    assert str(caught.value) == error
