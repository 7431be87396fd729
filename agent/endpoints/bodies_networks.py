"""The ``Networks`` of a container in its metadata, by network mode."""

from collections.abc import Sequence
from ipaddress import ip_interface

from agent.model.portrait import Eni, Portrait
from agent.wire.go_json import JsonObject, filled

AWSVPC = "awsvpc"
_DUAL_STACK = 64
"""The prefix length of every IPv6 subnet of a VPC."""

Networks = Sequence[JsonObject]


def of_docker(portrait: Portrait, *, with_ipv6: bool) -> Networks:
    """One entry for each network of Docker's. A container without an address of its own has one that is empty."""
    if not portrait.networks:
        return [_entry(portrait.network_mode, "", "")]
    return [_entry(one.name, one.ipv4, one.ipv6 if with_ipv6 else "") for one in portrait.networks]


def of_interface(eni: Eni, *, with_properties: bool) -> Networks:
    """The task's own interface, which all its containers share."""
    base = {"NetworkMode": AWSVPC} | filled({"IPv4Addresses": list(eni.ipv4), "IPv6Addresses": list(eni.ipv6)})
    return [base | _properties(eni)] if with_properties else [base]


def _entry(mode: str, ipv4: str, ipv6: str) -> JsonObject:
    return {"NetworkMode": mode, "IPv4Addresses": [ipv4]} | filled({"IPv6Addresses": [ipv6] if ipv6 else []})


def _properties(eni: Eni) -> JsonObject:
    return {"AttachmentIndex": 0} | filled(
        {
            "MACAddress": eni.mac,
            "IPv4SubnetCIDRBlock": _subnet(eni.gateway_ipv4) if eni.ipv4 else "",
            "IPv6SubnetCIDRBlock": _ipv6_subnet(eni),
            "DomainNameServers": list(eni.dns_servers),
            "DomainNameSearchList": list(eni.dns_search),
            "PrivateDNSName": eni.private_dns_name,
            "SubnetGatewayIpv4Address": eni.gateway_ipv4,
            "SubnetGatewayIpv6Address": "" if eni.ipv4 else eni.gateway_ipv6,
        }
    )


def _ipv6_subnet(eni: Eni) -> str:
    if not eni.ipv6:
        return ""
    return _subnet(f"{eni.ipv6[0]}/{_DUAL_STACK}") if eni.ipv4 else _subnet(eni.gateway_ipv6)


def _subnet(address: str) -> str:
    return str(ip_interface(address).network) if address else ""
