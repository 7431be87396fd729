"""What the answer to an act makes of a task."""

from dataclasses import replace

from agent.engine import due, facts, lifecycle, reasons
from agent.engine.draft import Draft
from agent.engine.leases import ATTEMPTS, ports_of, without
from agent.engine.restarts import is_between_runs
from agent.engine.world import World
from agent.model.acts import (
    DOING,
    ContainerAct,
    CreateContainer,
    InspectContainer,
    KillContainer,
    ListContainers,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from agent.model.events import (
    ActFailed,
    ContainerAnswered,
    ContainerCreated,
    ContainerRemoved,
    Fault,
)
from agent.model.names import NO_ID, DockerId, TaskArn
from agent.model.status import Doing, Status
from agent.model.task import Container, Task

TRIES = 5
"""How often an act that fails for a while is tried before it is given up. Stops, kills and removals never are."""

NO_IMAGE = "no such image"
LACKS_IMAGE = (NO_IMAGE, "invalid reference format")
"""Words of Docker's refusal to create for which the pull has the better reason."""


def created(draft: Draft, event: ContainerCreated) -> set[TaskArn]:
    """Docker made the container."""
    task, container = _meant(draft, event.act)
    if task is None or container is None:
        return set()
    container = _answered(draft, event.act, container)
    if container.known is Status.RUNNING and container.docker_id != event.docker_id:
        container = facts.vanished(container, reasons.VANISHED)  # what ran under this name was not what we made
    container = replace(container, docker_id=event.docker_id, created_at=event.at, tries=0)
    return _put(draft, task, replace(container, known=max(container.known, Status.CREATED)))


def answered(draft: Draft, event: ContainerAnswered) -> set[TaskArn]:
    """A start, stop, kill or inspect was answered, and Docker was looked at afterwards."""
    task, container = _meant(draft, event.act)
    if task is None or container is None:
        return set()
    before = container.known
    container = _answered(draft, event.act, container)
    if event.seen is None:
        reason = reasons.NEVER_ANSWERED if not container.docker_id else reasons.VANISHED
        if container.wanted is Status.STOPPED and not container.docker_id:
            reason = ""
        container = replace(facts.vanished(container, reason), removed=True)
        return _put(draft, task, container)
    container = facts.apply(container, event.seen)
    container = facts.with_health(task.asked(container.name), container, event.seen, draft.at)
    if before is not Status.STOPPED and _came_to_nothing(event.act, container):
        container = _again_later(draft, event.act, container, reasons.NO_START)
    return _put(draft, task, container)


def _came_to_nothing(act: ContainerAct, container: Container) -> bool:
    """Did Docker say yes to a start or a stop and yet show nothing of it? Asking again at once would only spin."""
    if isinstance(act, StopContainer | KillContainer):
        return container.known is Status.RUNNING or container.is_doing(Doing.START)
    return isinstance(act, StartContainer) and container.known is Status.CREATED


def _again_later(draft: Draft, act: ContainerAct, container: Container, reason: str) -> Container:
    if isinstance(act, StartContainer) and container.tries + 1 >= TRIES:
        return _given_up(act, container, reason)
    return replace(container, tries=container.tries + 1, wake_at=draft.at + due.back_off(container.tries))


def removed(draft: Draft, event: ContainerRemoved) -> set[TaskArn]:
    """Docker has no such container any more."""
    if isinstance(event.act, RemoveContainer):
        docker_id = event.act.docker_id
        draft.afterwards(lambda world: _let_go(world, docker_id))
    task, container = _meant(draft, event.act)
    if task is None or container is None:
        return set()
    return _put(draft, task, replace(_answered(draft, event.act, container), removed=True))


def failed(draft: Draft, event: ActFailed, act: ContainerAct) -> set[TaskArn]:
    """An act on a container did not do what it promised."""
    if isinstance(act, RemoveContainer):
        docker_id = act.docker_id
        draft.afterwards(lambda world: _let_go(world, docker_id))
    return _act_failed(draft, event, act)


def _let_go(world: World, stray: DockerId) -> None:
    world.strays -= {stray}


def _act_failed(draft: Draft, event: ActFailed, act: ContainerAct) -> set[TaskArn]:
    task, container = _meant(draft, act)
    if task is None or container is None:
        return set()
    if event.fault in (Fault.UNKNOWN, Fault.CANCELLED):
        return lose(draft, act)
    if event.fault is Fault.TRY_AGAIN or isinstance(act, StopContainer | KillContainer | InspectContainer):
        container = _unanswered(draft, act, container)
    else:
        container = _answered(draft, act, container)
    is_new = container.wanted is Status.RUNNING and container.known < Status.RUNNING and not is_between_runs(container)
    if event.fault is Fault.PORT_TAKEN and is_new:
        container = _other_ports(container, event.port)
    elif _has_lost_its_image(event, container):
        container = replace(container, known=Status.NONE, run=container.run + 1, tries=0)
    elif _is_worth_another_try(event.fault, act, container):
        container = replace(container, tries=container.tries + 1, wake_at=draft.at + due.back_off(container.tries))
    elif container.known is not Status.STOPPED:
        container = _given_up(act, container, event.reason)
    return _put(draft, task, container)


def _has_lost_its_image(event: ActFailed, container: Container) -> bool:
    """Was an image removed that had been fetched, as while its container waited for others? It is fetched once more."""
    is_first = container.run == 1 and not container.pull_reason and not container.doing
    is_asked = container.known is Status.PULLED and container.wanted is Status.RUNNING
    lacks = isinstance(event.act, CreateContainer) and event.fault is Fault.GIVE_UP and NO_IMAGE in event.reason.lower()
    return is_first and is_asked and lacks


def _is_worth_another_try(fault: Fault, act: ContainerAct, container: Container) -> bool:
    if isinstance(act, RemoveContainer):
        return True
    if container.at_rest:
        return False
    if isinstance(act, StopContainer | KillContainer | InspectContainer):
        return True  # until they are answered, nobody knows that nothing runs
    return fault is Fault.TRY_AGAIN and container.tries + 1 < TRIES


def _given_up(act: ContainerAct, container: Container, reason: str) -> Container:
    lacks_image = isinstance(act, CreateContainer) and any(words in reason.lower() for words in LACKS_IMAGE)
    reason = container.reason or (container.pull_reason if lacks_image and container.pull_reason else reason)
    if container.known is Status.RUNNING:  # whatever Docker says of the act: it runs, and is to be stopped
        return replace(container, wanted=Status.STOPPED, reason=reason)
    return replace(container, known=Status.STOPPED, wanted=Status.STOPPED, reason=reason)


def _other_ports(container: Container, port: int) -> Container:
    mine = [lease for lease in container.leases if any(number == port for _, number in ports_of(lease))]
    fixed = any(not lease.chosen for lease in mine) or not mine
    if fixed or container.leases_tried + 1 >= ATTEMPTS:
        reason = container.reason or reasons.port_taken(port)
        return replace(container, known=Status.STOPPED, wanted=Status.STOPPED, reason=reason)
    # Docker keeps a container's ports from its creation on: another port is another run, made from the image again.
    run = container.run + 1 if container.docker_id else container.run
    return replace(
        container,
        known=Status.PULLED,
        run=run,
        docker_id=NO_ID,
        metadata_id="",
        leases=without(port, container.leases),
        leases_tried=container.leases_tried + 1,
    )


def lose(draft: Draft, act: ContainerAct) -> set[TaskArn]:
    """Nobody can say what became of an act."""
    task, container = _meant(draft, act)
    if task is None or container is None:
        return set()
    word = DOING[type(act)]
    if word not in container.in_flight:
        return set()
    draft.lose(task.arn, container.name)
    draft.acts.append(ListContainers())
    doing = (*(d for d in container.doing if d is not word), word)
    return _put(draft, task, replace(container, doing=doing, lost=(*container.lost, word)))


def _meant(draft: Draft, act: ContainerAct) -> tuple[Task | None, Container | None]:
    task = draft.task(act.task)
    if task is None:
        return None, None
    container = next((c for c in task.containers if c.name == act.container), None)
    if container is None or container.run != act.run:
        return task, None
    return task, container


def _answered(draft: Draft, act: ContainerAct, container: Container) -> Container:
    """An answer settles its own act, and the acts that were lost before it was decided."""
    draft.hear(act.task, act.container)
    word = DOING[type(act)]
    earlier = container.doing[: container.doing.index(word)] if word in container.doing else ()
    settled = {word, *(d for d in earlier if d in container.lost)}
    return replace(
        container,
        doing=tuple(d for d in container.doing if d not in settled),
        lost=tuple(d for d in container.lost if d not in settled),
    )


def _unanswered(draft: Draft, act: ContainerAct, container: Container) -> Container:
    """A failure that is tried again settles nothing: what was lost before is lost still."""
    draft.hear(act.task, act.container)
    word = DOING[type(act)]
    if isinstance(act, CreateContainer | StartContainer) and act.again:
        return replace(container, lost=(*(d for d in container.lost if d is not word), word))
    return replace(
        container,
        doing=tuple(d for d in container.doing if d is not word),
        lost=tuple(d for d in container.lost if d is not word),
    )


def _put(draft: Draft, task: Task, container: Container) -> set[TaskArn]:
    draft.hear(task.arn, container.name)
    draft.put(lifecycle.accept(draft, task, container))
    return {task.arn}
