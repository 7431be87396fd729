"""What an agent is owed besides its tasks: word of things attached to its host, and updates of itself.

Derived from records each time it is asked, like deliveries, under names that are derived too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from agent.controlplane import arns
from agent.controlplane.records import AgentUpdate, Attachment, ContainerInstance, JsonObject
from agent.controlplane.world import World

ATTACH, STAGE, PERFORM = "attach", "stage", "perform"
TASK_INTERFACE = "task-interface"
INSTANCE_INTERFACE = "instance-interface"
VOLUME = "volume"
KINDS = (TASK_INTERFACE, INSTANCE_INTERFACE, VOLUME)
OPEN_UPDATES = {"PENDING": STAGE, "STAGING": STAGE, "STAGED": PERFORM}
"""The states of an update in which its agent is owed a message, and which."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message: its name, its type on the wire, and what is in it."""

    message_id: str
    type: str
    message: JsonObject = field(repr=False)


def due_notices(world: World, instance: str, at: datetime, *, again: bool = False) -> tuple[Notice, ...]:
    """The unacknowledged messages of an instance; with *again* the acknowledged ones too, until their time is up."""
    home = world.instances.get(instance)
    if home is None or home.status == "INACTIVE":
        return ()
    return (*_attachments(world, home, at, again=again), *_update(world, home, at))


def _attachments(world: World, home: ContainerInstance, at: datetime, *, again: bool) -> Iterator[Notice]:
    found = (one for one in world.attachments.values() if one.instance == home.arn and one.status == "ATTACHING")
    for one in sorted(found, key=lambda attachment: attachment.seq):
        if at < one.expires_at and (again or not one.acked):
            yield _told(world, home, one, at)


def _told(world: World, home: ContainerInstance, one: Attachment, at: datetime) -> Notice:
    name = f"{one.attachment_id}-{ATTACH}"
    message = _head(world, home, name, at)
    message["waitTimeoutMs"] = max(1, (one.expires_at - at) // timedelta(milliseconds=1))
    if one.task:
        message |= {"taskArn": one.task, "taskClusterArn": message["clusterArn"]}
    if one.kind == VOLUME:
        properties = [{"name": key, "value": value} for key, value in one.details.items()]
        message["attachment"] = {
            "attachmentArn": one.arn,
            "attachmentType": "amazonebs",
            "attachmentProperties": properties,
        }
        return Notice(name, "ConfirmAttachmentMessage", message)
    message["elasticNetworkInterfaces"] = [{"attachmentArn": one.arn, **one.details}]
    scope = "Task" if one.kind == TASK_INTERFACE else "Instance"
    return Notice(name, f"Attach{scope}NetworkInterfacesMessage", message)


def _update(world: World, home: ContainerInstance, at: datetime) -> Iterator[Notice]:
    update = home.update
    step = OPEN_UPDATES.get(update.status) if update is not None else None
    if update is None or step is None:
        return
    name = f"{update.seq}-{step}"
    message = _head(world, home, name, at)
    message["updateInfo"] = {"location": update.location, "signature": update.signature}
    yield Notice(name, "StageUpdateMessage" if step == STAGE else "PerformUpdateMessage", message)


def _head(world: World, home: ContainerInstance, name: str, at: datetime) -> JsonObject:
    return {
        "messageId": name,
        "clusterArn": arns.make(world.region, world.account, "cluster", home.cluster),
        "containerInstanceArn": home.arn,
        "generatedAt": int(at.timestamp() * 1000),
    }


def acknowledged(world: World, home: ContainerInstance, message_id: str) -> None:
    """Note that the agent of *home* has taken a message. What is not ours, or not its own, changes nothing."""
    name, _, kind = message_id.rpartition("-")
    update = home.update
    if kind == ATTACH:
        one = world.attachments.get(arns.make(world.region, world.account, "attachment", name))
        if one is not None and one.instance == home.arn:
            world.put(replace(one, acked=True))
    elif update is not None and name == str(update.seq) and OPEN_UPDATES.get(update.status) == kind:
        status = "STAGED" if kind == STAGE else "UPDATING"
        put_update(world, home, replace(update, status=status))


def refused(world: World, home: ContainerInstance, message_id: str, reason: str) -> None:
    """Note that the agent will not serve a message: only updates are answered so."""
    name, _, kind = message_id.rpartition("-")
    update = home.update
    if update is not None and name == str(update.seq) and OPEN_UPDATES.get(update.status) == kind:
        put_update(world, home, replace(update, status="FAILED", reason=reason[:255]))


def put_update(world: World, home: ContainerInstance, update: AgentUpdate) -> None:
    """Set how far the update of an instance's agent is."""
    world.put(replace(home, update=update, version=home.version + 1))


def attached(world: World, arn: str, status: str) -> None:
    """Note what an agent says of an attachment. News that comes too late, or of something unknown, changes nothing."""
    one = world.attachments.get(arn)
    if one is None or (one.status, status) not in (("ATTACHING", "ATTACHED"), ("ATTACHED", "DETACHED")):
        return
    world.put(replace(one, status=status))


def forget(world: World, at: datetime, kept: timedelta) -> None:
    """Give up what was not attached in time; let go of what nobody asks for any more."""
    for one in list(world.attachments.values()):
        home = world.instances.get(one.instance)
        task_is_gone = bool(one.task) and one.task not in world.tasks and at - one.expires_at > kept
        over = one.status in ("FAILED", "DETACHED") and at - one.expires_at > kept
        if home is None or home.status == "INACTIVE" or task_is_gone or over:
            world.remove(one)
        elif one.status == "ATTACHING" and at >= one.expires_at:
            world.put(replace(one, status="FAILED"))
