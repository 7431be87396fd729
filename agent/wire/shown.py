"""What containers and operators are shown alike of a container: its ports and its volumes."""

from agent.model.portrait import Portrait, PublishedPort
from agent.model.task import PortMapping
from agent.wire.go_json import JsonObject, filled


def port(published: PublishedPort, *, with_ip: bool = False) -> JsonObject:
    """One binding. ``HostIp`` came with metadata v4; without it a port that IPv4 and IPv6 share shows twice."""
    return filled(
        {
            "ContainerPort": published.container_port,
            "Protocol": published.transport,
            "HostPort": published.host_port,
            "HostIp": published.host_ip if with_ip else "",
        }
    )


def ports(portrait: Portrait, *, with_ip: bool = False) -> list[JsonObject]:
    """What Docker has published."""
    return [port(one, with_ip=with_ip) for one in portrait.ports]


def asked_port(mapping: PortMapping) -> JsonObject:
    """A port as the task definition has it, which is all that is known while Docker publishes none."""
    return port(PublishedPort(mapping.container_port, mapping.transport.value, mapping.host_port))


def volumes(portrait: Portrait) -> list[JsonObject]:
    """What is mounted, by where: Docker's own order is another each time."""
    return [
        filled({"DockerName": one.docker_name, "Source": one.source, "Destination": one.destination})
        for one in sorted(portrait.mounts, key=lambda mount: mount.destination)
    ]
