"""What one or more events came to: rows to commit first, acts to perform after."""

from dataclasses import dataclass
from datetime import datetime

from agent.model.acts import Act
from agent.model.attachments import Attachment
from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.status import Status
from agent.model.task import Task, Tombstone


@dataclass(frozen=True, slots=True)
class Moved:
    """One line of a task's story: a container, or the task itself (`container` empty), went from one state on."""

    task: TaskArn
    container: str
    before: Status
    now: Status
    cause: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ManifestTaken:
    """ECS's list of tasks is the newest so far: its number is committed before ECS hears so.

    `candidates` run here and are not on the list; whether they are to stop, ECS is asked.
    """

    message_id: str
    number: int
    candidates: tuple[TaskArn, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Rows, reports and acts. Committed in one transaction before any act or answer leaves."""

    tasks: tuple[Task, ...] = ()
    """Rows to write, each task at most once."""
    forgotten: tuple[TaskArn, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    buried: tuple[TaskArn, ...] = ()
    """Tombstones to drop."""
    reports: tuple[TaskReport, ...] = ()
    acts: tuple[Act, ...] = ()
    moves: tuple[Moved, ...] = ()
    manifests: tuple[ManifestTaken, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    """Rows to write, each attachment at most once."""
    detached: tuple[str, ...] = ()
    """Attachments to forget."""

    @property
    def changes_nothing(self) -> bool:
        """True if there is nothing to commit."""
        changed = self.tasks or self.forgotten or self.tombstones or self.buried or self.reports or self.manifests
        return not (changed or self.attachments or self.detached)

    def then(self, later: "Decision") -> "Decision":
        """This decision and a *later* one as one: the later row of a task wins, reports and acts keep their order."""
        rows = {t.arn: t for t in self.tasks} | {t.arn: t for t in later.tasks}
        forgotten = dict.fromkeys(self.forgotten) | dict.fromkeys(later.forgotten)
        stones = {t.arn: t for t in self.tombstones} | {t.arn: t for t in later.tombstones}
        buried = dict.fromkeys(self.buried) | dict.fromkeys(later.buried)
        written_later = {t.arn for t in later.tasks}
        entombed_later = {t.arn for t in later.tombstones}
        attached = {one.arn: one for one in self.attachments} | {one.arn: one for one in later.attachments}
        detached = dict.fromkeys(self.detached) | dict.fromkeys(later.detached)
        attached_later = {one.arn for one in later.attachments}
        return Decision(
            tasks=tuple(row for arn, row in rows.items() if arn not in later.forgotten),
            forgotten=tuple(arn for arn in forgotten if arn in later.forgotten or arn not in written_later),
            tombstones=tuple(stone for arn, stone in stones.items() if arn not in later.buried),
            buried=tuple(arn for arn in buried if arn in later.buried or arn not in entombed_later),
            reports=self.reports + later.reports,
            acts=self.acts + later.acts,
            moves=self.moves + later.moves,
            manifests=self.manifests + later.manifests,
            attachments=tuple(one for arn, one in attached.items() if arn not in later.detached),
            detached=tuple(arn for arn in detached if arn in later.detached or arn not in attached_later),
        )
