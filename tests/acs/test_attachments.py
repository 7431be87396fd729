"""Word of things that are being attached: what is taken from it, and what is not even answered."""

import json
from copy import deepcopy
from typing import Any

import pytest

from agent.acs.heard import Heard
from agent.acs.session import received
from agent.model.attachments import AttachmentKind
from agent.model.events import AttachmentAnnounced
from agent.model.names import TaskArn
from agent.wire import acs
from tests.engine.rows import T0
from tests.wire import matrix
from tests.wire.matrix import CLUSTER, INSTANCE, MAC, TASK, attachment_arn, interface, volume

Frame = dict[str, Any]
EPHEMERAL = {
    "resourceType": "EphemeralStorage",
    "volumeID": "vol-1",
    "deviceName": "/dev/xvdcz",
    "volumeSizeInGiB": "30",
    "requestedSizeInGiB": "30",
    "resourceID": "r-1",
}
ELASTIC = {"resourceType": "ElasticBlockStorage", "volumeID": "vol-1", "deviceName": "/dev/xvdcz"}
VLAN = {"interfaceAssociationProtocol": "vlan"}
IPV6_ONLY: Frame = {
    "ipv4Addresses": [],
    "subnetGatewayIpv4Address": None,
    "ipv6Addresses": [{"address": "2600::1", "primary": True}],
}


def hear(frame: Frame, **changes: object) -> Heard:
    """What *frame* comes to with *changes* to its message."""
    changed = deepcopy(frame)
    changed["message"] |= changes
    return received(json.dumps(changed), T0, lambda: "00" * 20)


def without(properties: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in properties.items() if key != name}


def error_of(heard: Heard) -> object:
    """Why nothing came of a message; it was understood all the same, and nothing leaves for it."""
    assert (heard.events, heard.acks, heard.replies, heard.understood) == ((), (), (), True)
    [note] = heard.notes
    assert note.event == "acs_message_dropped"
    return note.fields["error"]


def test_each_interface_of_a_task_is_announced_and_the_message_acknowledged_after_that_is_saved() -> None:
    two = [interface("a", MAC.upper()), interface("b", "0a:00:00:00:00:02")]
    heard = hear(matrix.ATTACH_TASK, elasticNetworkInterfaces=two)

    kind, task = AttachmentKind.TASK_INTERFACE, TaskArn(TASK)
    assert heard.events == (
        AttachmentAnnounced(attachment_arn("a"), kind, MAC, 300_000, T0, task, "eni-1"),
        AttachmentAnnounced(attachment_arn("b"), kind, "0a:00:00:00:00:02", 300_000, T0, task, "eni-1"),
    )
    assert heard.acks == (acs.AckRequest(CLUSTER, INSTANCE, "eni-1"),)
    assert heard.replies == ()


def test_an_interface_of_the_instance_belongs_to_no_task() -> None:
    [event] = hear(matrix.ATTACH_INSTANCE).events

    assert isinstance(event, AttachmentAnnounced)
    assert (event.kind, event.key, event.wait_ms, event.task) == (
        AttachmentKind.INSTANCE_INTERFACE,
        matrix.TRUNK_MAC,
        60_000,
        "",
    )


@pytest.mark.parametrize("wait", [300_000, None, 0])
def test_a_volume_is_known_by_the_serial_number_of_its_disk_and_has_five_minutes_if_nothing_is_said(
    wait: int | None,
) -> None:
    heard = hear(matrix.CONFIRM, waitTimeoutMs=wait)

    serial, kind = "vol0123456789abcdef0", AttachmentKind.VOLUME
    assert heard.events == (
        AttachmentAnnounced(attachment_arn("77776666"), kind, serial, 300_000, T0, TaskArn(TASK), "ebs-1"),
    )
    assert heard.acks == (acs.AckRequest(CLUSTER, INSTANCE, "ebs-1"),)


def test_a_volume_may_have_no_time_at_all_and_a_wait_may_be_longer_than_dates_can_tell() -> None:
    for wait, counted in ((-1, -1), (2**62, 7 * 24 * 3600 * 1000)):
        [event] = hear(matrix.CONFIRM, waitTimeoutMs=wait).events
        assert isinstance(event, AttachmentAnnounced)
        assert event.wait_ms == counted


@pytest.mark.parametrize("properties", [EPHEMERAL, ELASTIC])
def test_what_older_messages_attach_is_acknowledged_and_means_nothing_here(properties: dict[str, str]) -> None:
    heard = hear(matrix.CONFIRM, attachment=volume("x", properties, kind="eni"))

    assert (heard.events, heard.acks) == ((), (acs.AckRequest(CLUSTER, INSTANCE, "ebs-1"),))


