"""The frames of ACS, in both directions: ``{"type": "<TypeName>", "message": {...}}``, one JSON document each.

The agent and the control plane read and write with the same two functions. The tasks of a payload stay text until
somebody reads them one by one (acs_spec.py), so that a bad task harms none of its neighbours.

Unlike the reference, names of fields must match in case: no server is known to send others.
"""

from typing import TypeAlias

import msgspec

from agent.model.errors import BadInput
from agent.wire.acs_task import IAMRoleCredentials, Task
from agent.wire.reading import Shape, read

NAME_LIMIT = 64
"""How much of an unknown type's name an error repeats."""


class HeartbeatMessage(Shape, frozen=True):
    """The server is there. `healthy` means nothing."""

    message_id: str | None = None
    healthy: bool | None = None


class PayloadMessage(Shape, frozen=True):
    """Tasks to run or to stop."""

    message_id: str | None = None
    cluster_arn: str | None = None
    container_instance_arn: str | None = None
    tasks: list[msgspec.Raw] | None = None
    seq_num: int | None = None
    timeline: int | None = None
    generated_at: int | None = None


class IAMRoleCredentialsMessage(Shape, frozen=True):
    """Fresh values for the role of a task: a refresh, or all of them after a connection that asked."""

    message_id: str | None = None
    task_arn: str | None = None
    task_cluster_arn: str | None = None
    role_type: str | None = None
    role_credentials: IAMRoleCredentials | None = None


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


class Unserved(msgspec.Struct, frozen=True):
    """A type of the protocol that nobody here serves yet."""

    type: str
    message_id: str | None = None


Frame: TypeAlias = (
    HeartbeatMessage
    | PayloadMessage
    | IAMRoleCredentialsMessage
    | AckRequest
    | NackRequest
    | HeartbeatAckRequest
    | IAMRoleCredentialsAckRequest
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
    **SAYINGS,
}

UNSERVED = frozenset(
    {
        "AttachTaskNetworkInterfacesMessage",
        "AttachInstanceNetworkInterfacesMessage",
        "ConfirmAttachmentMessage",
        "TaskManifestMessage",
        "TaskStopVerificationMessage",
        "TaskStopVerificationAck",
        "StageUpdateMessage",
        "PerformUpdateMessage",
    }
)


class _Envelope(msgspec.Struct, frozen=True):
    type: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"")


class _Numbered(Shape, frozen=True):
    message_id: str | None = None


def encode(frame: Frame) -> str:
    """The text of a frame."""
    text = msgspec.Raw(msgspec.json.encode(frame))
    return msgspec.json.encode(_Envelope(type(frame).__name__, text)).decode()


def task_text(task: Task) -> msgspec.Raw:
    """A task as it stands in `PayloadMessage.tasks`."""
    return msgspec.Raw(msgspec.json.encode(task))


def decode(text: bytes | str) -> Frame | Unserved:
    """Read a frame. Raises BadInput where it is no frame, or of a type that the protocol does not have."""
    envelope = read(text, _Envelope)
    if not envelope.type:
        return _typeless(text)
    if envelope.type not in SHAPES and envelope.type not in UNSERVED:
        raise BadInput("type", f"{envelope.type[:NAME_LIMIT]!r} is not a type of this protocol")
    body = bytes(envelope.message)
    if not body:
        raise BadInput("message", "is missing")
    if body == b"null":
        body = b"{}"
    if envelope.type in UNSERVED:
        return Unserved(envelope.type, read(body, _Numbered, "message").message_id)
    return read(body, SHAPES[envelope.type], "message")


def _typeless(text: bytes | str) -> Said:
    """Read ``{"<TypeName>": "<sentence>"}``, the other way in which errors are written."""
    said = read(text, dict[str, object])
    if len(said) == 1:
        [(name, sentence)] = said.items()
        if name in SAYINGS and isinstance(sentence, str):
            return SAYINGS[name](sentence)
    raise BadInput("type", "is missing")
