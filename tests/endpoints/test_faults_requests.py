import json
from typing import Any

import pytest

from agent.endpoints.faults_requests import BadRequest, is_address, read_request
from agent.model.faults import Blackhole, FaultKind, FaultOp, Latency, PacketLoss, Traffic
from agent.model.task import Transport

HOLE = {"Port": 80, "Protocol": "tcp", "TrafficType": "ingress"}
LATE = {"DelayMilliseconds": 100, "JitterMilliseconds": 5, "Sources": ["10.0.0.1"]}
LOST = {"LossPercent": 20, "Sources": ["10.0.2.0/24", "2001:db8::/64"]}
KINDS = {"hole": FaultKind.BLACKHOLE, "late": FaultKind.LATENCY, "lost": FaultKind.LOSS}
BODIES: dict[str, dict[str, Any]] = {"hole": HOLE, "late": LATE, "lost": LOST}


def refused(kind: FaultKind, body: bytes, op: FaultOp = FaultOp.START) -> str:
    with pytest.raises(BadRequest) as wrong:
        read_request(kind, op, body)
    return str(wrong.value)


def test_what_is_right_is_understood() -> None:
    hole = {**HOLE, "SourcesToFilter": ["10.0.0.9", "::1"]}
    lost = {**LOST, "SourcesToFilter": ["10.0.2.9"], "FlowsPercent": 50}

    assert read_request(FaultKind.BLACKHOLE, FaultOp.STATUS, json.dumps(hole).encode()) == Blackhole(
        80, Transport.TCP, Traffic.INGRESS, ("10.0.0.9", "::1")
    )
    assert read_request(FaultKind.LATENCY, FaultOp.START, json.dumps(LATE).encode()) == Latency(
        100, 5, ("10.0.0.1",), (), 100
    )
    assert read_request(FaultKind.LOSS, FaultOp.START, json.dumps(lost).encode()) == PacketLoss(
        20, ("10.0.2.0/24", "2001:db8::/64"), ("10.0.2.9",), 50
    )


def test_names_are_taken_in_any_case_others_are_passed_over_and_so_is_what_follows() -> None:
    body = b'{"port":0,"PROTOCOL":"udp","trafficType":"egress","Colour":{"a":[1]},"Port":null,"port":65535} and more'

    assert read_request(FaultKind.BLACKHOLE, FaultOp.START, body) == Blackhole(65535, Transport.UDP, Traffic.EGRESS)


@pytest.mark.parametrize("op", [FaultOp.STOP, FaultOp.STATUS])
@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"LossPercent":0}'])
def test_to_stop_latency_or_loss_or_to_ask_for_them_no_body_is_looked_at(op: FaultOp, body: bytes) -> None:
    assert read_request(FaultKind.LATENCY, op, body) == Latency()
    assert read_request(FaultKind.LOSS, op, body) == PacketLoss()


@pytest.mark.parametrize("op", list(FaultOp))
def test_a_black_hole_needs_its_whole_body_whatever_is_to_be_done(op: FaultOp) -> None:
    assert refused(FaultKind.BLACKHOLE, b"", op) == "required request body is missing"
    assert refused(FaultKind.BLACKHOLE, b'{"Port":1}', op) == "required parameter Protocol is missing"


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_body_that_is_no_object_is_refused_in_the_words_of_gos_decoder(kind: FaultKind) -> None:
    name = {
        FaultKind.BLACKHOLE: "NetworkBlackholePortRequest",
        FaultKind.LATENCY: "NetworkLatencyRequest",
        FaultKind.LOSS: "NetworkPacketLossRequest",
    }[kind]
    assert refused(kind, b" ") == "required request body is missing"
    assert refused(kind, b"{") == "unexpected EOF"
    for body, word in ((b"[]", "array"), (b"1", "number"), (b'""', "string"), (b"true", "bool")):
        assert refused(kind, body) == f"json: cannot unmarshal {word} into Go value of type types.{name}"


