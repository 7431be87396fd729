"""The frames of TCS, in both directions ("wire protocol", TCS): ``{"type": "<TypeName>", "message": {...}}``.

What an agent sends is signed, frame by frame: a block of headers, an empty line, and the JSON document. What a server
sends is the document alone. The agent and the control plane read and write with the same functions.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from agent.model.errors import BadInput
from agent.wire.reading import Shape, read
from agent.wire.tcs_metrics import Number, TaskMetric, number

NAME_LIMIT = 64
"""How much of an unknown type's name an error repeats."""
MOST_VALUES = 500_000
"""Commas in one frame. JSON of few octets a value takes ten times its size when it is read."""
MOST_HEADERS = 16 * 1024
"""Octets of a frame's headers; a session token has a few thousand."""
END_OF_HEADERS = b"\r\n\r\n"
MOST_TASKS = 10
"""Of one frame of metrics or health."""
MOST_OCTETS = 1024 * 1024
"""Of the message of one frame of metrics."""
CONTAINER_RUNTIME = "ContainerRuntime"
"""The type of the one instance status that agents tell: does Docker answer?"""


class MetricsMetadata(Shape, frozen=True):
    """Of one page. All pages of a batch have one `message_id`, and the last one is `fin`."""

    cluster: str | None = None
    container_instance: str | None = None
    fin: bool | None = None
    idle: bool | None = None
    """True where nothing is measured; then there are no tasks."""
    message_id: str | None = None


class PublishMetricsRequest(Shape, frozen=True):
    """Figures of containers."""

    metadata: MetricsMetadata | None = None
    task_metrics: list[TaskMetric] | None = None
    timestamp: Number | None = None
    """Seconds since 1970, with up to three decimals; `stamp` makes one."""


class HealthMetadata(Shape, frozen=True):
    """Of one page, as with metrics."""

    cluster: str | None = None
    container_instance: str | None = None
    fin: bool | None = None
    message_id: str | None = None


class ContainerHealth(Shape, frozen=True):
    """What a container's health check says, and since when."""

    container_name: str | None = None
    health_status: str | None = None
    """``HEALTHY``, ``UNHEALTHY``, ``UNKNOWN``."""
    status_since: Number | None = None


class TaskHealth(Shape, frozen=True):
    """The containers of one task that have a health check and run."""

    containers: list[ContainerHealth] | None = None
    task_arn: str | None = None
    task_definition_family: str | None = None
    task_definition_version: str | None = None


class PublishHealthRequest(Shape, frozen=True):
    """The health of all containers that have a health check: the whole of it each time."""

    metadata: HealthMetadata | None = None
    tasks: list[TaskHealth] | None = None
    timestamp: Number | None = None


class InstanceStatusMetadata(Shape, frozen=True):
    """Of one frame."""

    cluster: str | None = None
    container_instance: str | None = None
    request_id: str | None = None


class InstanceStatus(Shape, frozen=True):
    """What one check of the instance came to."""

    last_status_change: Number | None = None
    last_updated: Number | None = None
    status: str | None = None
    """``INITIALIZING``, ``OK``, ``IMPAIRED``, ``INSUFFICIENT_DATA``."""
    type: str | None = None


class PublishInstanceStatusRequest(Shape, frozen=True):
    """What all checks of the instance came to."""

    metadata: InstanceStatusMetadata | None = None
    statuses: list[InstanceStatus] | None = None
    timestamp: Number | None = None


class HeartbeatMessage(Shape, frozen=True):
    """The server is there. Unlike that of ACS it has no id, and nobody answers it."""

    healthy: bool | None = None


class Said(Shape, frozen=True):
    """Types that carry a sentence for the log."""

    message: str | None = None


class AckPublishMetric(Said, frozen=True):
    """A page of metrics has arrived; which one, nobody says."""


class AckPublishHealth(Said, frozen=True):
    """A page of health has arrived."""


class AckPublishInstanceStatus(Said, frozen=True):
    """An instance status has arrived."""


class StopTelemetrySessionMessage(Said, frozen=True):
    """The server wants to hear no more. Agents log it, and nothing else."""


class ServerException(Said, frozen=True):
    """The server failed."""


class BadRequestException(Said, frozen=True):
    """The server did not like what it heard."""


class ResourceValidationException(Said, frozen=True):
    """The server knows nothing of what it heard of."""


class InvalidParameterException(Said, frozen=True):
    """Something in a frame was not what it must be."""


class InactiveInstanceException(Said, frozen=True):
    """The container instance is deregistered; the answer to a handshake."""


