"""Our labels on a container: whose it is, and enough to rebuild its task when the journal is lost.

Task, container, family and version stand under Amazon's own names, where other tools look for them. Everything else
stands in `dockworker.spec` as JSON. No label holds environment, options or secrets.
"""

from collections.abc import Mapping

import msgspec

from agent.model.acts import CreateContainer
from agent.model.identity import Identity
from agent.model.names import DockerId, TaskArn
from agent.model.parts import Condition, Dependency, RestartPolicy
from agent.model.seen import Labels
from agent.model.task import ContainerSpec, PortMapping

AGENT = "dockworker.agent"
INSTANCE = "dockworker.instance"
HOME = "dockworker.home"
"""The agent's data directory: who has lost everything there finds out by it who it was."""
SPEC = "dockworker.spec"

TASK = "com.amazonaws.ecs.task-arn"
CONTAINER = "com.amazonaws.ecs.container-name"
FAMILY = "com.amazonaws.ecs.task-definition-family"
VERSION = "com.amazonaws.ecs.task-definition-version"
CLUSTER = "com.amazonaws.ecs.cluster"


Taken = Mapping[DockerId, Labels]
"""Containers that are ours though no label says so: an agent before us made them. What their labels would say."""

NOTHING_TAKEN: Taken = {}


class _Spec(msgspec.Struct, omit_defaults=True):
    """The JSON of `dockworker.spec`. Members that a newer agent added are ignored."""

    essential: bool = True
    stop_timeout: float | None = None
    ports: tuple[PortMapping, ...] = ()
    order: int = 0
    count: int = 1
    run: int = 1
    image: str = ""
    depends_on: tuple[Dependency, ...] = ()
    restart: RestartPolicy | None = None
    volumes: tuple[str, ...] = ()
    cgroup: bool = False
    digest: str = ""


def of_act(act: CreateContainer, owner: Identity, digest: str) -> Labels:
    """What the labels of the container that *act* asks for say."""
    return Labels(
        agent=owner.agent_id,
        instance=owner.instance_arn,
        task=act.task,
        container=act.container,
        family=act.family,
        version=act.version,
        essential=act.spec.essential,
        stop_timeout=act.spec.stop_timeout,
        ports=act.spec.ports,
        order=act.order,
        count=act.count,
        run=act.run,
        image=act.spec.image,
        depends_on=_needs(act.spec),
        restart=act.spec.restart,
        volumes=act.wiring.task_volumes,
        cgroup=bool(act.wiring.cgroup_parent),
        digest=digest,
    )


def write(labels: Labels, cluster: str, home: str = "") -> dict[str, str]:
    """The labels as Docker takes them; *home* is the agent's data directory."""
    spec = _Spec(
        essential=labels.essential,
        stop_timeout=labels.stop_timeout,
        ports=labels.ports,
        order=labels.order,
        count=labels.count,
        run=labels.run,
        image=labels.image,
        depends_on=labels.depends_on,
        restart=labels.restart,
        volumes=labels.volumes,
        cgroup=labels.cgroup,
        digest=labels.digest,
    )
    return {
        TASK: labels.task,
        CONTAINER: labels.container,
        FAMILY: labels.family,
        VERSION: labels.version,
        CLUSTER: cluster,
        AGENT: labels.agent,
        INSTANCE: labels.instance,
        HOME: home,
        SPEC: msgspec.json.encode(spec).decode(),
    }


def read(found: Mapping[str, str]) -> Labels | None:
    """What a container's labels say; None where they name no agent, task or container of ECS.

    A `dockworker.spec` that cannot be read leaves its defaults: such a container is still stopped and reported.
    """
    agent, task, container = found.get(AGENT, ""), found.get(TASK, ""), found.get(CONTAINER, "")
    if not (agent and task and container):
        return None
    try:
        spec = msgspec.json.decode(found.get(SPEC, "{}"), type=_Spec)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        spec = _Spec()
    return Labels(
        agent=agent,
        instance=found.get(INSTANCE, ""),
        task=TaskArn(task),
        container=container,
        family=found.get(FAMILY, ""),
        version=found.get(VERSION, ""),
        essential=spec.essential,
        stop_timeout=spec.stop_timeout,
        ports=spec.ports,
        order=spec.order,
        count=spec.count,
        run=spec.run,
        image=spec.image,
        depends_on=spec.depends_on,
        restart=spec.restart,
        volumes=spec.volumes,
        cgroup=spec.cgroup,
        digest=spec.digest,
    )


def ours(docker_id: str, found: Mapping[str, str], owner: Identity, taken: Taken) -> Labels | None:
    """What is known of a container by its labels, if it is *owner*'s; or by its id, if it was *taken* over."""
    told = read(found)
    if told is not None:
        return told if are_ours(told, owner) else None
    return taken.get(DockerId(docker_id))


def filter_for(taken: Taken) -> str:
    """The label that all containers of ours have. Those that were taken over have only what every agent of ECS sets."""
    return TASK if taken else AGENT


def are_ours(labels: Labels, owner: Identity) -> bool:
    """Does a container with *labels* belong to *owner*: this installation, or one that was lost but had its ARN?"""
    return labels.agent == owner.agent_id or bool(labels.instance and labels.instance == owner.instance_arn)


def are_of(labels: Labels, act: CreateContainer, digest: str) -> bool:
    """Is a container with *labels* the one that *act* asks for?"""
    return labels.task == act.task and labels.container == act.container and labels.digest == digest


def _needs(spec: ContainerSpec) -> tuple[Dependency, ...]:
    """All that the container waits for: what it says so itself, and what links and volumes of others imply."""
    linked = (Dependency(link.container, Condition.START) for link in spec.links)
    mounted = (Dependency(of.container, Condition.CREATE) for of in spec.volumes_from)
    return tuple(dict.fromkeys((*spec.depends_on, *linked, *mounted)))
