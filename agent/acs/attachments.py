"""Word of things that are being attached to the host ("wire protocol", ENIs and the three attach messages). Pure.

What is wrong with a message is never told: ECS hears no answer, and sends it again or gives up. A message is good as a
whole or not at all.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from agent.acs.heard import Heard, Note, dropped, lack
from agent.model.attachments import AttachmentKind
from agent.model.errors import BadInput
from agent.model.events import AttachmentAnnounced
from agent.model.names import TaskArn
from agent.wire import acs, acs_attachments
from agent.wire.acs_parts import AttachmentProperty

LONGEST_WAIT = 7 * 24 * 60 * 60 * 1000
"""Milliseconds; whatever is longer is as good as this, and can be counted."""
VOLUME_WAIT = 300_000
"""Milliseconds that a volume has if the message does not say."""
ARN_PARTS = 6
DEFAULT, VLAN = "default", "vlan"
EBS = "amazonebs"
FILE_SYSTEMS = ("xfs", "ext2", "ext3", "ext4", "ntfs")
EBS_NEEDS = ("volumeId", "volumeSizeGib", "deviceName", "sourceVolumeHostPath", "volumeName")
RESOURCE_NEEDS = {
    "EphemeralStorage": ("volumeID", "deviceName", "volumeSizeInGiB", "requestedSizeInGiB", "resourceID"),
    "ElasticBlockStorage": ("volumeID", "deviceName"),
}
"""What older messages call by `resourceType`, and what each must say. They are acknowledged, and mean nothing here."""


def interfaces(
    message: acs_attachments.AttachTaskNetworkInterfacesMessage
    | acs_attachments.AttachInstanceNetworkInterfacesMessage,
    now: datetime,
) -> Heard:
    """Network interfaces, of a task or of the instance, that the host is about to have."""
    of_task = isinstance(message, acs_attachments.AttachTaskNetworkInterfacesMessage)
    task = message.task_arn if isinstance(message, acs_attachments.AttachTaskNetworkInterfacesMessage) else None
    wait, found = message.wait_timeout_ms or 0, message.elastic_network_interfaces or []
    rules = (
        lack(message.message_id, message.cluster_arn, message.container_instance_arn),
        "taskArn: must not be empty" if of_task and not task else "",
        "waitTimeoutMs: must be above 0" if wait <= 0 else "",
        "elasticNetworkInterfaces: must not be empty" if not found else "",
        *(f"elasticNetworkInterfaces[{at}].{bad}" for at, bad in _bad_ones(found)),
    )
    if missing := next(filter(None, rules), ""):
        return dropped(message.message_id, missing)
    kind = AttachmentKind.TASK_INTERFACE if of_task else AttachmentKind.INSTANCE_INTERFACE
    announced = (((one.attachment_arn or ""), (one.mac_address or "").lower()) for one in found)
    return _heard(
        message,
        tuple(
            AttachmentAnnounced(
                arn, kind, mac, min(wait, LONGEST_WAIT), now, TaskArn(task or ""), message.message_id or ""
            )
            for arn, mac in announced
        ),
    )


def volume(message: acs_attachments.ConfirmAttachmentMessage, now: datetime) -> Heard:
    """A volume that the host is about to have."""
    try:
        kind, properties = _read_volume(message)
    except BadInput as bad:
        return dropped(message.message_id, str(bad))
    if kind != EBS:
        return _heard(message, ())
    one = AttachmentAnnounced(
        arn=(message.attachment and message.attachment.attachment_arn) or "",
        kind=AttachmentKind.VOLUME,
        key=serial_of(properties["volumeId"]),
        wait_ms=min(message.wait_timeout_ms or VOLUME_WAIT, LONGEST_WAIT),
        at=now,
        task=TaskArn(message.task_arn or ""),
        cause=message.message_id or "",
    )
    return _heard(message, (one,))


def serial_of(volume_id: str) -> str:
    """The serial number that a disk shows whose volume is called *volume_id*."""
    return volume_id.replace("-", "")


def _heard(
    message: acs_attachments.AttachTaskNetworkInterfacesMessage
    | acs_attachments.AttachInstanceNetworkInterfacesMessage
    | acs_attachments.ConfirmAttachmentMessage,
    events: tuple[AttachmentAnnounced, ...],
) -> Heard:
    named = [event.arn for event in events]
    fields = {"type": type(message).__name__, "message_id": message.message_id, "attachments": named}
    return Heard(
        events=events,
        acks=(acs.AckRequest(message.cluster_arn, message.container_instance_arn, message.message_id),),
        notes=(Note("acs_attachments_announced", fields),),
    )


def _bad_ones(found: Iterable[acs_attachments.ElasticNetworkInterface]) -> Iterator[tuple[int, str]]:
    return ((at, bad) for at, one in enumerate(found) for bad in _broken_rules(one))


def _broken_rules(one: acs_attachments.ElasticNetworkInterface) -> Iterator[str]:
    """Each field of an interface that breaks a rule, and the rule."""
    named = (("attachmentArn", one.attachment_arn), ("ec2Id", one.ec2_id), ("macAddress", one.mac_address))
    yield from (f"{name}: must not be empty" for name, value in named if not value)
    only_ipv6 = one.ipv6_addresses and not one.ipv4_addresses
    if not only_ipv6 and not one.ipv4_addresses:
        yield "ipv4Addresses: must not be empty"
    version = "6" if only_ipv6 else "4"
    gateway = one.subnet_gateway_ipv6_address if only_ipv6 else one.subnet_gateway_ipv4_address
    if (gateway or "").count("/") != 1:
        yield f"subnetGatewayIpv{version}Address: must be an address and a prefix"
    if one.interface_association_protocol not in (None, DEFAULT, VLAN):
        yield f"interfaceAssociationProtocol: must be {DEFAULT} or {VLAN}"
    vlan = one.interface_vlan_properties or acs_attachments.InterfaceVlanProperties()
    if one.interface_association_protocol == VLAN and not (vlan.vlan_id and vlan.trunk_interface_mac_address):
        yield "interfaceVlanProperties: must have a vlanId and a trunkInterfaceMacAddress"


def _read_volume(message: acs_attachments.ConfirmAttachmentMessage) -> tuple[str, Mapping[str, str]]:
    """The kind of a volume and its properties. Raises BadInput."""
    if not message.message_id:
        raise BadInput("messageId", "must not be empty")
    for name, value in (("clusterArn", message.cluster_arn), ("containerInstanceArn", message.container_instance_arn)):
        _require_arn(value, name)
    if message.attachment is None:
        raise BadInput("attachment", "is missing")
    _require_arn(message.attachment.attachment_arn, "attachment.attachmentArn")
    properties = dict(_properties(message.attachment.attachment_properties or ()))
    kind = message.attachment.attachment_type or ""
    needs = EBS_NEEDS if kind == EBS else RESOURCE_NEEDS.get(properties.get("resourceType", ""))
    if needs is None:
        known = " or ".join(RESOURCE_NEEDS)
        raise BadInput("attachment", f"must be of type {EBS}, or have a resourceType, which must be {known}")
    if lacking := next((name for name in needs if name not in properties), ""):
        raise BadInput("attachment.attachmentProperties", f"must have a {lacking}")
    if kind == EBS and properties.get("fileSystem", FILE_SYSTEMS[0]) not in FILE_SYSTEMS:
        raise BadInput("attachment.attachmentProperties", f"fileSystem must be one of {', '.join(FILE_SYSTEMS)}")
    return kind, properties


def _properties(given: Iterable[AttachmentProperty]) -> Iterator[tuple[str, str]]:
    for at, one in enumerate(given):
        if not one.name or not one.value:
            raise BadInput(f"attachment.attachmentProperties[{at}]", "must have a name and a value")
        yield one.name, one.value


def _require_arn(text: str | None, path: str) -> None:
    if not text or len(text.split(":", ARN_PARTS - 1)) < ARN_PARTS or not text.startswith("arn:"):
        raise BadInput(path, "must be an ARN")
