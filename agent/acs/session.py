"""What a frame from ACS comes to: facts for the engine, values for the vault, answers for ECS. Pure.

Nothing here sends, saves or logs: `received` says what is to be done, and loop.py does it in the order that the
protocol wants: values into the vault, facts to the engine, and only after the commit the acknowledgements. No answer
is the only "no" that ECS understands: it sends the message again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from agent.acs import attachments, updates
from agent.acs.heard import Heard, Note, dropped, lack
from agent.model.credentials import RoleCredentials
from agent.model.errors import BadInput, place_of
from agent.model.events import (
    CredentialsArrived,
    ManifestHeard,
    StopsVerified,
    TaskAssigned,
    TaskRefused,
    TaskStopRequested,
)
from agent.model.names import TaskArn
from agent.wire import acs, acs_attachments, acs_spec

Draw = Callable[[], str]
"""Gives at least 40 random hexadecimal digits, other ones each time."""

MOST_NOTES = 20
RUNNING, STOPPED = "RUNNING", "STOPPED"
REFUSED = "UnrecogniedTaskError: Error loading task - "
"""How ECS knows the reason of a task that could not be read, spelling included ("wire protocol", PayloadMessage)."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What one task of a payload came to; `event` is None where not even its name could be read."""

    event: TaskStopRequested | TaskAssigned | TaskRefused | None
    roles: tuple[RoleCredentials, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def is_good(self) -> bool:
        return isinstance(self.event, TaskStopRequested | TaskAssigned)


def received(  # noqa: PLR0911 -- one return a type
    frame: bytes | str, now: datetime, draw: Draw, latest: int = 0
) -> Heard:
    """What *frame*, received *now*, comes to. Never raises for what a server may send.

    *latest* is the highest number of a payload so far.
    """
    try:
        message = acs.decode(frame)
    except BadInput as bad:
        fields = {"error": str(bad), "size": len(frame)}
        return Heard(notes=(Note("acs_frame_dropped", fields, warning=True),), understood=False)
    match message:
        case acs.HeartbeatMessage():
            return Heard(replies=(acs.HeartbeatAckRequest(message.message_id),))
        case acs.PayloadMessage():
            return _payload(message, now, draw)
        case acs.IAMRoleCredentialsMessage():
            return _credentials(message, now)
        case acs.TaskManifestMessage():
            return _manifest(message, now, latest)
        case acs.TaskStopVerificationAck():
            return _verified(message, now)
        case (
            acs_attachments.AttachTaskNetworkInterfacesMessage()
            | acs_attachments.AttachInstanceNetworkInterfacesMessage()
        ):
            return attachments.interfaces(message, now)
        case acs_attachments.ConfirmAttachmentMessage():
            return attachments.volume(message, now)
        case acs_attachments.StageUpdateMessage() | acs_attachments.PerformUpdateMessage():
            return updates.refused(message)
        case _:
            return Heard(notes=(_noted(message),))


def answers(manifest: acs.TaskManifestMessage, candidates: Iterable[TaskArn]) -> tuple[acs.Frame, ...]:
    """What ECS is told once a list was taken and its number saved; *candidates* run here and are not on it."""
    asked = [acs.TaskIdentifier(arn, manifest.cluster_arn, STOPPED) for arn in candidates]
    ack = acs.AckRequest(manifest.cluster_arn, manifest.container_instance_arn, manifest.message_id)
    return (ack, acs.TaskStopVerificationMessage(manifest.message_id, asked)) if asked else (ack,)


def _noted(message: acs.Frame) -> Note:
    """What the log says of a message that asks for nothing."""
    if isinstance(message, acs.Said):
        return Note("acs_message_noted", {"type": type(message).__name__, "message": message.message})
    return Note("acs_message_noted", {"type": type(message).__name__})


def _manifest(message: acs.TaskManifestMessage, now: datetime, latest: int) -> Heard:
    number, tasks = message.timeline or 0, message.tasks or ()
    missing = lack(message.message_id, message.cluster_arn, message.container_instance_arn) or next(
        (
            f"tasks[{at}]: must have a taskArn and a desiredStatus"
            for at, task in enumerate(tasks)
            if not _is_whole(task)
        ),
        "",
    )
    if missing:
        return dropped(message.message_id, missing)
    fields = {"message_id": message.message_id, "number": number, "tasks": len(tasks)}
    if number <= latest:
        return Heard(notes=(Note("acs_manifest_outdated", {**fields, "latest": latest}),))
    running = frozenset(TaskArn(task.task_arn or "") for task in tasks if task.desired_status == RUNNING)
    return Heard(
        events=(ManifestHeard(message.message_id or "", number, running, now, message.message_id or ""),),
        notes=(Note("acs_manifest_received", fields),),
        manifest=message,
    )


def _is_whole(task: acs.TaskIdentifier) -> bool:
    return bool(task.task_arn and task.desired_status)


def _verified(message: acs.TaskStopVerificationAck, now: datetime) -> Heard:
    if not message.message_id:
        return dropped(None, "messageId: must not be empty")
    for at, task in enumerate(message.stop_tasks or ()):
        if not task.task_arn:
            return dropped(message.message_id, f"stopTasks[{at}].taskArn: must not be empty")
        if task.desired_status not in (None, STOPPED):
            return dropped(message.message_id, f"stopTasks[{at}].desiredStatus: must be {STOPPED}")
    tasks = tuple(TaskArn(task.task_arn or "") for task in message.stop_tasks or ())
    fields = {"message_id": message.message_id, "tasks": len(tasks)}
    return Heard(
        events=(StopsVerified(message.message_id, tasks, now, message.message_id),),
        notes=(Note("acs_stops_verified", fields),),
    )


def _payload(message: acs.PayloadMessage, now: datetime, draw: Draw) -> Heard:
    if missing := lack(message.message_id, message.cluster_arn, message.container_instance_arn):
        return dropped(message.message_id, missing)
    cause = message.message_id or ""
    tasks = [_task(raw, now, draw, cause, message.seq_num or 0) for raw in message.tasks or ()]
    stops = tuple(t.event for t in tasks if isinstance(t.event, TaskStopRequested))
    others = tuple(t.event for t in tasks if t.event is not None and not isinstance(t.event, TaskStopRequested))
    roles = tuple(role for t in tasks for role in t.roles)
    arrived = tuple(CredentialsArrived(role.credentials_id, now, cause) for role in roles)
    fields = {"message_id": cause, "tasks": len(tasks), "seq": message.seq_num}
    return Heard(
        events=stops + arrived + others,  # the credentials first: who waits for them need not wait
        credentials=roles,
        acks=_acks(message, roles) if all(t.is_good for t in tasks) else (),
        notes=(Note("acs_payload_received", fields), *_first(note for t in tasks for note in t.notes)),
        seq=message.seq_num or 0,
    )


def _first(notes: Iterable[Note]) -> Iterator[Note]:
    """As many notes as anybody reads of one message, and how many more there were."""
    more = 0
    for at, note in enumerate(notes):
        more += at >= MOST_NOTES
        if at < MOST_NOTES:
            yield note
    if more:
        yield Note("acs_more_of_these", {"count": more}, warning=True)


def _acks(message: acs.PayloadMessage, roles: tuple[RoleCredentials, ...]) -> tuple[acs.Frame, ...]:
    saved = acs.AckRequest(message.cluster_arn, message.container_instance_arn, message.message_id)
    return saved, *(_role_ack(message.message_id, role.credentials_id, role.expiration or None) for role in roles)


def _role_ack(message_id: str | None, credentials_id: str, expiration: str | None) -> acs.Frame:
    return acs.IAMRoleCredentialsAckRequest(message_id, expiration, credentials_id)


def _task(raw: msgspec.Raw, now: datetime, draw: Draw, cause: str, seq: int) -> _Read:
    """Read one task; nothing that is wrong with it, nor a bug that it brings out, reaches its neighbours."""
    try:
        arn = acs_spec.read_arn(raw)
    except BadInput as bad:
        fields = {"message_id": cause, "error": str(bad)}
        return _Read(None, notes=(Note("acs_task_without_name_dropped", fields, warning=True),))
    try:
        if acs_spec.is_stop(raw):
            return _Read(TaskStopRequested(arn, now, cause, seq), roles=_roles_of_a_stop(raw))
        spec, roles = acs_spec.read_spec(raw), acs_spec.read_roles(raw)
        return _Read(TaskAssigned(spec, now, draw(), cause, seq), roles)
    except BadInput as bad:
        return _refused(arn, str(bad), now, cause)
    except Exception as bug:  # noqa: BLE001  a bug in reading one task must not take the others' messages with it
        return _refused(arn, f"the agent failed to read it ({place_of(bug)})", now, cause)


def _refused(arn: TaskArn, why: str, now: datetime, cause: str) -> _Read:
    fields = {"task": arn, "message_id": cause, "error": why}
    return _Read(TaskRefused(arn, REFUSED + why, now, cause), notes=(Note("acs_task_refused", fields, warning=True),))


def _roles_of_a_stop(raw: msgspec.Raw) -> tuple[RoleCredentials, ...]:
    """The roles that come with a stop. They are a courtesy: a stop is obeyed whatever else the task says."""
    try:
        return acs_spec.read_roles(raw)
    except BadInput:
        return ()


def _credentials(message: acs.IAMRoleCredentialsMessage, now: datetime) -> Heard:
    if not message.message_id:
        return dropped(None, "messageId: must not be empty")
    if not message.task_arn:
        return dropped(message.message_id, "taskArn: must not be empty")
    if message.role_type not in (acs_spec.TASK_ROLE, acs_spec.EXECUTION_ROLE):
        return dropped(message.message_id, f"roleType: must be {acs_spec.TASK_ROLE} or {acs_spec.EXECUTION_ROLE}")
    try:
        role = acs_spec.role_credentials(message.role_credentials, message.role_type, "roleCredentials")
    except BadInput as bad:
        return dropped(message.message_id, str(bad))
    if role is None or message.role_credentials is None:
        return dropped(message.message_id, "roleCredentials: is missing")
    return Heard(
        events=(CredentialsArrived(role.credentials_id, now, message.message_id),),
        credentials=(role,),
        acks=(_role_ack(message.message_id, role.credentials_id, message.role_credentials.expiration),),
        notes=(Note("acs_credentials_received", {"message_id": message.message_id, "task": message.task_arn}),),
    )
