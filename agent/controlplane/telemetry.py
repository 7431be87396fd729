"""The telemetry an agent sends (wire protocol, TCS): told apart and acknowledged, not kept.

Each frame is a block of signed headers, an empty line, and JSON. Who opened the session has signed that already, so
the block is not looked at; simple clients leave it out.
"""

import msgspec

from agent.model.errors import BadInput
from agent.wire.reading import read

ACKNOWLEDGEMENTS = {
    "PublishMetricsRequest": "AckPublishMetric",
    "PublishHealthRequest": "AckPublishHealth",
    "PublishInstanceStatusRequest": "AckPublishInstanceStatus",
}
HEARTBEAT = msgspec.json.encode({"type": "HeartbeatMessage", "message": {"healthy": True}}).decode()
"""Keeps an agent that has nothing to tell. Unlike that of ACS it has no number, and nobody answers it."""
END_OF_HEADERS = b"\r\n\r\n"


class _Envelope(msgspec.Struct, frozen=True):
    type: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"")


def acknowledgement(frame: bytes) -> str:
    """The answer to a frame of an agent. Raises BadInput for what is none."""
    body = frame if frame.lstrip()[:1] == b"{" else frame.partition(END_OF_HEADERS)[2]
    kind = read(body, _Envelope).type or ""
    if kind not in ACKNOWLEDGEMENTS:
        raise BadInput("type", f"must be one of {', '.join(ACKNOWLEDGEMENTS)}")
    return msgspec.json.encode({"type": ACKNOWLEDGEMENTS[kind], "message": {"message": "ok"}}).decode()
