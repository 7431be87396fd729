"""Frames that no server should send, by name, and what is promised of each."""

import json
from dataclasses import dataclass

from agent.sockets.reader_client import MESSAGE_LIMIT
from tests.bench.plane import INSTANCE
from tests.faults.hand import CLUSTER_ARN, listed, payload

MIB = 1024 * 1024
BEAT = '{"type":"HeartbeatMessage","message":{"messageId":"odd"}}'
DROPPED_UNREAD = "socket_frame_dropped"
"""A message that nobody gets to see."""
NOT_JSON, NOT_UTF8 = "is not JSON", "is not UTF-8"


def frame(content: bytes | str, opcode: int = 1, *, final: bool = True, bits: int = 0) -> bytes:
    """One WebSocket frame of a server's; *opcode* 1 is text, 2 binary, 0 goes on with a message."""
    octets = content.encode() if isinstance(content, str) else content
    size = len(octets)
    long = b"\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x7f" + size.to_bytes(8)
    return bytes([(0x80 if final else 0) | bits | opcode]) + (bytes([size]) if size <= 125 else long) + octets


def pieces(content: bytes | str, count: int, opcode: int = 1, bits: int = 0) -> bytes:
    """A message in so many frames, a ping between any two."""
    octets = content.encode() if isinstance(content, str) else content
    size = -(-len(octets) // count)
    cut = [octets[at : at + size] for at in range(0, len(octets), size)]
    last = len(cut) - 1
    return b"".join(
        frame(part, 0 if at else opcode, final=at == last, bits=0 if at else bits)
        + (b"" if at == last else frame(b"?", 9))
        for at, part in enumerate(cut)
    )


def message(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, "message": fields})


def of_payload(**fields: object) -> str:
    return message("PayloadMessage", **{**payload("odd"), **fields})


def of_manifest(**fields: object) -> str:
    names = {"messageId": "odd", "clusterArn": CLUSTER_ARN, "containerInstanceArn": INSTANCE, "timeline": 10**6}
    return message("TaskManifestMessage", **{**names, **fields})


@dataclass(frozen=True, slots=True)
class Odd:
    """A frame that is dropped. `line` and `rule` are what the log says; a frame without a rule is served after all."""

    name: str
    octets: bytes
    rule: str = ""
    line: str = "acs_frame_dropped"


