"""The frames of ACS, in both directions: ``{"type": "<TypeName>", "message": {...}}``, one JSON document each.

The agent and the control plane read and write with the same two functions. The tasks of a payload stay text until
somebody reads them one by one (acs_spec.py), so that a bad task harms none of its neighbours.

Unlike the reference, names of fields must match in case: no server is known to send others.
"""

from typing import Annotated, TypeAlias

import msgspec

from agent.model.errors import BadInput
from agent.wire import pieces
from agent.wire.acs_attachments import (
    AttachInstanceNetworkInterfacesMessage,
    AttachTaskNetworkInterfacesMessage,
    ConfirmAttachmentMessage,
    Long,
    PerformUpdateMessage,
    StageUpdateMessage,
)
from agent.wire.acs_task import IAMRoleCredentials, Task
from agent.wire.reading import Shape, read

NAME_LIMIT = 64
"""How much of an unknown type's name an error repeats."""


MOST_TASKS = 10_000
"""Of one message; more fit on no machine."""
MOST_VALUES = 500_000
"""Commas in one message. JSON of few octets a value takes ten times its size when it is read."""


class HeartbeatMessage(Shape, frozen=True):
    """The server is there. `healthy` means nothing."""

    message_id: str | None = None
    healthy: bool | None = None


class PayloadMessage(Shape, frozen=True):
    """Tasks to run or to stop."""

    message_id: str | None = None
    cluster_arn: str | None = None
    container_instance_arn: str | None = None
    tasks: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MOST_TASKS)] | None = None
    seq_num: Long | None = None
    timeline: Long | None = None
    generated_at: Long | None = None


class IAMRoleCredentialsMessage(Shape, frozen=True):
    """Fresh values for the role of a task: a refresh, or all of them after a connection that asked."""

    message_id: str | None = None
    task_arn: str | None = None
    task_cluster_arn: str | None = None
    role_type: str | None = None
    role_credentials: IAMRoleCredentials | None = None


class TaskIdentifier(Shape, frozen=True):
    """A task on a list, and what ECS wants of it."""

    task_arn: str | None = None
    task_cluster_arn: str | None = None
    desired_status: str | None = None


class TaskManifestMessage(Shape, frozen=True):
    """All tasks that ECS knows on this instance. `timeline` and the `seq_num` of payloads are one growing sequence."""

    message_id: str | None = None
    cluster_arn: str | None = None
    container_instance_arn: str | None = None
    tasks: list[TaskIdentifier] | None = None
    timeline: Long | None = None
    generated_at: Long | None = None


class TaskStopVerificationMessage(Shape, frozen=True):
    """The agent's question about tasks that the manifest of the same id does not have."""

    message_id: str | None = None
    stop_candidates: list[TaskIdentifier] | None = None


class TaskStopVerificationAck(Shape, frozen=True):
    """The answer: these of them are to stop."""

    message_id: str | None = None
    stop_tasks: list[TaskIdentifier] | None = None
    generated_at: Long | None = None


class AckRequest(Shape, frozen=True):
    """The message is saved. Names cluster and instance otherwise than the message does that it answers."""

    cluster: str | None = None
    container_instance: str | None = None
    message_id: str | None = None


class NackRequest(Shape, frozen=True):
    """The message will not be served. Only the messages about updates are answered so."""

    cluster: str | None = None
    container_instance: str | None = None
    message_id: str | None = None
    reason: str | None = None


class HeartbeatAckRequest(Shape, frozen=True):
    """The agent is there too."""

    message_id: str | None = None


class IAMRoleCredentialsAckRequest(Shape, frozen=True):
    """One role's values have arrived. `expiration` is the server's own text, letter by letter."""

    message_id: str | None = None
    expiration: str | None = None
    credentials_id: str | None = None


class Said(Shape, frozen=True):
    """Types that carry a sentence for the log and ask for nothing."""

    message: str | None = None


class CloseMessage(Said, frozen=True):
    """The server is about to close the connection."""


class ErrorMessage(Said, frozen=True):
    """The server found a mistake."""


class ServerException(Said, frozen=True):
    """The server failed."""


class BadRequestException(Said, frozen=True):
    """The server did not like what it heard."""


class InvalidClusterException(Said, frozen=True):
    """The cluster is not one."""


class InvalidInstanceException(Said, frozen=True):
    """The container instance is not one."""


class AccessDeniedException(Said, frozen=True):
    """The agent's credentials may not do this."""


class InactiveInstanceException(Said, frozen=True):
    """The container instance is deregistered. As a frame it changes nothing; as a handshake's answer it does."""


