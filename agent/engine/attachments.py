"""Things on their way to the host: from the word of ECS until they are there and told, or their time is up.

Each is told of once, as a report in the outbox that is committed together with its row. The row stays until its time is
up, so that word which comes twice is known as such. What comes later than that is nobody's business any more.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from agent.engine.draft import Draft
from agent.engine.world import World
from agent.model.attachments import Attachment, AttachmentKind
from agent.model.events import AttachmentAnnounced, AttachmentsFound
from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.status import Status


def announce(draft: Draft, event: AttachmentAnnounced) -> None:
    """Look out for something, unless that is done already, or too late.

    A link or disk that is announced under another name than before was attached anew: the new name counts.
    """
    if event.wait_ms <= 0 or draft.attachment(event.arn) is not None:
        return
    end = draft.at + timedelta(milliseconds=event.wait_ms)
    new = Attachment(event.arn, event.kind, event.key, end, event.wait_ms, event.task)
    for other in draft.attachments():
        if (other.kind is AttachmentKind.VOLUME, other.key) == (new.kind is AttachmentKind.VOLUME, new.key):
            draft.detach(other.arn)
    draft.attach(new)


def find(draft: Draft, event: AttachmentsFound) -> None:
    """Tell of what has come in time."""
    for one in list(draft.attachments()):
        if one.key in event.keys and not one.told and draft.at < one.expires_at:
            draft.attach(replace(one, told=True))
            draft.report(report(one, draft.at))


def report(one: Attachment, at: datetime) -> TaskReport:
    """What ECS is told of *one* that is there."""
    task = one.task if one.kind is AttachmentKind.TASK_INTERFACE else TaskArn("")
    return TaskReport(task, Status.NONE, moved=True, at=at, attachment=one.arn)


def next_of(world: World) -> datetime | None:
    """When the time of one is up."""
    return min((one.expires_at for one in world.attachments.values()), default=None)


def pass_all(draft: Draft) -> None:
    """Forget those whose time is up."""
    for one in list(draft.attachments()):
        if one.expires_at <= draft.at:
            draft.detach(one.arn)


def shift_all(draft: Draft, by: timedelta) -> None:
    """The clock was set by so much."""
    for one in list(draft.attachments()):
        draft.attach(replace(one, expires_at=one.expires_at + by))


def clamp_all(draft: Draft) -> None:
    """No more time is left than ECS gave."""
    for one in list(draft.attachments()):
        latest = draft.at + timedelta(milliseconds=one.wait_ms)
        if one.expires_at > latest:
            draft.attach(replace(one, expires_at=latest))
