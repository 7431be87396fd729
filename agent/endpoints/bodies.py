"""The metadata of containers and tasks, in their three versions: v2 and v3 show the same, v4 shows more.

What a task is and how far it has come stands in its row; what only Docker knows comes as a portrait. Keys come in the
order of Amazon's agent, and those that are empty are left out where it leaves them out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.endpoints import bodies_networks
from agent.engine import naming
from agent.model.errors import BadInput
from agent.model.portrait import Eni, Portrait
from agent.model.status import Health, Status
from agent.model.task import Container, ContainerSpec, Task
from agent.wire import shown
from agent.wire.go_json import JsonObject, Struct, filled, moment
from agent.wire.reading import member, read_document

V2, V3, V4 = 2, 3, 4
LEAST_SHARES = 2
"""Docker's word for no shares of its own."""
NORMAL = "NORMAL"
OURS = "dockworker."
"""How labels begin by which this agent knows its containers: they are nobody else's business."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where all this runs. What is not known is empty."""

    cluster: str
    availability_zone: str = ""
    zone_id: str = ""
    vpc_id: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """One container: as asked for, as far as it has come, and as Docker shows it. None where Docker shows nothing."""

    task: Task
    spec: ContainerSpec
    container: Container
    portrait: Portrait | None = None
    eni: Eni | None = None

    @property
    def has_networks(self) -> bool:
        """Can be said in which networks it is?"""
        return self.eni is not None or self.portrait is not None


@dataclass(frozen=True, slots=True)
class TagsFound:
    """The tags of a task and of its container instance, and what was in the way of them."""

    task: Mapping[str, str] = field(default_factory=dict)
    instance: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[JsonObject] = ()


NO_TAGS = TagsFound()


def container(look: Look, version: int) -> JsonObject:
    """The object of one container. Without ``Networks`` where nothing is known of them."""
    body = _identity(look) | _course(look, version)
    networks = {"Networks": _networks(look, version)} if look.has_networks and look.container.docker_id else {}
    if version < V4:
        body |= networks
    body |= _health(look) | filled({"Volumes": look.portrait and shown.volumes(look.portrait)})
    if version < V4:
        return body
    driver, options = _logs(look.spec)
    body |= filled({"LogDriver": driver, "LogOptions": options, "ContainerARN": look.spec.container_arn}) | networks
    return body | ({"RestartCount": look.container.restarts} if look.spec.restart is not None else {})


def task(row: Task, looks: Sequence[Look], place: Place, version: int, tags: TagsFound = NO_TAGS) -> JsonObject:
    """The object of a task, with those of its containers that Docker has, and in v4 those that it will have next."""
    containers = [container(look, version) for look in looks if look.container.docker_id]
    body: JsonObject = {
        "Cluster": place.cluster,
        "TaskARN": row.arn,
        "Family": row.spec.family,
        "Revision": row.spec.version,
        "DesiredStatus": _of_task(row.wanted),
        "KnownStatus": _of_task(row.known),
    }
    if version < V4:
        body |= filled({"Containers": containers})
    body |= filled(
        {
            "Limits": filled({"CPU": row.spec.cpu, "Memory": row.spec.memory}),
            "PullStartedAt": moment(row.pull_started_at),
            "PullStoppedAt": moment(row.pull_stopped_at),
            "ExecutionStoppedAt": moment(row.execution_stopped_at),
            "AvailabilityZone": place.availability_zone,
            "TaskTags": _sorted(tags.task),
            "ContainerInstanceTags": _sorted(tags.instance),
        }
    )
    if version < V4:
        return body
    pulled = [container(replace(look, portrait=None), version) for look in looks if _is_only_pulled(look.container)]
    body |= filled({"LaunchType": row.spec.launch_type, "Errors": list(tags.errors), "Containers": containers + pulled})
    body |= filled({"VPCID": place.vpc_id, "ServiceName": row.spec.service})
    body["FaultInjectionEnabled"] = row.spec.fault_injection
    return body | filled({"AvailabilityZoneID": place.zone_id})


def _identity(look: Look) -> JsonObject:
    made = bool(look.container.docker_id)
    name = look.portrait.name if look.portrait else naming.container_name(look.task.spec, look.spec.name)
    return {
        "DockerId": look.container.docker_id,
        "Name": look.spec.name,
        "DockerName": name if made else "",
        "Image": look.spec.image,
        "ImageID": look.portrait.image_id if look.portrait else "",
    }


def _course(look: Look, version: int) -> JsonObject:
    row, portrait = look.container, look.portrait
    ports = portrait.ports if portrait else ()
    if look.eni is not None:
        ports = tuple(replace(one, host_port=one.container_port) for one in ports)
    labels = portrait.labels if portrait else {}
    body = filled(
        {
            "Ports": [shown.port(one, with_ip=version >= V4) for one in ports],
            "Labels": _sorted({name: value for name, value in labels.items() if not name.startswith(OURS)}),
        }
    )
    body |= {"DesiredStatus": row.wanted.name, "KnownStatus": row.known.name}
    body |= {} if row.exit_code is None else {"ExitCode": row.exit_code}
    body["Limits"] = {"CPU": max(look.spec.cpu, LEAST_SHARES), "Memory": look.spec.memory}
    body |= filled(
        {
            "CreatedAt": (portrait and portrait.created_at) or moment(row.created_at),
            "StartedAt": (portrait and portrait.started_at) or moment(row.started_at),
            "FinishedAt": _finished(look) if row.known is Status.STOPPED else "",
        }
    )
    return body | {"Type": NORMAL}


def _finished(look: Look) -> str:
    """A container that runs again has a former end; that of its last run is what is asked about."""
    return (look.portrait and look.portrait.finished_at) or moment(look.container.finished_at)


def _networks(look: Look, version: int) -> bodies_networks.Networks:
    if look.eni is not None:
        return bodies_networks.of_interface(look.eni, with_properties=version >= V4)
    return bodies_networks.of_docker(look.portrait, with_ipv6=version >= V4) if look.portrait is not None else ()


def _health(look: Look) -> JsonObject:
    """What the health check says. It has nothing to say while the container starts, and that is shown too."""
    row = look.container
    if not look.spec.health_check:
        return {}
    if row.health is Health.UNKNOWN:
        return {"Health": Struct()}
    failed = row.health is Health.UNHEALTHY and look.portrait is not None
    return {
        "Health": filled(
            {
                "status": row.health.value,
                "statusSince": moment(row.health_since),
                "exitCode": look.portrait.health_exit_code if failed and look.portrait else 0,
                "output": row.health_output,
            }
        )
    }


def _logs(spec: ContainerSpec) -> tuple[str, JsonObject]:
    """Driver and options as ECS asked for them: what the agent adds, and what was secret, is not among them."""
    try:
        log = member(read_document(spec.host_config, "hostConfig"), "LogConfig")
    except BadInput:  # then Docker never made it
        return "", {}
    if not isinstance(log, dict):
        return "", {}
    driver, options = member(log, "Type"), member(log, "Config")
    return driver if isinstance(driver, str) else "", _sorted(options) if isinstance(options, dict) else {}


def _is_only_pulled(row: Container) -> bool:
    return row.known is Status.PULLED and not row.docker_id


def _of_task(status: Status) -> str:
    """A task that has its images has no word for it."""
    return Status.NONE.name if status is Status.PULLED else status.name


def _sorted(found: Mapping[str, object]) -> JsonObject:
    return dict(sorted(found.items()))
