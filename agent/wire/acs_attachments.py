"""What ECS says of things that are being attached to the host ("wire protocol", ENIs and the three attach messages).

Network interfaces of a task or of the instance, and volumes. Nothing is required here: what a message must have is for
the agent's reading of it to say (acs/attachments.py).
"""

from typing import Annotated, TypeAlias

import msgspec

from agent.wire.acs_parts import Attachment
from agent.wire.reading import Shape

MOST_INTERFACES = 1000
"""Of one message; no instance takes so many."""
Long: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What the protocol calls a long; nothing larger could be saved."""


class IPv4AddressAssignment(Shape, frozen=True):
    """An address of an interface."""

    private_address: str | None = None
    primary: bool | None = None


class IPv6AddressAssignment(Shape, frozen=True):
    """An address of an interface."""

    address: str | None = None
    primary: bool | None = None


class InterfaceVlanProperties(Shape, frozen=True):
    """Where a branch of a trunk interface grows."""

    vlan_id: str | None = None
    trunk_interface_mac_address: str | None = None


class InterfaceTunnelProperties(Shape, frozen=True):
    """In the protocol; no such interface is taken."""

    tunnel_id: str | None = None
    interface_ip_address: str | None = None


class InterfaceVethProperties(Shape, frozen=True):
    """In the protocol; no such interface is taken."""

    peer_interface: str | None = None


class ElasticNetworkInterface(Shape, frozen=True):
    """A network interface. It is known on the host by its MAC address."""

    attachment_arn: str | None = None
    ec2_id: str | None = None
    mac_address: str | None = None
    ipv4_addresses: list[IPv4AddressAssignment] | None = None
    ipv6_addresses: list[IPv6AddressAssignment] | None = None
    subnet_gateway_ipv4_address: str | None = None
    subnet_gateway_ipv6_address: str | None = None
    interface_association_protocol: str | None = None
    interface_vlan_properties: InterfaceVlanProperties | None = None
    domain_name: list[str] | None = None
    domain_name_servers: list[str] | None = None
    private_dns_name: str | None = None
    name: str | None = None
    """In the protocol, and not read. So are the rest."""
    index: int | None = None
    interface_tunnel_properties: InterfaceTunnelProperties | None = None
    interface_veth_properties: InterfaceVethProperties | None = None


Interfaces: TypeAlias = Annotated[list[ElasticNetworkInterface], msgspec.Meta(max_length=MOST_INTERFACES)]


class AttachTaskNetworkInterfacesMessage(Shape, frozen=True):
    """Interfaces for a task are on their way; the host has `wait_timeout_ms` to show them."""

    message_id: str | None = None
    cluster_arn: str | None = None
    container_instance_arn: str | None = None
    task_arn: str | None = None
    task_cluster_arn: str | None = None
    wait_timeout_ms: Long | None = None
    elastic_network_interfaces: Interfaces | None = None
    generated_at: Long | None = None


class AttachInstanceNetworkInterfacesMessage(Shape, frozen=True):
    """Interfaces for the instance itself are on their way, such as the trunk that tasks' interfaces grow from."""

    message_id: str | None = None
    cluster_arn: str | None = None
    container_instance_arn: str | None = None
    wait_timeout_ms: Long | None = None
    elastic_network_interfaces: Interfaces | None = None
    generated_at: Long | None = None


class ConfirmAttachmentMessage(Shape, frozen=True):
    """A volume is on its way; ECS wants to hear when it is there."""

    message_id: str | None = None
    cluster_arn: str | None = None
    container_instance_arn: str | None = None
    task_arn: str | None = None
    task_cluster_arn: str | None = None
    wait_timeout_ms: Long | None = None
    attachment: Attachment | None = None
    generated_at: Long | None = None


class UpdateInfo(Shape, frozen=True):
    """Where a new version of the agent is, and its checksum."""

    location: str | None = None
    signature: str | None = None


class StageUpdateMessage(Shape, frozen=True):
    """Fetch a new version of the agent."""

    message_id: str | None = None
    cluster_arn: str | None = None
    container_instance_arn: str | None = None
    update_info: UpdateInfo | None = None


class PerformUpdateMessage(Shape, frozen=True):
    """Put the version that was fetched in this one's place."""

    message_id: str | None = None
    cluster_arn: str | None = None
    container_instance_arn: str | None = None
    update_info: UpdateInfo | None = None
