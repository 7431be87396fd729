"""What is due for a task, read from its row from top to bottom.

`drive` looks at a row and says which act comes next for each container. It is called after every fact, and calling it
twice says nothing new: whatever is on its way stands in `doing`. The product of what a container is doing and whether
the answer was lost, for a container that is wanted RUNNING or STOPPED:

======== ========== ==============================  ===================================================
doing    answer     wanted RUNNING                  wanted STOPPED
======== ========== ==============================  ===================================================
nothing  --         pull, create or start, by state  CREATED or less: STOPPED at once; RUNNING: stop
pull     awaited    wait                            leave the pull (the last to leave cancels it)
pull     lost       pull again                      leave the pull
create   awaited    wait                            wait: a container may still appear
create   lost       ask, then create again          inspect by name
start    awaited    wait                            stop overtakes (Docker serialises the two)
start    lost       ask, then start again           stop
stop     awaited    --                              wait; past `kill_at` kill overtakes
stop     lost       --                              stop, with the grace that is left
kill     awaited    --                              wait
kill     lost       --                              kill again
inspect  awaited    --                              wait
inspect  lost       --                              inspect again
======== ========== ==============================  ===================================================

Nothing begins before the task is admitted. A pull then waits for the login that it needs, a create for the containers
it depends on, and for the volumes, cgroup and values that it uses. A stop waits for the stops of all that depend on the
container. An exit that a restart policy covers puts the container back to CREATED, in a new run. An image that is gone
when its container is created puts it back to NONE, once, in a new run: it is pulled again.

"Lost" rows wait for a listing that was asked for after the loss; it often answers the question by itself. While Docker
is lost nothing is due at all.

A lost act stays in `doing`, and with it the chance that a container appears, until a later act on the same container
is answered: Docker serialises the two. A later act that fails for a while has answered nothing. `doing` stands in the
order of decision, a lost act where it was lost, so what an answer settles is what stands before it.
"""

from dataclasses import replace

from agent.engine import due, ending, leases, ordering, reasons, reports, resources, restarts, wiring
from agent.engine.draft import Draft
from agent.engine.naming import container_name
from agent.model.acts import CreateContainer, StartContainer
from agent.model.errors import GiveUp
from agent.model.status import Doing, Status
from agent.model.task import Container, ContainerSpec, Task


def drive(draft: Draft, task: Task) -> Task:
    """Say what is due for *task*, tell ECS what is new, and put the row."""
    if task.admitted is None and any(container.docker_id for container in task.containers):
        task = replace(task, admitted=draft.at)  # it was let in before its record was lost, and holds its amounts
    before = None
    while before != task:  # a container given up without any act may be an essential one
        before = task
        task = resources.advance(draft, _give_up_hopeless(draft, task))
        task = _give_up_hopeless(draft, task)  # what it needs may not be had
        for spec, container in task.pairs():
            after = _advance(draft, task, spec, container)
            _note(draft, task, container, after)
            task = task.having(after)
    if task.pull_started_at is None and any(c.is_doing(Doing.PULL) for c in task.containers):
        task = replace(task, pull_started_at=draft.at)
    task = settle(draft, task)
    draft.put(task)
    return task


def settle(draft: Draft, task: Task) -> Task:
    """Say how far the task as a whole has come, and tell ECS."""
    before, known = task.known, _known(draft, task)
    if known > before:
        task = replace(task, known=known)
        if known is Status.STOPPED:
            task = replace(task, stopped_at=draft.at, remove_at=due.removal(task.draw, draft.at, draft.rules))
        draft.moved(task.arn, "", before, known, task.reason)
    return reports.tell(draft, task)


def accept(draft: Draft, task: Task, after: Container) -> Task:
    """Put what is newly known of a container into the row.

    One that was started and ended between two looks is told RUNNING first: it did run, and ECS counts from there.
    """
    before = task[after.name]
    was_made = before.known >= Status.CREATED  # else it is found without a record: it may be over for ECS
    is_alive = before.wanted is Status.RUNNING and task.wanted is Status.RUNNING and not _has_fallen(task)
    ran = before.known < Status.RUNNING and after.known is Status.STOPPED
    if ran and is_alive and after.started_at not in (None, before.started_at):
        ran_once = replace(
            after, known=Status.RUNNING, wanted=before.wanted, exit_code=None, finished_at=None, reason=before.reason
        )
        _note(draft, task, before, ran_once)
        task = settle(draft, task.having(ran_once))
        before = task[after.name]
        after = replace(after, told=before.told)
    if is_alive and was_made and restarts.covers(task.asked(after.name), before, after, draft.at):
        after = replace(restarts.again(before, after, draft.at), told=before.told)
    _note(draft, task, before, after)
    return task.having(after)


def _known(draft: Draft, task: Task) -> Status:
    if not task.containers and not draft.listed:
        return task.known  # its containers may turn up in the first listing
    if all(container.at_rest for container in task.containers):
        return Status.STOPPED
    if task.wanted is Status.STOPPED:
        return task.known  # on its way down: nothing more is reached
    return min(Status.RUNNING, *(container.known for container in task.containers))