Publish: TypeAlias = PublishMetricsRequest | PublishHealthRequest | PublishInstanceStatusRequest
"""What an agent sends."""
Frame: TypeAlias = Publish | HeartbeatMessage | Said

ACKNOWLEDGEMENTS: dict[type[Publish], type[Said]] = {
    PublishMetricsRequest: AckPublishMetric,
    PublishHealthRequest: AckPublishHealth,
    PublishInstanceStatusRequest: AckPublishInstanceStatus,
}
"""How a server answers what an agent sends."""
KEEP_ALIVE = (HeartbeatMessage, AckPublishMetric, AckPublishHealth, AckPublishInstanceStatus)
"""What shows an agent that the server is well; no other frame does."""

SAYINGS: dict[str, type[Said]] = {
    shape.__name__: shape
    for shape in (
        AckPublishMetric,
        AckPublishHealth,
        AckPublishInstanceStatus,
        StopTelemetrySessionMessage,
        ServerException,
        BadRequestException,
        ResourceValidationException,
        InvalidParameterException,
        InactiveInstanceException,
    )
}
SHAPES: dict[str, type[Frame]] = {
    "PublishMetricsRequest": PublishMetricsRequest,
    "PublishHealthRequest": PublishHealthRequest,
    "PublishInstanceStatusRequest": PublishInstanceStatusRequest,
    "HeartbeatMessage": HeartbeatMessage,
    **SAYINGS,
}
"""Every type of the protocol. A ``StartTelemetrySessionRequest`` is in its model, and nobody sends one."""


class _Envelope(msgspec.Struct, frozen=True):
    type: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"")


def encode(frame: Frame) -> bytes:
    """The document of a frame: all of it for a server, and what is signed for an agent."""
    text = msgspec.Raw(msgspec.json.encode(frame))
    return msgspec.json.encode(_Envelope(type(frame).__name__, text))


def decode(text: bytes | str) -> Frame:
    """Read a frame's document. Raises BadInput where it is none, or of a type that the protocol does not have."""
    if len(text) > MOST_VALUES and text.count("," if isinstance(text, str) else b",") > MOST_VALUES:  # type: ignore[arg-type]
        raise BadInput("", f"must have {MOST_VALUES} values at most")
    envelope = read(text, _Envelope)
    if not envelope.type:
        return _typeless(text)
    if envelope.type not in SHAPES:
        raise BadInput("type", f"{envelope.type[:NAME_LIMIT]!r} is not a type of this protocol")
    body = bytes(envelope.message)
    if not body:
        raise BadInput("message", "is missing")
    return read(b"{}" if body == b"null" else body, SHAPES[envelope.type], "message")


def _typeless(text: bytes | str) -> Said:
    """Read ``{"<TypeName>": "<sentence>"}``, the other way in which errors are written."""
    said = read(text, dict[str, msgspec.Raw])
    if len(said) == 1:
        [(name, sentence)] = said.items()
        if name in SAYINGS and bytes(sentence).startswith(b'"'):
            return SAYINGS[name](read(sentence, str, name))
    raise BadInput("type", "is missing")


def seal(headers: Mapping[str, str], document: bytes) -> bytes:
    """*document* under the *headers* by which it is signed: names in the order of the alphabet, no line before them."""
    lines = "".join(f"{name}: {headers[name]}\r\n" for name in sorted(headers))
    return lines.encode() + b"\r\n" + document


def unseal(frame: bytes) -> tuple[dict[str, str], bytes]:
    """The headers of a frame, their names in lower case, and its document; none where it has no headers.

    Raises BadInput where it has some that cannot be read, or one of them twice.
    """
    if frame.lstrip()[:1] == b"{":
        return {}, frame
    head, end, document = frame.partition(END_OF_HEADERS)
    if not end or len(head) > MOST_HEADERS:
        raise BadInput("", "must be headers, an empty line and a JSON document")
    headers: dict[str, str] = {}
    try:
        lines = head.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        raise BadInput("headers", "must be ASCII") from None
    for line in lines:
        name, colon, value = line.partition(":")
        key = name.strip().lower()
        if not colon or not key or key in headers:
            raise BadInput("headers", "must have one line for each name, such as Host: example")
        headers[key] = value.strip()
    return headers, document


def stamp(at: datetime) -> Number:
    """*at* as the protocol writes times."""
    return number(round(at.timestamp(), 3))


def moment(at: Number) -> datetime:
    """The time that *at* says, in UTC. Raises BadInput where there is no such time."""
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadInput("timestamp", "must be seconds since 1970") from None
