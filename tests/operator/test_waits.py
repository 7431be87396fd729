from dataclasses import dataclass, replace

import pytest

from agent.model.names import DockerId
from agent.model.parts import Condition, Dependency, Link, Mount, VolumesFrom
from agent.model.status import Doing, Health, ResourceKind, Status
from agent.model.task import Container, ContainerSpec, Resource, Task
from agent.operator import waits
from tests.operator.scene import APP, DB, T0, a_task, after

CREATED, RUNNING, STOPPED = Status.CREATED, Status.RUNNING, Status.STOPPED


class Vault:
    def __init__(self, *there: str) -> None:
        self._there = there

    def get(self, credentials_id: str) -> object | None:
        return credentials_id if credentials_id in self._there else None


@dataclass(frozen=True)
class Far:
    layers_done: int = 1
    layers: int = 3
    bytes_done: int = 3 << 19
    bytes_total: int = 4 << 20


def of_app(task: Task) -> list[str]:
    spec, container = next(iter(task.pairs()))
    return list(waits.of_container(task, spec, container, {}))


def test_a_task_that_is_not_admitted_waits_for_the_host_and_its_containers_for_nothing_else() -> None:
    task = replace(a_task(Container("app")), admitted=None)
    assert list(waits.of_task(task, Vault())) == ["CPU, memory, ports or GPUs of the host that other tasks hold"]
    assert of_app(task) == []


def test_a_task_waits_for_credentials_until_they_come() -> None:
    task = a_task(Container("app"))
    task = replace(task, spec=replace(task.spec, task_credentials_id="one", execution_credentials_id="two"))
    assert list(waits.of_task(task, Vault("one"))) == ["ECS to send the credentials two"]
    assert list(waits.of_task(task, Vault("one", "two"))) == []
    assert list(waits.of_task(replace(task, known=RUNNING), Vault())) == []


def test_a_task_that_has_stopped_waits_for_ecs_to_say_that_it_heard() -> None:
    task = replace(a_task(Container("app", STOPPED, STOPPED)), known=STOPPED, wanted=STOPPED)
    assert list(waits.of_task(task, Vault())) == ["ECS to acknowledge that it has stopped"]
    assert list(waits.of_task(replace(task, settled=True), Vault())) == []


def test_a_pull_is_waited_for_with_how_far_it_has_come() -> None:
    task = a_task(Container("app", doing=(Doing.PULL,)))
    assert of_app(task) == ["its image app:1"]
    far = list(waits.of_container(task, APP, task["app"], {"app:1": Far()}))
    assert far == ["its image app:1 (1 of 3 layers, 1.5 of 4.0 MiB)"]


def test_docker_is_waited_for_by_act_and_an_answer_that_was_lost_is_called_so() -> None:
    assert of_app(a_task(Container("app", Status.PULLED, doing=(Doing.CREATE,)))) == ["Docker to create it"]
    lost = Container("app", CREATED, doing=(Doing.START,), lost=(Doing.START,))
    assert of_app(a_task(lost)) == ["Docker to start it, whose answer to that was lost"]


def test_another_try_is_waited_for_with_its_time() -> None:
    waiting = Container("app", Status.PULLED, tries=2, wake_at=after(9))
    assert of_app(a_task(waiting)) == ["another try at 2026-01-01T00:00:09+00:00, after 2 that failed"]


def test_a_container_waits_for_the_things_that_it_needs_and_for_no_others() -> None:
    spec = ContainerSpec("app", APP.image, mounts=(Mount("mine", "/m"),))
    resources = (
        Resource(ResourceKind.VOLUME, "mine"),
        Resource(ResourceKind.VOLUME, "others", wake_at=after(1)),
        Resource(ResourceKind.CGROUP, wake_at=after(1)),
        Resource(ResourceKind.VALUES),
    )
    task = replace(a_task(Container("app"), spec=spec), resources=resources)
    assert of_app(task) == ["volume mine"]
    made = replace(a_task(Container("app", CREATED), spec=spec), resources=resources)
    assert of_app(made) == ["the task's cgroup, again at 2026-01-01T00:00:01+00:00"]
    with_secret = replace(a_task(Container("app"), spec=APP), resources=resources[3:])
    assert of_app(with_secret) == ["secrets, environment files or logins to be fetched"]


@pytest.mark.parametrize(
    ("condition", "other", "wait"),
    [
        (Condition.START, Container("db", CREATED), "container db to be START (it is CREATED)"),
        (Condition.START, Container("db", RUNNING, first_started_at=T0), ""),
        (Condition.COMPLETE, Container("db", RUNNING), "container db to be COMPLETE (it is RUNNING)"),
        (Condition.COMPLETE, Container("db", STOPPED, first_started_at=T0, exit_code=3), ""),
        (
            Condition.SUCCESS,
            Container("db", STOPPED, first_started_at=T0, exit_code=3),
            "container db to be SUCCESS (it is STOPPED with exit code 3)",
        ),
        (Condition.SUCCESS, Container("db", STOPPED, first_started_at=T0, exit_code=0), ""),
        (
            Condition.HEALTHY,
            Container("db", RUNNING, health=Health.UNHEALTHY),
            "container db to be HEALTHY (it is RUNNING and UNHEALTHY)",
        ),
        (Condition.HEALTHY, Container("db", RUNNING, health=Health.HEALTHY), ""),
        (Condition.CREATE, Container("db"), "container db to be CREATE (it is NONE)"),
        (Condition.CREATE, Container("db", CREATED, docker_id=DockerId("d")), ""),
        (
            Condition.COMPLETE,
            Container("db", RUNNING, start_by=after(60)),
            "container db to be COMPLETE, at the latest at 2026-01-01T00:01:00+00:00 (it is RUNNING)",
        ),
    ],
)
def test_a_container_waits_for_another_until_the_condition_is_met(
    condition: Condition, other: Container, wait: str
) -> None:
    spec = ContainerSpec("app", APP.image, depends_on=(Dependency("db", condition),))
    assert of_app(a_task(Container("app", Status.PULLED), other, spec)) == [one for one in (wait,) if one]


def test_links_and_foreign_mounts_are_needs_too() -> None:
    spec = ContainerSpec("app", APP.image, links=(Link("db", "db"),), volumes_from=(VolumesFrom("db"),))
    task = a_task(Container("app"), Container("db"), spec)
    assert of_app(task) == ["container db to be START (it is NONE)", "container db to be CREATE (it is NONE)"]


def test_a_container_that_is_to_stop_waits_for_those_that_need_it_and_for_its_end() -> None:
    spec = ContainerSpec("app", APP.image, depends_on=(Dependency("db"),))
    app = Container("app", RUNNING, STOPPED, doing=(Doing.STOP,), kill_at=after(30))
    task = a_task(app, Container("db", RUNNING, STOPPED), spec)
    assert of_app(task) == ["Docker to stop it", "its end; it is killed at 2026-01-01T00:00:30+00:00"]
    waiting = list(waits.of_container(task, DB, task["db"], {}))
    assert waiting == ["container app, which needs it, to stop first"]
    at_rest = a_task(replace(app, known=STOPPED, doing=(), kill_at=None), Container("db", RUNNING, STOPPED), spec)
    assert list(waits.of_container(at_rest, DB, at_rest["db"], {})) == []
