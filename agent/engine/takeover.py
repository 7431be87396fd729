"""Tasks that ran under the agent before us become rows like any other.

They are known as those are that were found by labels: a payload of ECS's may fill them in. What the rows say is how
things stood then; whether a container that ran still does, the first listing says. Until it has, it counts as one whose
start was asked for and not answered, which is never a reason to start a second one: who has run is not run twice. ECS
is told everything anew, for nobody knows what it has heard.
"""

from agent.engine import resources
from agent.engine.draft import Draft
from agent.model.events import TasksTaken
from agent.model.names import TaskArn
from agent.model.status import Doing, Status
from agent.model.takeover import TakenContainer, TakenTask
from agent.model.task import Container, ContainerSpec, Task, TaskSpec


def hear(draft: Draft, event: TasksTaken) -> set[TaskArn]:
    """Take in those tasks that are unknown here; gives them."""
    taken = set()
    for one in event.tasks:
        if draft.task(one.arn) is not None or draft.tombstone(one.arn) is not None:
            continue
        with draft.about(one.arn):
            draft.put(_task(draft, one))
        draft.moved(one.arn, "", Status.NONE, Status.NONE, "taken over from the agent that ran it")
        taken.add(one.arn)
    return taken


def _task(draft: Draft, taken: TakenTask) -> Task:
    spec = TaskSpec(
        arn=taken.arn,
        family=taken.family,
        version=taken.version,
        containers=tuple(_spec(one) for one in taken.containers),
        rebuilt=True,
    )
    return Task(
        spec=spec,
        containers=tuple(_row(draft, one) for one in taken.containers),
        arrived=min((one.created_at for one in taken.containers if one.created_at), default=draft.at),
        admitted=draft.at,
        wanted=Status.STOPPED if taken.stopping else Status.RUNNING,
        reason=taken.reason,
        resources=resources.found(spec, has_cgroup=taken.has_cgroup),
    )


def _spec(taken: TakenContainer) -> ContainerSpec:
    return ContainerSpec(
        name=taken.name,
        image=taken.image,
        essential=taken.essential,
        cpu=taken.cpu,
        memory=taken.memory,
        memory_reservation=taken.memory_reservation,
        ports=taken.ports,
        stop_timeout=taken.stop_timeout,
        depends_on=taken.depends_on,
        restart=taken.restart,
    )


def _row(draft: Draft, taken: TakenContainer) -> Container:
    if taken.known is Status.STOPPED:
        return Container(
            name=taken.name,
            known=Status.STOPPED,
            wanted=Status.STOPPED,
            docker_id=taken.docker_id,
            exit_code=taken.exit_code,
            created_at=taken.created_at,
            started_at=taken.started_at,
            first_started_at=taken.started_at,
            finished_at=taken.finished_at,
        )
    return Container(
        name=taken.name,
        known=Status.CREATED,
        doing=(Doing.START,),
        lost=(Doing.START,),
        docker_id=taken.docker_id,
        created_at=taken.created_at,
        first_started_at=None if taken.known is Status.CREATED else taken.started_at or draft.at,
    )