ODD = (
    # -- the WebSocket
    Odd("an empty text", frame(""), NOT_JSON),
    Odd("an empty binary message", frame("", 2), NOT_JSON),
    Odd("a heartbeat in a binary message", frame(BEAT, 2)),
    Odd("a heartbeat in nine fragments with pings between them", pieces(BEAT, 9)),
    Odd("octets that are no UTF-8", frame(b"\xff\xfe\xfd"), NOT_JSON),
    Odd("a text that ends in the middle of a letter", frame(BEAT.encode() + b"\xc3"), NOT_JSON),
    Odd("a name that is no UTF-8", frame(BEAT.encode().replace(b"odd", b"\xc3(")), f"message: {NOT_UTF8}"),
    Odd("UTF-16", frame(BEAT.encode("utf-16")), NOT_JSON),
    Odd("a byte order mark", frame("\ufeff" + BEAT), NOT_JSON),
    Odd("octets of zero", frame(bytes(300)), NOT_JSON),
    Odd("one octet more than the limit", frame(b" " * (MESSAGE_LIMIT + 1)), "octets at most", DROPPED_UNREAD),
    Odd("64 MiB and an octet", frame(b"[" * (64 * MIB + 1)), "octets at most", DROPPED_UNREAD),
    Odd("12 MiB in twelve fragments", pieces(b"x" * (12 * MIB), 12, 2), "octets at most", DROPPED_UNREAD),
    Odd("a message compressed unasked", frame(b"\xaaV*\xa9,HU\x02", bits=0x40), "is compressed", DROPPED_UNREAD),
    Odd("fragments compressed unasked", pieces(b"\xaaV*\xa9,HU\x02", 3, bits=0x40), "is compressed", DROPPED_UNREAD),
    Odd("a fragment of no message", frame("x", 0), "continues a message that was never begun", DROPPED_UNREAD),
    Odd("a message that never ends", frame('{"type":', final=False), "was not finished", DROPPED_UNREAD),
    # -- JSON
    Odd("a truncated heartbeat", frame(BEAT[:-2]), NOT_JSON),
    Odd("a truncated payload", frame(of_payload(tasks=[{"arn": "a"}])[:-20]), NOT_JSON),
    Odd("a frame and something behind it", frame(BEAT + "x"), NOT_JSON),
    Odd("two documents in one frame", frame(BEAT + BEAT), NOT_JSON),
    Odd("a list", frame("[]"), "expected `object`, got `array`"),
    Odd("a text in quotes", frame('"HeartbeatMessage"'), "expected `object`, got `str`"),
    Odd("a number", frame("7"), "expected `object`, got `int`"),
    Odd("null", frame("null"), "expected `object`, got `null`"),
    Odd("not a number", frame('{"type":NaN}'), NOT_JSON),
    Odd("single quotes", frame(BEAT.replace('"', "'")), NOT_JSON),
    Odd("a comment", frame("/* ! */" + BEAT), NOT_JSON),
    Odd("half a surrogate pair", frame(BEAT.replace("odd", "\\ud800")), NOT_JSON),
    Odd(
        "100,000 lists in each other", frame('{"type":' + "[" * 100_000 + "]" * 100_000 + "}"), "expected `str | null`"
    ),
    Odd("100,000 objects in each other", frame('{"a":' * 100_000 + "1" + "}" * 100_000), "is nested too deeply"),
    Odd("a million lists that never end", frame('{"message":' + "[" * 1_000_000), "is nested too deeply"),
    Odd("a million empty lists", frame('{"message":[' + "[]," * 1_000_000 + "[]]}"), "values at most"),
    # -- the frame
    Odd("no type", frame('{"message":{}}'), "type: is missing"),
    Odd("a type that is a number", frame('{"type":1,"message":{}}'), "type: expected `str | null`, got `int`"),
    Odd("a type that is null", frame('{"type":null,"message":{}}'), "type: is missing"),
    Odd("an unknown type", frame(message("Novelty")), "'Novelty' is not a type of this protocol"),
    Odd("a type in other letters", frame(message("heartbeatmessage")), "is not a type of this protocol"),
    Odd("a type of a mebibyte", frame(message("x" * MIB)), "is not a type of this protocol"),
    Odd("a type twice, the last of which counts", frame('{"type":"Novelty",' + BEAT[1:])),
    Odd("no message", frame('{"type":"HeartbeatMessage"}'), "message: is missing"),
    Odd("a message that is a text", frame('{"type":"HeartbeatMessage","message":"x"}'), "message: expected `object`"),
    Odd("a message that is a list", frame('{"type":"PayloadMessage","message":[]}'), "message: expected `object`"),
    Odd("an update without a name", frame(message("StageUpdateMessage")), "messageId: must", "acs_message_dropped"),
    Odd(
        "interfaces that are a text",
        frame(message("AttachTaskNetworkInterfacesMessage", elasticNetworkInterfaces="all")),
        "message.elasticNetworkInterfaces: expected `array | null`",
    ),
    Odd(
        "an interface that is null",
        frame(message("AttachInstanceNetworkInterfacesMessage", elasticNetworkInterfaces=[None])),
        "message.elasticNetworkInterfaces[0]: expected `object`",
    ),
    Odd(
        "a time that is a text",
        frame(message("ConfirmAttachmentMessage", waitTimeoutMs="long")),
        "message.waitTimeoutMs: expected `int | null`",
    ),
    Odd(
        "a volume of nothing",
        frame(message("ConfirmAttachmentMessage", messageId="m")),
        "clusterArn: must be an ARN",
        "acs_message_dropped",
    ),
    # -- the fields
    Odd(
        "a heartbeat whose name is a number",
        frame(message("HeartbeatMessage", messageId=7)),
        "message.messageId: expected",
    ),
    Odd("tasks that are an object", frame(of_payload(tasks={})), "message.tasks: expected `array | null`"),
    Odd("tasks that are a text", frame(of_payload(tasks="all")), "message.tasks: expected `array | null`"),
    Odd("20,000 tasks", frame(of_payload(tasks=[{}] * 20_000)), "message.tasks: expected `array` of length <= 10000"),
    Odd("a payload's number as a text", frame(of_payload(seqNum="7")), "message.seqNum: expected `int | null`"),
    Odd("a payload's number of 64 bits", frame(of_payload(seqNum=2**63)), "message.seqNum: expected `int` <="),
    Odd("a payload's number of 4,000 digits", frame(of_payload(seqNum=10**4000)), "message.seqNum: "),
    Odd("a payload's number with a fraction", frame(of_payload(seqNum=1.5)), "message.seqNum: expected `int | null`"),
    Odd("a payload without a name", frame(of_payload(messageId=None)), "messageId: must", "acs_message_dropped"),
    Odd("a payload of no cluster", frame(of_payload(clusterArn="")), "clusterArn: must", "acs_message_dropped"),
    Odd(
        "a payload of no instance",
        frame(of_payload(containerInstanceArn="")),
        "containerInstanceArn",
        "acs_message_dropped",
    ),
    Odd(
        "credentials of no task",
        frame(message("IAMRoleCredentialsMessage", messageId="odd")),
        "taskArn",
        "acs_message_dropped",
    ),
    Odd(
        "a manifest with a task of no name",
        frame(of_manifest(tasks=[listed("")])),
        "tasks[0]: must",
        "acs_message_dropped",
    ),
    Odd("a manifest with a task that is null", frame(of_manifest(tasks=[None])), "message.tasks[0]: expected `object`"),
    Odd(
        "a manifest whose number is a text",
        frame(of_manifest(timeline="20")),
        "message.timeline: expected `int | null`",
    ),
    Odd(
        "stops that are to run",
        frame(message("TaskStopVerificationAck", messageId="odd", stopTasks=[listed("a")])),
        "stopTasks[0].desiredStatus: must be STOPPED",
        "acs_message_dropped",
    ),
)
