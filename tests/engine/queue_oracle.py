"""Who may begin, told afresh from the rows each time: slow, without sums, and in the words of the rule itself."""

from collections.abc import Iterable, Mapping, Sequence

from agent.model.rules import Rules
from agent.model.status import Status
from agent.model.task import Task

Key = tuple[str, object]


def wants(task: Task) -> Mapping[Key, int]:
    """What a task takes, thing by thing."""
    spec = task.spec
    cpu = round(spec.cpu * 1024) or sum(one.cpu for one in spec.containers)
    memory = spec.memory or sum(one.memory_reservation or one.memory for one in spec.containers)
    found: dict[Key, int] = {("cpu", ""): cpu, ("memory", ""): memory}
    for one in spec.containers:
        found |= {("gpu", gpu): 1 for gpu in one.gpus}
        for mapping in one.ports if spec.network_mode != "none" else ():
            numbers = range(mapping.host_port, mapping.host_port + mapping.count) if mapping.host_port else ()
            found |= {(mapping.transport, number): 1 for number in numbers}
    return {key: amount for key, amount in found.items() if amount}


def gpus(task: Task) -> set[str]:
    return {gpu for one in task.spec.containers for gpu in one.gpus}


def limit(key: Key, rules: Rules) -> float:
    match key:
        case ("cpu", _):
            return float("inf") if rules.cpu is None else rules.cpu
        case ("memory", _):
            return float("inf") if rules.memory is None else rules.memory
        case _:
            return 1


def fits(task: Task, beside: Iterable[Task], rules: Rules) -> bool:
    others = [wants(other) for other in beside]
    return all(
        amount + sum(other.get(key, 0) for other in others) <= limit(key, rules) for key, amount in wants(task).items()
    )


def holders(rows: Iterable[Task]) -> list[Task]:
    return [row for row in rows if row.admitted is not None and not all(c.at_rest for c in row.containers)]


def queue(rows: Iterable[Task]) -> list[Task]:
    waiting = (row for row in rows if row.admitted is None and Status.STOPPED not in (row.known, row.wanted))
    return sorted(waiting, key=lambda row: (row.arrived, row.seq))


def let_in(rows: Sequence[Task], rules: Rules) -> list[Task]:
    """Those who begin now, in turn."""
    held, head = holders(rows), None
    chosen = []
    for task in queue(rows):
        if gpus(task) and rules.gpus is None:
            continue
        if not fits(task, held, rules):
            head = head or task
            continue
        lasting = [one for one in held if one.wanted is not Status.STOPPED]
        if head is None or fits(head, [*lasting, task], rules):
            held.append(task)
            chosen.append(task)
    return chosen


def check(rows: Sequence[Task], rules: Rules) -> None:
    """Nobody waits who may begin, and no more is given than there is."""
    held = holders(rows)
    for key in {key for row in held for key in wants(row)}:
        total = sum(wants(row).get(key, 0) for row in held)
        assert total <= limit(key, rules), f"{total} of {key} are given away"
    here = rules.gpus
    for row in queue(rows):
        assert here is None or gpus(row) <= here, f"{row.arn} waits for a GPU that is not here"
    late = [row.arn for row in let_in(rows, rules)]
    assert not late, f"{late} may begin, and wait"
