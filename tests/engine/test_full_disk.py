"""A disk that takes nothing for hours, and a crash that takes every row back to where it was before."""

from agent.model.acts import RemoveContainer
from agent.model.names import Image, TaskArn
from agent.model.status import Status
from agent.model.task import ContainerSpec, TaskSpec
from tests.engine.tape import Tape
from tests.engine.world import World

ARN = TaskArn("arn:task/one")
SPEC = TaskSpec(ARN, "web", "1", (ContainerSpec("app", Image("busybox:1"), essential=True),))


def finish_all(world: World) -> None:
    while world.flights:
        flight = world.flights[0]
        assert world.take_effect(flight)
        world.look(flight)
        world.deliver(flight)


def ended(*, full_from_the_start: bool) -> World:
    """A world in which a task has run, and ended hours ago, and the disk knows no more of it than that it is to run."""
    world = World(Tape(b""), (SPEC,))
    world.disk_is_full = full_from_the_start
    world.assign(ARN)
    world.disk_is_full = True
    world.list_whole()
    finish_all(world)
    world.docker.exit(next(world.docker.running()), 7)
    world.list_whole()
    finish_all(world)
    world.settle_reports()
    world.pass_time()
    return world


def test_what_is_left_of_a_task_that_the_disk_has_not_begun_stays_and_is_not_run_again_after_a_crash() -> None:
    world = ended(full_from_the_start=False)
    assert world.engine.tasks[ARN].known is Status.STOPPED
    assert [type(act) for act in world.held] == [RemoveContainer]
    world.crash("hours later")
    assert world.engine.tasks[ARN].known < Status.RUNNING
    world.list_whole()
    finish_all(world)
    assert world.engine.tasks[ARN].known is Status.STOPPED
    world.verify()


def test_a_task_whose_row_is_lost_is_found_by_what_is_left_of_it() -> None:
    world = ended(full_from_the_start=True)
    world.crash("hours later")
    assert ARN not in world.engine.tasks
    world.list_whole()
    world.assign(ARN)
    finish_all(world)
    assert world.engine.tasks[ARN].known is Status.STOPPED
    world.verify()


def test_when_the_disk_has_room_again_what_was_held_goes() -> None:
    world = ended(full_from_the_start=False)
    world.disk_is_full = False
    world.commit()
    (flight,) = world.flights
    assert isinstance(flight.act, RemoveContainer)
    finish_all(world)
    assert not world.docker.containers
