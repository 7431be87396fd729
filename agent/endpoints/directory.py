"""Finds tasks by what containers know of themselves."""

from dataclasses import dataclass

from agent.endpoints.calls import Caller, Known
from agent.endpoints.ports import Tasks
from agent.engine import naming
from agent.model.names import DockerId, TaskArn
from agent.model.task import Container, ContainerSpec, Task


@dataclass(frozen=True, slots=True)
class Found:
    """A container, with the task that it belongs to."""

    task: Task
    spec: ContainerSpec
    container: Container


class Directory:
    """Looks tasks up in the rows as they are now. A row that has not changed is not read twice."""

    def __init__(self, tasks: Tasks, *, isolated: bool) -> None:
        self._tasks = tasks
        self._isolated = isolated
        self._read: dict[TaskArn, Task] = {}
        self._by_metadata_id: dict[str, tuple[TaskArn, str]] = {}
        self._by_docker_id: dict[DockerId, tuple[TaskArn, str]] = {}

    def task(self, arn: TaskArn) -> Task | None:
        """The row of a task; None for one that is unknown, or forgotten."""
        return self._tasks.tasks.get(arn)

    def by_metadata_id(self, metadata_id: str) -> Found | None:
        """The container whose metadata address holds *metadata_id*."""
        self._catch_up()
        return self._found(self._by_metadata_id.get(metadata_id)) if metadata_id else None

    def by_docker_id(self, docker_id: DockerId) -> Found | None:
        """The container that Docker calls *docker_id*."""
        self._catch_up()
        return self._found(self._by_docker_id.get(docker_id))

    def may_know(self, caller: Caller, task: TaskArn) -> bool:
        """May *caller* be told of *task*? One of its own containers always; any caller where tasks are not isolated."""
        return not self._isolated or (caller.known in (Known.ADDRESS, Known.SOCKET) and caller.task == task)

    def _found(self, place: tuple[TaskArn, str] | None) -> Found | None:
        task = self._tasks.tasks.get(place[0]) if place is not None else None
        if task is None or place is None:
            return None
        return Found(task, task.asked(place[1]), task[place[1]])

    def _catch_up(self) -> None:
        rows = self._tasks.tasks
        changed = [task for arn, task in rows.items() if self._read.get(arn) is not task]
        if not changed and len(rows) == len(self._read):
            return
        gone = self._read.keys() - rows.keys()
        stale = gone | {task.arn for task in changed}
        self._by_metadata_id = {key: place for key, place in self._by_metadata_id.items() if place[0] not in stale}
        self._by_docker_id = {key: place for key, place in self._by_docker_id.items() if place[0] not in stale}
        for task in changed:
            for container in task.containers:
                place = (task.arn, container.name)
                if metadata_id := metadata_id_of(task, container):
                    self._by_metadata_id[metadata_id] = place
                if container.docker_id:
                    self._by_docker_id[container.docker_id] = place
        self._read = dict(rows)


def metadata_id_of(task: Task, container: Container) -> str:
    """The secret part of a container's metadata address; empty where there is none."""
    return container.metadata_id or naming.metadata_id(task.draw, container.name)