@pytest.mark.parametrize(
    "good",
    [
        {"interfaceAssociationProtocol": None},
        {**VLAN, "interfaceVlanProperties": {"vlanId": "7", "trunkInterfaceMacAddress": matrix.TRUNK_MAC}},
        {**IPV6_ONLY, "subnetGatewayIpv6Address": "2600::/64"},
    ],
)
def test_interfaces_may_be_of_these_kinds_too(good: Frame) -> None:
    assert len(hear(matrix.ATTACH_INSTANCE, elasticNetworkInterfaces=[interface("a", MAC, **good)]).events) == 1


@pytest.mark.parametrize("frame", [matrix.ATTACH_TASK, matrix.ATTACH_INSTANCE], ids=["task", "instance"])
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"messageId": None}, "messageId: must not be empty"),
        ({"clusterArn": ""}, "clusterArn: must not be empty"),
        ({"containerInstanceArn": None}, "containerInstanceArn: must not be empty"),
        ({"waitTimeoutMs": 0}, "waitTimeoutMs: must be above 0"),
        ({"waitTimeoutMs": None}, "waitTimeoutMs: must be above 0"),
        ({"elasticNetworkInterfaces": []}, "elasticNetworkInterfaces: must not be empty"),
    ],
)
def test_a_message_that_is_not_whole_is_not_answered(frame: Frame, changes: Frame, error: str) -> None:
    assert error_of(hear(frame, **changes)) == error


def test_an_interface_of_a_task_names_the_task() -> None:
    assert error_of(hear(matrix.ATTACH_TASK, taskArn="")) == "taskArn: must not be empty"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"attachmentArn": None}, "attachmentArn: must not be empty"),
        ({"ec2Id": None}, "ec2Id: must not be empty"),
        ({"macAddress": ""}, "macAddress: must not be empty"),
        ({"ipv4Addresses": None}, "ipv4Addresses: must not be empty"),
        ({"subnetGatewayIpv4Address": None}, "subnetGatewayIpv4Address: must be an address and a prefix"),
        ({"subnetGatewayIpv4Address": "10.0.1.1"}, "subnetGatewayIpv4Address: must be an address and a prefix"),
        ({"subnetGatewayIpv4Address": "1/2/3"}, "subnetGatewayIpv4Address: must be an address and a prefix"),
        (IPV6_ONLY, "subnetGatewayIpv6Address: must be an address and a prefix"),
        ({"interfaceAssociationProtocol": "tunnel"}, "interfaceAssociationProtocol: must be default or vlan"),
        (VLAN, "interfaceVlanProperties: must have a vlanId and a trunkInterfaceMacAddress"),
        (
            {**VLAN, "interfaceVlanProperties": {"vlanId": "7", "trunkInterfaceMacAddress": ""}},
            "interfaceVlanProperties: must have a vlanId and a trunkInterfaceMacAddress",
        ),
    ],
)
def test_one_bad_interface_spoils_the_message(changes: Frame, error: str) -> None:
    found = [interface("good", "0a:00:00:00:00:09"), interface("bad", MAC, **changes)]

    assert error_of(hear(matrix.ATTACH_TASK, elasticNetworkInterfaces=found)) == f"elasticNetworkInterfaces[1].{error}"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"messageId": ""}, "messageId: must not be empty"),
        ({"clusterArn": "demo"}, "clusterArn: must be an ARN"),
        ({"containerInstanceArn": "arn:aws:ecs"}, "containerInstanceArn: must be an ARN"),
        ({"attachment": None}, "attachment: is missing"),
        ({"attachment": {**volume("x"), "attachmentArn": "x"}}, "attachment.attachmentArn: must be an ARN"),
        (
            {"attachment": volume("x", {**matrix.VOLUME_PROPERTIES, "deviceName": ""})},
            "attachment.attachmentProperties[2]: must have a name and a value",
        ),
        (
            {"attachment": volume("x", {**matrix.VOLUME_PROPERTIES, "fileSystem": "zfs"})},
            "attachment.attachmentProperties: fileSystem must be one of xfs, ext2, ext3, ext4, ntfs",
        ),
        *(
            ({"attachment": volume("x", without(matrix.VOLUME_PROPERTIES, name))}, f"must have a {name}")
            for name in matrix.VOLUME_PROPERTIES
            if name != "fileSystem"
        ),
        *(
            ({"attachment": volume("x", without(EPHEMERAL, name), kind="eni")}, f"must have a {name}")
            for name in EPHEMERAL
            if name != "resourceType"
        ),
        (
            {"attachment": volume("x", without(ELASTIC, "deviceName"), kind="eni")},
            "attachment.attachmentProperties: must have a deviceName",
        ),
        ({"attachment": volume("x", kind="s3files")}, "EphemeralStorage or ElasticBlockStorage"),
    ],
)
def test_a_volume_that_is_not_whole_is_not_answered(changes: Frame, error: str) -> None:
    assert error in str(error_of(hear(matrix.CONFIRM, **changes)))