Frame: TypeAlias = (
    HeartbeatMessage
    | PayloadMessage
    | IAMRoleCredentialsMessage
    | AckRequest
    | NackRequest
    | HeartbeatAckRequest
    | IAMRoleCredentialsAckRequest
    | TaskManifestMessage
    | TaskStopVerificationMessage
    | TaskStopVerificationAck
    | AttachTaskNetworkInterfacesMessage
    | AttachInstanceNetworkInterfacesMessage
    | ConfirmAttachmentMessage
    | StageUpdateMessage
    | PerformUpdateMessage
    | Said
)

SAYINGS: dict[str, type[Said]] = {
    shape.__name__: shape
    for shape in (
        CloseMessage,
        ErrorMessage,
        ServerException,
        BadRequestException,
        InvalidClusterException,
        InvalidInstanceException,
        AccessDeniedException,
        InactiveInstanceException,
    )
}

SHAPES: dict[str, type[Frame]] = {
    "HeartbeatMessage": HeartbeatMessage,
    "PayloadMessage": PayloadMessage,
    "IAMRoleCredentialsMessage": IAMRoleCredentialsMessage,
    "AckRequest": AckRequest,
    "NackRequest": NackRequest,
    "HeartbeatAckRequest": HeartbeatAckRequest,
    "IAMRoleCredentialsAckRequest": IAMRoleCredentialsAckRequest,
    "TaskManifestMessage": TaskManifestMessage,
    "TaskStopVerificationMessage": TaskStopVerificationMessage,
    "TaskStopVerificationAck": TaskStopVerificationAck,
    "AttachTaskNetworkInterfacesMessage": AttachTaskNetworkInterfacesMessage,
    "AttachInstanceNetworkInterfacesMessage": AttachInstanceNetworkInterfacesMessage,
    "ConfirmAttachmentMessage": ConfirmAttachmentMessage,
    "StageUpdateMessage": StageUpdateMessage,
    "PerformUpdateMessage": PerformUpdateMessage,
    **SAYINGS,
}
"""Every type that an agent or a server may send. A `PollRequest` is in the protocol's model, and nobody sends one."""


class _Envelope(msgspec.Struct, frozen=True):
    type: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"")


def encode(frame: Frame) -> str:
    """The text of a frame."""
    text = msgspec.Raw(msgspec.json.encode(frame))
    return msgspec.json.encode(_Envelope(type(frame).__name__, text)).decode()


def task_text(task: Task) -> msgspec.Raw:
    """A task as it stands in `PayloadMessage.tasks`."""
    return msgspec.Raw(msgspec.json.encode(task))


def decode(text: bytes | str) -> Frame:
    """Read a frame. Raises BadInput where it is no frame, or of a type that the protocol does not have.

    A payload that JSON's rules forbid because of one of its tasks is a frame all the same; that task stays as it came.
    """
    if len(text) > MOST_VALUES and text.count("," if isinstance(text, str) else b",") > MOST_VALUES:  # type: ignore[arg-type]
        raise BadInput("", f"must have {MOST_VALUES} values at most")
    try:
        envelope = read(text, _Envelope)
    except BadInput:
        if (saved := _payload_in_parts(text)) is not None:
            return saved
        raise
    if not envelope.type:
        return _typeless(text)
    if envelope.type not in SHAPES:
        raise BadInput("type", f"{envelope.type[:NAME_LIMIT]!r} is not a type of this protocol")
    body = bytes(envelope.message)
    if not body:
        raise BadInput("message", "is missing")
    if body == b"null":
        body = b"{}"
    return read(body, SHAPES[envelope.type], "message")


def _payload_in_parts(text: bytes | str) -> PayloadMessage | None:
    """Read a payload around its tasks, whatever is in them; None where it is none."""
    try:
        frame = dict(pieces.members(pieces.octets(text)))
        if frame.get(b'"type"') != b'"PayloadMessage"':
            return None
        message = pieces.members(frame.get(b'"message"', b""))
        around = b",".join(name + b":" + value for name, value in message if name != b'"tasks"')
        tasks = [msgspec.Raw(task) for _, task in pieces.members(dict(message).get(b'"tasks"', b"[]"))]
        return msgspec.structs.replace(read(b"{" + around + b"}", PayloadMessage, "message"), tasks=tasks)
    except BadInput:
        return None


def _typeless(text: bytes | str) -> Said:
    """Read ``{"<TypeName>": "<sentence>"}``, the other way in which errors are written."""
    said = read(text, dict[str, msgspec.Raw])
    if len(said) == 1:
        [(name, sentence)] = said.items()
        if name in SAYINGS and bytes(sentence).startswith(b'"'):
            return SAYINGS[name](read(sentence, str, name))
    raise BadInput("type", "is missing")
