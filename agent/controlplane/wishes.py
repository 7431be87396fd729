"""What the control plane itself wants of an agent: to look out for an attachment, to put a new version in its place."""

from dataclasses import replace

from agent.controlplane import arns
from agent.controlplane.draw import Draw
from agent.controlplane.events import AttachmentWanted, UpdateWanted
from agent.controlplane.faults import Fault, invalid
from agent.controlplane.notices import KINDS, TASK_INTERFACE, put_update
from agent.controlplane.records import AgentUpdate, Attachment, ContainerInstance
from agent.controlplane.world import World

UNDER_WAY = ("PENDING", "STAGING", "STAGED", "UPDATING")


def want_attachment(world: World, event: AttachmentWanted) -> None:
    """Begin an attachment: its agent is told until it acknowledges, and has until the time is up to see it."""
    home = _active(world, event.instance)
    task = world.tasks.get(event.task)
    if event.kind not in KINDS:
        raise invalid(f"kind must be one of {', '.join(KINDS)}")
    if (event.task and (task is None or task.instance != home.arn)) or (
        event.kind == TASK_INTERFACE and not event.task
    ):
        raise invalid("task must be one of this container instance")
    world.put(
        Attachment(
            arn=arns.make(world.region, world.account, "attachment", Draw(event.draw).digits()),
            cluster=home.cluster,
            instance=home.arn,
            kind=event.kind,
            seq=world.next_seq(event.at),
            expires_at=event.at + event.wait,
            details=event.details,
            task=event.task,
        )
    )


def want_update(world: World, event: UpdateWanted) -> None:
    """Begin an update, unless one is under way."""
    home = _active(world, event.instance)
    if home.update is not None and home.update.status in UNDER_WAY:
        raise Fault("UpdateInProgressException", "There is already a current Amazon ECS agent update in progress.")
    put_update(world, home, AgentUpdate(event.location, event.signature, world.next_seq(event.at)))


def updated(instance: ContainerInstance, version: str, commit: str) -> AgentUpdate | None:
    """The update of an agent that has just connected: over, if another program than before has come."""
    update = instance.update
    changed = (version, commit) != (instance.agent_version, instance.agent_hash)
    if update is not None and update.status == "UPDATING" and changed:
        return replace(update, status="UPDATED")
    return update


def _active(world: World, arn: str) -> ContainerInstance:
    home = world.instances.get(arn)
    if home is None or home.status == "INACTIVE":
        raise invalid("The referenced container instance was not found.")
    return home