@pytest.mark.parametrize(
    ("which", "change", "text"),
    [
        ("hole", {"Port": None}, "required parameter Port is missing"),
        ("hole", {"Port": None, "Protocol": "x"}, "required parameter Port is missing"),
        ("hole", {"Protocol": ""}, "required parameter Protocol is missing"),
        ("hole", {"Protocol": "icmp", "TrafficType": ""}, "required parameter TrafficType is missing"),
        ("hole", {"Protocol": "icmp", "TrafficType": "x"}, "invalid value icmp for parameter Protocol"),
        ("hole", {"TrafficType": "Ingress"}, "invalid value Ingress for parameter TrafficType"),
        ("hole", {"SourcesToFilter": ["1.1.1.1", "1.1.1"]}, "invalid value 1.1.1 for parameter SourcesToFilter"),
        ("hole", {"SourcesToFilter": [None]}, "invalid value  for parameter SourcesToFilter"),
        ("late", {"DelayMilliseconds": None}, "required parameter DelayMilliseconds is missing"),
        ("late", {"JitterMilliseconds": None}, "required parameter JitterMilliseconds is missing"),
        (
            "late",
            {"DelayMilliseconds": 0, "JitterMilliseconds": 0},
            "required either DelayMilliseconds or JitterMilliseconds to be non-zero",
        ),
        ("late", {"Sources": []}, "required parameter Sources is missing"),
        ("late", {"Sources": None}, "required parameter Sources is missing"),
        ("late", {"Sources": ["x"], "SourcesToFilter": ["y"]}, "invalid value x for parameter Sources"),
        ("late", {"SourcesToFilter": ["10.0.0.0/33"]}, "invalid value 10.0.0.0/33 for parameter SourcesToFilter"),
        ("late", {"FlowsPercent": 0}, "invalid value 0 for parameter flowsPercent"),
        ("late", {"FlowsPercent": 101}, "invalid value 101 for parameter flowsPercent"),
        ("lost", {"LossPercent": None}, "required parameter LossPercent is missing"),
        ("lost", {"LossPercent": 0}, "invalid value 0 for parameter LossPercent"),
        ("lost", {"LossPercent": 101}, "invalid value 101 for parameter LossPercent"),
        ("lost", {"Sources": None, "FlowsPercent": 0}, "required parameter Sources is missing"),
        ("lost", {"FlowsPercent": 0}, "invalid value 0 for parameter flowsPercent"),
    ],
)
def test_what_is_missing_or_wrong_is_said(which: str, change: dict[str, Any], text: str) -> None:
    assert refused(KINDS[which], json.dumps(BODIES[which] | change).encode()) == text


@pytest.mark.parametrize(
    ("which", "member", "text"),
    [
        ("hole", '"Port":65536', "number 65536 into Go struct field NetworkBlackholePortRequest.Port of type uint16"),
        ("hole", '"port":-1', "number -1 into Go struct field NetworkBlackholePortRequest.Port of type uint16"),
        ("hole", '"Port":1.0', "number 1.0 into Go struct field NetworkBlackholePortRequest.Port of type uint16"),
        ("hole", '"Port":"1"', "string into Go struct field NetworkBlackholePortRequest.Port of type uint16"),
        ("hole", '"Protocol":6', "number into Go struct field NetworkBlackholePortRequest.Protocol of type string"),
        (
            "hole",
            '"SourcesToFilter":"::"',
            "string into Go struct field NetworkBlackholePortRequest.SourcesToFilter of type []*string",
        ),
        ("late", '"Sources":[{}]', "object into Go struct field NetworkLatencyRequest.Sources of type string"),
        (
            "lost",
            '"LossPercent":18446744073709551616',
            "number 18446744073709551616 into Go struct field NetworkPacketLossRequest.LossPercent of type uint64",
        ),
        (
            "lost",
            '"FlowsPercent":true',
            "bool into Go struct field NetworkPacketLossRequest.FlowsPercent of type uint64",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_said(which: str, member: str, text: str) -> None:
    assert refused(KINDS[which], f"{{{member}}}".encode()) == f"json: cannot unmarshal {text}"


@pytest.mark.parametrize("text", ["10.0.0.1", "::1", "10.0.0.1/8", "2001:db8::1/64", "0.0.0.0/0", "::ffff:1.2.3.4"])
def test_addresses_and_networks_are_both_sources(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "10.0.0.1/", "10.0.0.0/255.0.0.0", "fe80::1%eth0", "localhost", "1.2.3.4/-1", "::/129", "-j"]
)
def test_names_masks_and_zones_are_none(text: str) -> None:
    assert not is_address(text)
