"""What is written down of tasks that another agent runs, by what the Docker in memory shows."""

from agent.model.names import Image, TaskArn
from agent.model.status import Status
from agent.model.takeover import TakenContainer, TakenTask
from tests.engine.sim_docker import SimContainer


def taken_task(arn: TaskArn, found: list[SimContainer]) -> TakenTask:
    """What is written down of a task that another agent runs; of each container the latest run."""
    latest = {one.labels.container: one for one in sorted(found, key=lambda one: one.labels.run)}
    return TakenTask(
        arn,
        found[0].labels.family,
        found[0].labels.version,
        tuple(taken_container(one) for one in latest.values()),
        has_cgroup=any(one.labels.cgroup for one in found),
    )


def taken_container(found: SimContainer) -> TakenContainer:
    seen = found.seen()
    return TakenContainer(
        docker_id=found.docker_id,
        name=found.labels.container,
        image=Image(found.labels.image),
        known=seen.status,
        essential=seen.status is not Status.STOPPED,
        stop_timeout=found.labels.stop_timeout,
        ports=found.labels.ports,
        restart=found.labels.restart,
        exit_code=seen.exit_code,
        created_at=seen.created_at,
        started_at=seen.started_at,
        finished_at=seen.finished_at,
    )