def _give_up_hopeless(draft: Draft, task: Task) -> Task:
    """Find out who is to stop before anybody is created: a container that never will be may be an essential one.

    Those that are about to be created are given their ports here.
    """
    born = draft.at if not draft.world.listed else task.admitted or task.arrived  # the agent may have slept until now
    born = min(born, draft.at)  # the clock may have been set back since
    before = None
    while before != task:
        before = task
        task = ordering.limited(_follow_essentials(draft, task), born)
        for spec, container in task.pairs():
            obstacle = _obstacle(draft, task, spec, container)
            after = container
            if obstacle is not None and obstacle.is_final:
                after = _never_created(draft, task, spec, container, obstacle.text)
            elif obstacle is None and container.known is Status.PULLED and _is_due(draft, task, spec, container):
                after = _furnished(draft, task, spec, container)
            _note(draft, task, container, after)
            task = task.having(after)
    return task


def _obstacle(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> ordering.Obstacle | None:
    if not ordering.is_waiting(container):
        return None
    return ordering.obstacle(task, spec, draft.at if draft.released else None)


def _follow_essentials(draft: Draft, task: Task) -> Task:
    fallen = _has_fallen(task)
    if fallen and task.execution_stopped_at is None:
        task = replace(task, execution_stopped_at=draft.at)
    if task.wanted is not Status.STOPPED and (fallen or all(c.known is Status.STOPPED for c in task.containers)):
        task = replace(task, wanted=Status.STOPPED)
    if task.wanted is not Status.STOPPED and task.spec.rebuilt and not _has_life(task):
        task = replace(task, wanted=Status.STOPPED, reason=task.reason or reasons.FOUND_UNSTARTED)
    if task.wanted is Status.STOPPED and any(c.wanted is not Status.STOPPED for c in task.containers):
        task = replace(task, containers=tuple(replace(c, wanted=Status.STOPPED) for c in task.containers))
    return task


def _has_fallen(task: Task) -> bool:
    return any(spec.essential and c.known is Status.STOPPED for spec, c in task.pairs())


def _has_life(task: Task) -> bool:
    """Does anything run of a task that was found without a row? It may have ended long ago: it is not started then."""
    return any(one.known is Status.RUNNING or restarts.is_between_runs(one) for one in task.containers)


def _advance(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    if container.at_rest:
        return container
    if container.wanted is Status.STOPPED:
        return ending.wind_down(draft, task, spec, container)
    if container.known is Status.PULLED and _obstacle(draft, task, spec, container) is not None:
        return container
    if not _is_due(draft, task, spec, container):
        return container
    return _repeat(draft, task, spec, container) if container.lost else _next(draft, task, spec, container)


def _is_due(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> bool:
    """Is it time for the container's next act on its way up?"""
    is_busy = container.wake_at is not None or container.in_flight or container.wanted is Status.STOPPED
    return not is_busy and ending.may_act(draft, task, container) and resources.is_ready(draft, task, spec, container)


def _next(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    match container.known:
        case Status.NONE:
            return _pull(draft, task, spec, container)
        case Status.PULLED:
            return _create(draft, task, spec, container)
        case Status.CREATED:
            return _start(draft, task, container)
        case _:
            return container


def _repeat(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    afresh = ending.without_doing(container)
    if container.is_doing(Doing.PULL):
        return _pull(draft, task, spec, afresh)
    if container.is_doing(Doing.CREATE):
        return _create(draft, task, spec, afresh, again=True)
    if container.is_doing(Doing.START):
        return _start(draft, task, afresh, again=True)
    return afresh


def _never_created(draft: Draft, task: Task, spec: ContainerSpec, container: Container, reason: str) -> Container:
    draft.leave_pull(task.spec.source(spec), (task.arn, container.name))
    return replace(
        ending.without_doing(container),
        known=Status.STOPPED,
        wanted=Status.STOPPED,
        wake_at=None,
        exit_code=ordering.NEVER_STARTED,
        reason=reason,
    )


def _start(draft: Draft, task: Task, container: Container, *, again: bool = False) -> Container:
    last = container.started_at if restarts.is_between_runs(container) else None
    return ending.do(
        draft,
        container,
        StartContainer(task.arn, container.name, container.run, container.docker_id, again=again, last_start=last),
    )


def _pull(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    draft.join_pull(task.spec.source(spec), (task.arn, container.name))
    draft.hear(task.arn, container.name)
    return replace(container, doing=(Doing.PULL,), wake_at=None)


def _furnished(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    """*container* with host ports of its own; STOPPED where there are none, or it mounts what there is not."""
    try:
        wiring.of_container(task, spec, draft.rules)
        if leases.are_whole(container.leases) or not task.publishes or not spec.ports:
            return container
        taken, attempt = draft.is_taken(task), container.leases_tried
        chosen = leases.lease(spec, draft.rules, taken, task.draw, attempt, container.leases)
        return replace(container, leases=chosen)
    except GiveUp as error:
        return replace(container, known=Status.STOPPED, wanted=Status.STOPPED, reason=error.reason)


def _create(draft: Draft, task: Task, spec: ContainerSpec, container: Container, *, again: bool = False) -> Container:
    """Have a container created that has its ports."""
    act = CreateContainer(
        task=task.arn,
        container=container.name,
        run=container.run,
        name=container_name(task.spec, container.name),
        family=task.spec.family,
        version=task.spec.version,
        spec=spec,
        leases=container.leases,
        order=[c.name for c in task.containers].index(container.name),
        count=len(task.containers),
        network_mode=task.spec.network_mode,
        again=again,
        wiring=wiring.of_container(task, spec, draft.rules),
    )
    return ending.do(draft, container, act)


def _note(draft: Draft, task: Task, before: Container, after: Container) -> None:
    if after.known != before.known:
        draft.hear(task.arn, before.name)
        draft.moved(task.arn, before.name, before.known, after.known, after.reason)
