"""The file that tells a container of itself: what stands in it, and where the container finds it.

Before the container is created the file says little; once it runs, all. A reader knows the second form by its status.
"""

from dataclasses import dataclass, replace
from uuid import NAMESPACE_URL, uuid5

from agent.endpoints.bodies_networks import of_docker
from agent.model.acts import CreateContainer
from agent.model.names import TaskArn
from agent.model.portrait import Portrait
from agent.wire import go_json
from agent.wire.go_json import JsonObject, filled

NAME = "ecs-container-metadata.json"
VARIABLE = "ECS_CONTAINER_METADATA_FILE"
READY = "READY"
_INSIDE = "/opt/ecs/metadata"


@dataclass(frozen=True, slots=True)
class Here:
    """The instance, as the files of its containers name it. What is not known is left out of them."""

    cluster: str
    instance_arn: str = ""
    availability_zone: str = ""
    private_ipv4: str = ""
    public_ipv4: str = ""
    ipv6: str = ""
    """Told in place of the other two, where the instance has no IPv4."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose file it is."""

    task: TaskArn
    family: str
    revision: str
    container: str


def first_form(subject: Subject, here: Here) -> bytes:
    """What is known before the container is created."""
    return _text(subject, here, {}, {})


def full_form(subject: Subject, here: Here, portrait: Portrait) -> bytes:
    """All there is, once the container runs."""
    ports = [
        {
            "ContainerPort": one.container_port,
            "ContainerPortRange": "",
            "HostPort": one.host_port,
            "BindIp": one.host_ip,
            "Protocol": one.transport,
        }
        for one in portrait.ports
    ]
    of_container: JsonObject = {
        "DockerContainerName": f"/{portrait.name}",
        "ImageID": portrait.image_id,
        "ImageName": portrait.image,
        "PortMappings": ports,
        "Networks": of_docker(portrait, with_ipv6=True),
        "MetadataFileStatus": READY,
    }
    return _text(subject, here, {"ContainerID": portrait.docker_id}, of_container)


def inside(task: TaskArn, container: str) -> str:
    """The folder in the container. It derives, so that a second attempt to create the container asks for the same."""
    return f"{_INSIDE}/{uuid5(NAMESPACE_URL, f'{task}/{container}')}"


def given(act: CreateContainer, folder: str, *, selinux: bool) -> CreateContainer:
    """*act* for a container that has its file, in *folder* on the host, and knows where."""
    where = inside(act.task, act.container)
    bind = f"{folder}:{where}{':Z' if selinux else ''}"
    environment = {**act.spec.environment, VARIABLE: f"{where}/{NAME}"}
    wiring = replace(act.wiring, binds=(*act.wiring.binds, bind))
    return replace(act, spec=replace(act.spec, environment=environment), wiring=wiring)


def _text(subject: Subject, here: Here, docker_id: JsonObject, of_container: JsonObject) -> bytes:
    addresses = (
        {"HostIPv6Address": here.ipv6}
        if here.ipv6
        else {"HostPrivateIPv4Address": here.private_ipv4, "HostPublicIPv4Address": here.public_ipv4}
    )
    members: JsonObject = {
        "Cluster": here.cluster,
        "ContainerInstanceARN": here.instance_arn,
        "TaskARN": subject.task,
        "TaskDefinitionFamily": subject.family,
        "TaskDefinitionRevision": subject.revision,
        **docker_id,
        "ContainerName": subject.container,
        **of_container,
        "AvailabilityZone": here.availability_zone,
        **addresses,
    }
    return go_json.indented(filled(members))
