"""What every decision keeps true, whatever happened before it.

`check` compares the engine before and after one event with what was decided. It looks at all that is known, so it is
for tests and for debugging, not for every event of a busy host.
"""

from collections.abc import Iterable
from typing import NoReturn

from agent.engine import attachment_invariants, leases, resource_invariants
from agent.engine.amounts import Port
from agent.engine.world import Snapshot
from agent.model.acts import (
    DOING,
    ContainerAct,
    CreateContainer,
    KillContainer,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from agent.model.decision import Decision
from agent.model.names import NO_ID, TaskArn
from agent.model.parts import Condition
from agent.model.reports import ContainerReport, TaskReport
from agent.model.status import Doing, Health, Status
from agent.model.task import Container, Task

OVER_A_START = frozenset({Doing.START, Doing.STOP})
"""A stop may overtake a start: Docker serialises the two. A kill may overtake anything."""


class InvariantBroken(AssertionError):
    """A decision broke a rule that every decision keeps."""

    def __init__(self, task: TaskArn | str, container: str, rule: str) -> None:
        super().__init__(f"{task}{f', container {container}' if container else ''}: {rule}")
        self.task = task
        self.container = container
        self.rule = rule


def check(before: Snapshot, after: Snapshot, decision: Decision) -> None:
    """Raise InvariantBroken if what was decided breaks a rule."""
    _rows_are_the_changes(before, after, decision)
    _acts_are_in_rows(before, after, decision)
    _pulls_have_waiters(after)
    _ports_are_leased_once(after)
    for arn, part, rule in resource_invariants.broken(before, after, decision):
        _broken(arn, part, rule)
    for name, rule in attachment_invariants.broken(before, after, decision):
        _broken(name, "", rule)
    _order_is_kept(after, decision)
    _lists_are_newer(before, after, decision)
    reports: dict[TaskArn, list[TaskReport]] = {}
    for report in decision.reports:
        if report.attachment:
            continue
        reports.setdefault(report.task, []).append(report)
    for row in decision.tasks:
        _nothing_goes_back(before.tasks.get(row.arn), row)
        _new_ones_are_refused(before, row)
        _restarts_are_allowed(before.tasks.get(row.arn), row)
        _one_act_each(row)
        _stopped_is_certain(row)
        _force_has_no_patience(row, decision)
        _told_once(before.tasks.get(row.arn), row, reports.pop(row.arn, []))
    for arn, rest in reports.items():
        _told_of_no_row(before, after, arn, rest)


def _broken(task: Task | TaskArn | str, container: str, rule: str) -> NoReturn:
    raise InvariantBroken(task.arn if isinstance(task, Task) else task, container, rule)


def _rows_are_the_changes(before: Snapshot, after: Snapshot, decision: Decision) -> None:
    rows = {task.arn: task for task in decision.tasks}
    if len(rows) != len(decision.tasks):
        _broken("decision", "", "a task has one row in a decision")
    for arn in before.tasks.keys() | after.tasks.keys() | rows.keys():
        old, new = before.tasks.get(arn), after.tasks.get(arn)
        if arn in rows and (rows[arn] is not new or rows[arn] == old):
            _broken(arn, "", "a row that is committed is the engine's own, and says something new")
        if arn not in rows and new != old and arn not in decision.forgotten:
            _broken(arn, "", "whatever changes is committed")
        if arn in decision.forgotten and (new is not None or arn not in after.tombstones):
            _broken(arn, "", "a forgotten task leaves a tombstone and nothing else")
    stones = {stone.arn: stone for stone in decision.tombstones}
    for arn in before.tombstones.keys() | after.tombstones.keys():
        if before.tombstones.get(arn) != after.tombstones.get(arn) and arn not in stones.keys() | set(decision.buried):
            _broken(arn, "", "a tombstone that changes is committed")


def _acts_are_in_rows(before: Snapshot, after: Snapshot, decision: Decision) -> None:
    decided: set[tuple[TaskArn, str, Doing]] = set()
    changed = {task.arn for task in decision.tasks}
    for act in decision.acts:
        if not isinstance(act, ContainerAct) or _is_of_no_row(act, after):
            continue
        key = act.task, act.container, DOING[type(act)]
        if key in decided:
            _broken(act.task, act.container, f"{key[2]} is decided twice at once")
        decided.add(key)
        if after.tasks[act.task].broken and isinstance(act, KillContainer):
            continue  # what still runs of a task that was given up is killed whenever it is seen
        if act.task not in changed:
            _broken(act.task, act.container, f"{key[2]} is decided, and no row says so")
        _act_is_in_row(act, after.tasks[act.task][act.container])
    for row in decision.tasks:
        for container in row.containers:
            for word in _newly_in_flight(before.tasks.get(row.arn), container) - {Doing.PULL}:
                if (row.arn, container.name, word) not in decided:
                    _broken(row, container.name, f"the row says {word}, and no act was decided")


def _is_of_no_row(act: ContainerAct, after: Snapshot) -> bool:
    """Is it about what is left in Docker of a task that is over?"""
    task = after.tasks.get(act.task)
    if task is None:
        if act.task not in after.tombstones or not isinstance(act, RemoveContainer):
            _broken(act.task, act.container, "an act belongs to a task that is known, or clears away after one")
        return True
    if not isinstance(act, RemoveContainer) or task.known is not Status.STOPPED:
        return False
    return all(c.name != act.container or c.docker_id != act.docker_id for c in task.containers)


def _act_is_in_row(act: ContainerAct, container: Container) -> None:
    word = DOING[type(act)]
    if act.run != container.run or word not in container.in_flight:
        _broken(act.task, act.container, f"{word} is not in flight in the row")
    if isinstance(act, CreateContainer | StartContainer) and container.wanted is Status.STOPPED:
        _broken(act.task, act.container, f"{word} for a container that is wanted STOPPED")


def _newly_in_flight(before: Task | None, after: Container) -> set[Doing]:
    old = _namesake(before, after)
    return set(after.in_flight) - set(old.in_flight if old is not None and old.run == after.run else ())


def _namesake(task: Task | None, container: Container) -> Container | None:
    return None if task is None else next((c for c in task.containers if c.name == container.name), None)


def _pulls_have_waiters(after: Snapshot) -> None:
    for source, pull in after.pulls.items():
        if not pull.waiting and not pull.cancelling:
            _broken(source.image, "", "a pull that nobody waits for is cancelled")
    waiting = {(key, source) for source, pull in after.pulls.items() for key in pull.waiting}
    pulling = {
        ((task.arn, container.name), task.spec.source(spec))
        for task in after.tasks.values()
        for spec, container in task.pairs()
        if Doing.PULL in container.in_flight
    }
    for (arn, name), source in waiting ^ pulling:
        _broken(arn, name, f"who waits for {source.image} says so in the row, and is known to the pull")


def _ports_are_leased_once(after: Snapshot) -> None:
    chosen: set[Port] = set()
    for task in after.tasks.values():
        for container in task.containers:
            for lease in container.leases if not container.at_rest else ():
                mine = set(leases.ports_of(lease)) if lease.chosen and lease.host_port else set()
                if mine & chosen:
                    _broken(task, container.name, f"port {lease.host_port} belongs to another container")
                chosen |= mine


def _lists_are_newer(before: Snapshot, after: Snapshot, decision: Decision) -> None:
    number = before.manifest
    for taken in decision.manifests:
        if taken.number <= number:
            _broken(taken.message_id, "", "a list of tasks is taken from ECS only if it is newer")
        number = taken.number
        for arn in taken.candidates:
            if arn not in after.tasks or after.tasks[arn].wanted is Status.STOPPED:
                _broken(arn, "", "ECS is asked about tasks that are here and are to run")
    if after.manifest != number:
        _broken("decision", "", "the number of the newest list is committed")


def _order_is_kept(after: Snapshot, decision: Decision) -> None:
    for act in decision.acts:
        task = after.tasks.get(act.task) if isinstance(act, CreateContainer | StopContainer) else None
        if task is None:
            continue
        if isinstance(act, CreateContainer) and not act.again:
            for need in act.spec.dependencies:
                if not _has_come_to(need.condition, task[need.container]):
                    _broken(task, act.container, f"is created before {need.container} has come to {need.condition}")
        if isinstance(act, StopContainer) and task[act.container].known is not Status.STOPPED:
            for spec, other in task.pairs():
                needs = any(need.container == act.container for need in spec.dependencies)
                if needs and other.wanted is Status.STOPPED and not other.at_rest:
                    _broken(task, act.container, f"is stopped before {other.name}, which depends on it")


def _has_come_to(condition: Condition, container: Container) -> bool:
    ended = container.known is Status.STOPPED and container.exit_code is not None
    return {
        Condition.CREATE: container.docker_id != NO_ID,
        Condition.START: container.first_started_at is not None,
        Condition.COMPLETE: ended,
        Condition.SUCCESS: ended and container.exit_code == 0,
        Condition.HEALTHY: container.known is Status.RUNNING and container.health is Health.HEALTHY,
    }[condition]


def _restarts_are_allowed(old: Task | None, new: Task) -> None:
    for spec, container in new.pairs():
        before = _namesake(old, container)
        if before is None or container.restarts == before.restarts:
            continue
        policy, last = spec.restart, before.restarted_at or container.first_started_at
        if policy is None or container.restarted_at is None or last is None:
            _broken(new, container.name, "starts again, and no policy says so")
        if container.restarts != before.restarts + 1 or container.run != before.run + 1:
            _broken(new, container.name, "a restart is one new run")
        if container.exit_code is None or container.exit_code in policy.ignored_exit_codes:
            _broken(new, container.name, f"starts again after exit code {container.exit_code}")
        if 0 <= (container.restarted_at - last).total_seconds() < policy.attempt_period:
            _broken(new, container.name, "starts again too early")
        if before.wanted is Status.STOPPED or before.known is Status.STOPPED:
            _broken(new, container.name, "starts again though it was to end")


def _nothing_goes_back(old: Task | None, new: Task) -> None:
    if old is None:
        return
    for rule, was, now in (
        ("known", old.known, new.known),
        ("told", old.told, new.told),
        ("broken", old.broken, new.broken),
        ("forced", old.forced, new.forced),
        ("wanted", old.wanted, new.wanted),
    ):
        if now < was:
            _broken(new, "", f"{rule} goes back")
    for container in new.containers:
        before = _namesake(old, container)
        if before is None:
            continue
        if container.run < before.run or container.wanted < before.wanted or container.told < before.told:
            _broken(new, container.name, "run, wanted or told goes back")
        if container.run == before.run and container.known < before.known:
            _broken(new, container.name, f"known goes back from {before.known.name} within a run")
        if container.run > before.run and len(before.in_flight) > 1:
            _broken(new, container.name, "a new run begins while an act of the old one is in flight")


def _new_ones_are_refused(before: Snapshot, new: Task) -> None:
    """What a listing finds runs here already."""
    if before.strain and new.arn not in before.tasks and not new.spec.rebuilt:
        _broken(new, "", f"is taken in, and no new task is: {before.strain}")


def _one_act_each(task: Task) -> None:
    for container in task.containers:
        words = container.in_flight
        if len(set(container.doing)) != len(container.doing) or not set(container.lost) <= set(container.doing):
            _broken(task, container.name, "`doing` holds each act once, and `lost` is a part of it")
        others = set(words) - {Doing.KILL}
        if len(others) > 1 and others != OVER_A_START:
            _broken(task, container.name, f"more than one act is in flight: {', '.join(words)}")


def _stopped_is_certain(task: Task) -> None:
    for container in task.containers:
        if container.told is Status.STOPPED and not container.at_rest:
            _broken(task, container.name, "called STOPPED, and may appear")
    if Status.STOPPED in (task.told, task.known) and not all(c.at_rest for c in task.containers):
        _broken(task, "", "called STOPPED while a container may appear")


def _force_has_no_patience(task: Task, decision: Decision) -> None:
    if not task.forced:
        return
    if task.wanted is not Status.STOPPED:
        _broken(task, "", "an operator wants it dead, and it is wanted RUNNING")
    for act in decision.acts:
        if isinstance(act, StopContainer) and act.task == task.arn:
            _broken(task, act.container, "is given a grace, and an operator wants it dead")


def _told_once(old: Task | None, new: Task, reports: list[TaskReport]) -> None:
    _rises(new, "", old.told if old else Status.NONE, [r.status for r in reports if r.moved], new.told)
    for container in new.containers:
        before = _namesake(old, container)
        parts = [part for r in reports for part in r.containers if part.name == container.name]
        _digest_is_told_once(before, new, container, parts)
        told = [part.status for part in parts if part.status is not Status.NONE]
        _rises(new, container.name, before.told if before else Status.NONE, told, container.told)
    if any(not r.moved and not r.containers for r in reports):
        _broken(new, "", "a report says something")


def _digest_is_told_once(
    before: Container | None, new: Task, container: Container, parts: list[ContainerReport]
) -> None:
    """PENDING is told of a container once, for its image's digest, before anything else."""
    pending = [part for part in parts if part.status is Status.NONE]
    knew = before is not None and before.told_digest
    if pending and (len(pending) > 1 or knew or not pending[0].image_digest or not container.told_digest):
        _broken(new, container.name, "PENDING tells of a digest, once")
    if knew and not container.told_digest:
        _broken(new, container.name, "a digest that was told is not untold")


def _rises(task: Task, container: str, before: Status, told: Iterable[Status], after: Status) -> None:
    last = before
    for status in told:
        if status not in (Status.RUNNING, Status.STOPPED) or status <= last:
            _broken(task, container, f"{status.name} is told after {last.name}")
        last = status
    if last is not after:
        _broken(task, container, f"{after.name} is in the row and {last.name} in the outbox")


def _told_of_no_row(before: Snapshot, after: Snapshot, arn: TaskArn, reports: list[TaskReport]) -> None:
    known = arn in before.tasks or arn in after.tasks or arn in before.tombstones
    if known or len(reports) != 1 or reports[0].status is not Status.STOPPED or arn not in after.tombstones:
        _broken(arn, "", "a report without a row says STOPPED once, of a task that was never known here")
