"""What another agent tells of its tasks and what Docker shows of them, joined to what we need to know.

Nobody tells which containers are essential, nor how restart policies read. It is decided here: a container that has not
ended counts as essential, one that has ended while its task ran does not; who has a restart policy has the usual one;
the grace is the container's own, where it has one, or the host's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.docker.foreign import Foreign, Inspected
from agent.docker.labels import Taken
from agent.host.introspection import ToldContainer, ToldTask
from agent.model.names import DockerId, TaskArn, task_id
from agent.model.parts import Dependency, RestartPolicy
from agent.model.seen import Labels
from agent.model.status import Status
from agent.model.takeover import INTERNAL, TakenContainer, TakenTask, Takeover

RUNNING, STOPPED = "RUNNING", "STOPPED"
NOT_BEGUN = "DockworkerError: the task had not begun to run when another agent took this container instance over"


@dataclass(frozen=True, slots=True)
class Scene:
    """All that was asked for."""

    told: Sequence[ToldTask]
    shown: Sequence[Foreign]
    looks: Mapping[DockerId, Inspected]

    def members(self, task: ToldTask) -> list[tuple[DockerId, str, ToldContainer | None]]:
        """The containers of *task*: those that the agent tells of, and those that it has added."""
        told = [(one.docker_id, one.name, one) for one in task.containers]
        added = [
            (one.docker_id, one.container, None)
            for one in self.shown
            if one.task == task.arn and one.container.startswith(INTERNAL)
        ]
        return [*told, *added]


def to_look_at(told: Iterable[ToldTask], shown: Iterable[Foreign]) -> list[DockerId]:
    """The containers that must be looked at in full."""
    known = [one for task in told for one in task.containers]
    arns = {task.arn for task in told}
    added = (one.docker_id for one in shown if one.task in arns and one.container.startswith(INTERNAL))
    return list(dict.fromkeys((*(one.docker_id for one in known if one.docker_id), *added)))


def is_pending(task: ToldTask) -> bool:
    """Is it still on its way to run? Then only the agent that began it knows how it goes on."""
    return task.known not in (RUNNING, STOPPED) and task.desired != STOPPED


def strangers(told: Iterable[ToldTask], shown: Iterable[Foreign]) -> list[Foreign]:
    """Containers of tasks that the agent does not know."""
    arns = {task.arn for task in told}
    return [one for one in shown if one.task not in arns]


def joined(scene: Scene) -> tuple[TakenTask, ...]:
    """The tasks to be taken over. Of one that is over and has nothing left in Docker there is nothing to take."""
    tasks = (_task(scene, one) for one in scene.told)
    return tuple(one for one in tasks if one.containers or one.reason)


def _task(scene: Scene, told: ToldTask) -> TakenTask:
    members = [(name, scene.looks[one], told) for one, name, told in scene.members(told) if one in scene.looks]
    added = tuple(Dependency(name) for name, _, _ in members if name.startswith(INTERNAL))
    parents = {look.cgroup_parent for _, look, _ in members}
    return TakenTask(
        arn=told.arn,
        family=told.family,
        version=told.version,
        containers=tuple(_container(*one, added) for one in members),
        stopping=STOPPED in (told.known, told.desired) or is_pending(told),
        reason=NOT_BEGUN if is_pending(told) else "",
        has_cgroup=bool(parents & _cgroups(told.arn)),
    )


def _container(name: str, look: Inspected, told: ToldContainer | None, added: tuple[Dependency, ...]) -> TakenContainer:
    return TakenContainer(
        docker_id=look.docker_id,
        name=name,
        image=told.image if told is not None and told.image else look.image,
        known=look.status,
        essential=look.status is not Status.STOPPED,
        stop_timeout=look.stop_timeout,
        ports=look.ports,
        depends_on=() if name.startswith(INTERNAL) else added,
        restart=RestartPolicy() if told is not None and told.restarts is not None else None,
        cpu=look.cpu,
        memory=look.memory,
        memory_reservation=look.memory_reservation,
        exit_code=look.exit_code,
        created_at=look.created_at,
        started_at=look.started_at,
        finished_at=look.finished_at,
    )


def _cgroups(arn: TaskArn) -> set[str]:
    """How the cgroup of a task is called, on either version; one with another name is not ours to remove."""
    return {f"/ecs/{task_id(arn)}", f"ecstasks-{task_id(arn)}.slice"}


def labels_of(takeover: Takeover) -> Taken:
    """What the labels of the containers that were taken over would say, if we had made them."""
    return {
        one.docker_id: Labels(
            agent=takeover.agent_id,
            instance=takeover.instance_arn,
            task=task.arn,
            container=one.name,
            family=task.family,
            version=task.version,
            essential=one.essential,
            stop_timeout=one.stop_timeout,
            ports=one.ports,
            order=order,
            count=len(task.containers),
            image=one.image,
            depends_on=one.depends_on,
            restart=one.restart,
            cgroup=task.has_cgroup,
        )
        for task in takeover.tasks
        for order, one in enumerate(task.containers)
    }
