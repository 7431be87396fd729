"""Tasks wait while the host lacks what they take: none too long, none passed unfairly, and never is too much given."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.engine import amounts
from agent.engine.engine import Engine
from agent.model.acts import ContainerAct, CreateContainer, PullImage, StartContainer, StopContainer
from agent.model.decision import Decision
from agent.model.events import (
    ContainerAnswered,
    ContainerCreated,
    Event,
    GpusFound,
    ImagePulled,
    Listed,
    Observed,
    TaskAssigned,
    TaskStopRequested,
)
from agent.model.names import DockerId, Image, Step, TaskArn
from agent.model.rules import Rules
from agent.model.seen import Phase, Seen
from agent.model.status import Status
from agent.model.task import ContainerSpec, ImageSource, PortMapping, TaskSpec, Transport
from tests.engine import queue_oracle
from tests.engine.rows import ARN, OTHER, T0, Play, listed, seen, spec

HOST = Rules(cpu=1024, memory=1000, gpus=frozenset({"gpu-1", "gpu-2"}), cleanup_wait=timedelta(days=900))


def asking(name: str = "app", **fields: Any) -> ContainerSpec:  # noqa: ANN401 -- the fields of a spec
    return replace(ContainerSpec(name, Image("app:1"), essential=True), **fields)


def arn(number: int) -> TaskArn:
    return TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/c/{number:04}")


# -- what a task takes ------------------------------------------------------------------------------------------------


def test_a_tasks_own_cpu_and_memory_win_over_those_of_its_containers() -> None:
    one = spec(ARN, asking(cpu=100, memory=50, memory_reservation=20), asking("side", cpu=1, memory=7))
    assert (amounts.of_spec(one).cpu, amounts.of_spec(one).memory) == (101, 27)
    own = replace(one, cpu=0.25, memory=300)
    assert (amounts.of_spec(own).cpu, amounts.of_spec(own).memory) == (256, 300)


@pytest.mark.parametrize(("mode", "counted"), [("bridge", 3), ("", 3), ("host", 3), ("none", 0)])
def test_fixed_ports_count_each_of_a_range_and_where_they_are_ports_of_the_host(mode: str, counted: int) -> None:
    ports = (PortMapping(80), PortMapping(53, 53, Transport.UDP), PortMapping(90, 8090, count=2))
    found = amounts.of_spec(replace(spec(ARN, asking(ports=ports)), network_mode=mode)).ports
    assert len(found) == counted
    assert not counted or (Transport.TCP, 8091) in found


# -- one rule at a time -----------------------------------------------------------------------------------------------


def test_a_task_that_does_not_fit_waits_without_any_act_and_begins_in_the_decision_that_frees_its_room() -> None:
    play = Play(rules=HOST).running_with(spec(ARN, asking(memory=600)))
    assert play.assign(spec(OTHER, asking(memory=600))).acts == ()
    assert play.engine.tasks[OTHER].admitted is None
    freed = play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    assert play.engine.tasks[OTHER].admitted is not None
    assert [type(act) for act in freed.acts] == [PullImage]


def test_what_stops_holds_its_amounts_until_it_is_at_rest() -> None:
    play = Play(rules=HOST).running_with(spec(ARN, asking(memory=600)))
    play.assign(spec(OTHER, asking(memory=600)))
    play.stop()
    assert play.engine.tasks[OTHER].admitted is None
    play.answer(StopContainer, seen(Phase.EXITED, exit_code=143))
    assert play.engine.tasks[OTHER].admitted is not None


@pytest.mark.parametrize("stopping", [True, False])
def test_a_later_task_passes_the_head_only_if_the_head_will_fit_beside_it(*, stopping: bool) -> None:
    play = Play(rules=HOST).running_with(spec(ARN, asking(memory=600)))
    if stopping:
        play.stop()
    play.assign(spec(arn(1), asking(memory=900)))
    play.assign(spec(arn(2), asking(memory=100)))
    assert (play.engine.tasks[arn(2)].admitted is not None) == stopping
    play.assign(spec(arn(3), asking(memory=1)))  # there is room for it now, and there would be none for the head
    assert play.engine.tasks[arn(3)].admitted is None


def test_a_stop_of_the_head_lets_those_behind_it_begin_and_costs_no_act() -> None:
    play = Play(rules=HOST).running_with(spec(ARN, asking(memory=600)))
    play.assign(spec(arn(1), asking(memory=900)))
    play.assign(spec(arn(2), asking(memory=100)))
    decision = play.stop(arn(1))
    assert play.engine.tasks[arn(1)].known is Status.STOPPED
    assert [report.task for report in decision.reports if report.status is Status.STOPPED] == [arn(1)]
    assert play.engine.tasks[arn(2)].admitted is not None


def test_two_tasks_with_one_fixed_port_run_one_after_the_other() -> None:
    port = (PortMapping(80, 8080),)
    play = Play().running_with(spec(ARN, asking(ports=port)))
    play.assign(spec(arn(1), asking(ports=port)))
    play.assign(spec(arn(2), asking(ports=(PortMapping(80, 8080, Transport.UDP),))))
    assert play.engine.tasks[arn(1)].admitted is None
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    assert all(play.engine.tasks[arn(number)].admitted is not None for number in (1, 2))


def test_a_chosen_port_is_never_one_that_an_admitted_task_fixes() -> None:
    play = Play()
    play.assign(spec(ARN, asking(ports=(PortMapping(80, 50000),))))
    play.assign(spec(OTHER, asking(ports=(PortMapping(80),), image=Image("other:1"))))
    (created,) = play.hear(ImagePulled(ImageSource(Image("other:1")), T0)).acts
    assert isinstance(created, CreateContainer)
    assert [lease.host_port for lease in created.leases] == [50001]  # before the other has its lease


@pytest.mark.parametrize("what", [{"ports": (PortMapping(80, 8080),)}, {"gpus": ("gpu-1",)}])
def test_a_port_or_gpu_of_what_is_stopping_is_the_heads_to_come(what: dict[str, Any]) -> None:
    play = Play(rules=HOST).running_with(spec(ARN, asking(**what)))
    play.assign(spec(arn(1), asking(**what)))
    play.assign(spec(arn(2), asking(memory=1)))
    assert play.engine.tasks[arn(2)].admitted is None
    play.stop()
    assert play.engine.tasks[arn(2)].admitted is not None
    assert play.engine.tasks[arn(1)].admitted is None


def test_one_that_is_let_in_and_fails_at_once_leaves_its_room_to_the_next_in_the_same_decision() -> None:
    play = Play(rules=replace(HOST, task_limits=True))
    play.assign(spec(ARN, asking(memory=600)))
    play.assign(replace(spec(arn(1), asking(memory=601)), memory=600))
    play.assign(spec(arn(2), asking(memory=600)))
    assert play.engine.tasks[arn(2)].admitted is None
    play.stop()
    assert play.engine.tasks[arn(1)].known is Status.STOPPED
    assert play.engine.tasks[arn(2)].admitted is not None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"memory": 1001}, "ResourceInitializationError: the task asks for 1001 MiB of memory, and .* 1000 for tasks"),
        ({"cpu": 2048}, "ResourceInitializationError: the task asks for 2048 CPU units, and .* 1024 for tasks"),
        ({"gpus": ("gpu-9",)}, "ResourceInitializationError: this container instance has no GPU gpu-9"),
    ],
)
def test_what_would_not_fit_an_empty_host_stops_at_once_and_says_why(fields: dict[str, Any], reason: str) -> None:
    decision = Play(rules=HOST).assign(spec(ARN, asking(**fields)))
    (report,) = decision.reports
    assert (report.status, decision.acts) == (Status.STOPPED, ())
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(report.reason)


def test_a_gpu_serves_one_task_at_a_time() -> None:
    play = Play(rules=HOST).running_with(spec(ARN, asking(gpus=("gpu-1",))))
    play.assign(spec(arn(1), asking(gpus=("gpu-1",))))
    assert play.engine.tasks[arn(1)].admitted is None


def test_a_task_for_a_gpu_waits_beside_the_queue_until_somebody_knows_which_there_are() -> None:
    play = Play(rules=replace(HOST, gpus=None))
    play.assign(spec(ARN, asking(gpus=("gpu-1",))))
    play.assign(spec(arn(1), asking(gpus=("gpu-9",))))
    play.assign(spec(OTHER))
    assert [play.engine.tasks[one].admitted is not None for one in (ARN, arn(1), OTHER)] == [False, False, True]

    decision = play.hear(GpusFound(frozenset({"gpu-1"}), T0))

    assert play.engine.tasks[ARN].admitted is not None
    (report,) = decision.reports
    assert (report.task, report.status) == (arn(1), Status.STOPPED)
    assert report.reason == "ResourceInitializationError: this container instance has no GPU gpu-9"


def test_a_gpu_that_is_gone_is_kept_by_whoever_has_it_and_nobody_waits_for_it() -> None:
    play = Play(rules=HOST).running_with(spec(ARN, asking(gpus=("gpu-1",))))
    play.assign(spec(OTHER, asking(gpus=("gpu-1",))))

    decision = play.hear(GpusFound(frozenset({"gpu-2"}), T0))

    assert play.engine.tasks[ARN].wanted is Status.RUNNING
    assert [(report.task, report.status) for report in decision.reports] == [(OTHER, Status.STOPPED)]
    assert play.hear(GpusFound(frozenset({"gpu-2"}), T0)).changes_nothing


def test_before_the_first_listing_no_gpu_is_missed() -> None:
    play = Play(heard=False, rules=replace(HOST, gpus=None))
    play.assign(spec(ARN, asking(gpus=("gpu-1",))))
    play.hear(GpusFound(frozenset(), T0))
    assert play.task.wanted is Status.RUNNING

    play.hear(listed())

    assert play.task.known is Status.STOPPED


def test_what_the_operator_does_not_count_never_makes_anybody_wait() -> None:
    play = Play().running_with(spec(ARN, asking(memory=10**6, cpu=10**6)))
    play.assign(spec(OTHER, asking(memory=10**6, cpu=10**6)))
    assert play.engine.tasks[OTHER].admitted is not None


def test_after_a_restart_nobody_is_let_in_before_the_first_listing_and_then_in_the_old_order() -> None:
    play = Play(rules=HOST).running_with(spec(ARN, asking(memory=600)))
    first, second = spec(arn(9), asking(memory=500)), spec(arn(1), asking(memory=500))
    play.hear(TaskAssigned(first, T0 + timedelta(seconds=1), "0" * 40))
    play.hear(TaskAssigned(second, T0 + timedelta(seconds=2), "0" * 40))
    waiting = [row for row in sorted(play.engine.tasks.values(), key=lambda row: row.arn) if row.admitted is None]
    again = Play(*waiting, heard=False, rules=HOST)
    again.hear(TaskAssigned(spec(arn(5), asking(memory=600)), T0 + timedelta(seconds=3), "0" * 40))
    assert all(again.engine.tasks[arn(number)].admitted is None for number in (9, 1, 5))
    again.hear(listed())
    assert [arn(n) for n in (9, 1, 5) if again.engine.tasks[arn(n)].admitted is not None] == [arn(9), arn(1)]


# -- whatever happens -------------------------------------------------------------------------------------------------


@dataclass
class House:
    """An engine whose acts all succeed at once, but for stops, which end when they are told to."""

    engine: Engine = field(default_factory=lambda: Engine(HOST))
    now: datetime = T0
    stops: dict[TaskArn, StopContainer] = field(default_factory=dict)
    arrived: int = 0
    let_in: list[TaskArn] = field(default_factory=list)
    rules: Rules = HOST

    def hear(self, event: Event) -> None:
        before = dict(self.engine.tasks)
        if isinstance(event, GpusFound):
            self.rules = replace(self.rules, gpus=event.gpus)
        decision = self.engine.decide(event)
        rows = list(self.engine.tasks.values())
        new = {r.arn for r in rows if r.admitted is not None and (r.arn not in before or not before[r.arn].admitted)}
        expected = queue_oracle.let_in([replace(r, admitted=None) if r.arn in new else r for r in rows], self.rules)
        assert {row.arn for row in expected} == new, "who is let in is who may begin"
        queue_oracle.check(rows, self.rules)
        self.let_in += [row.arn for row in expected]
        self.perform(decision)

    def perform(self, decision: Decision) -> None:
        for act in decision.acts:
            match act:
                case PullImage():
                    self.hear(ImagePulled(act.source, self.now))
                case CreateContainer():
                    self.hear(ContainerCreated(act, DockerId(f"id-{act.task}"), self.now))
                case StartContainer():
                    self.hear(ContainerAnswered(act, self.shown(act, Phase.RUNNING), self.now))
                case StopContainer():
                    self.stops[act.task] = act
                case _:
                    raise AssertionError(f"{act} is not expected")

    def shown(self, act: ContainerAct, phase: Phase) -> Seen:
        return seen(phase, arn=act.task, docker_id=DockerId(f"id-{act.task}"), exit_code=0)

    def assign(self, containers: ContainerSpec) -> None:
        self.arrived += 1
        self.hear(TaskAssigned(TaskSpec(arn(self.arrived), "web", "1", (containers,)), self.now, "0" * 40))

    def stop(self, task: TaskArn) -> None:
        self.hear(TaskStopRequested(task, self.now))

    def end(self, task: TaskArn) -> None:
        """The container ends: by itself, or because it was told to."""
        row = self.engine.tasks[task]["app"]
        gone = seen(Phase.EXITED, arn=task, docker_id=DockerId(f"id-{task}"), exit_code=0)
        if (act := self.stops.pop(task, None)) is not None:
            self.hear(ContainerAnswered(act, gone, self.now))
        elif row.known is Status.RUNNING:
            self.hear(Observed(gone, self.now))

    def restart(self, gpus: frozenset[str] | None = HOST.gpus) -> None:
        self.rules = replace(HOST, gpus=gpus)
        self.engine = Engine(self.rules, self.engine.tasks.values())
        self.stops.clear()
        shown = tuple(
            seen(Phase.RUNNING, arn=row.arn, docker_id=row["app"].docker_id)
            for row in self.engine.tasks.values()
            if row["app"].known is Status.RUNNING
        )
        self.hear(Listed(shown, frozenset(one.docker_id for one in shown), frozenset(), Step(0), self.now))


fixed = st.sampled_from([(), (), (PortMapping(80, 8080),), (PortMapping(80, 8079, count=2),)])
gpus = st.sampled_from([(), (), ("gpu-1",), ("gpu-1", "gpu-2")])
containers = st.builds(
    lambda cpu, memory, ports, cards: asking(cpu=cpu, memory=memory, ports=ports, gpus=cards),
    st.sampled_from([0, 1, 256, 512, 1024]),
    st.sampled_from([0, 100, 300, 500, 900, 1000]),
    fixed,
    gpus,
)
steps = st.one_of(
    containers,
    containers,
    st.tuples(st.sampled_from(["stop", "end", "end"]), st.integers(0, 11)),
    st.sampled_from(["restart", "restart before the driver", "tick"]),
    st.frozensets(st.sampled_from(["gpu-1", "gpu-2"])),
)


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=5, max_size=40))
def test_the_queue_is_exact_after_every_event_and_in_the_end_everybody_had_a_turn(
    history: list[ContainerSpec | tuple[str, int] | str | frozenset[str]],
) -> None:
    house = House()
    house.restart()
    stopped = set()
    for step in history:
        match step:
            case ContainerSpec():
                house.assign(step)
            case ("stop", int(number)) if arn(number + 1) in house.engine.tasks:
                stopped.add(arn(number + 1))
                house.stop(arn(number + 1))
            case ("end", int(number)) if arn(number + 1) in house.engine.tasks:
                house.end(arn(number + 1))
            case "restart":
                house.restart()
            case "restart before the driver":
                house.restart(None)
            case frozenset():
                house.hear(GpusFound(step, house.now))
            case _:
                house.now += timedelta(seconds=1)
    house.hear(GpusFound(HOST.gpus or frozenset(), house.now))
    for _ in range(house.arrived):
        for task in list(house.engine.tasks):
            house.end(task)
    assert all(row.known is Status.STOPPED for row in house.engine.tasks.values())
    rows = house.engine.tasks.values()
    never = {row.arn for row in rows if row.admitted is None and "has no GPU" not in row.reason}
    assert never <= stopped, f"{never - stopped} starved"


def test_a_waiting_task_that_is_found_to_run_holds_its_amounts() -> None:
    play = Play(heard=False, rules=HOST)
    play.assign(spec(ARN, asking(memory=600)))
    play.assign(spec(OTHER, asking(memory=600)))
    play.hear(listed(seen(arn=OTHER)))
    assert play.engine.tasks[OTHER].admitted is not None
    assert play.task.admitted is None
