"""Whatever happens in whatever order, and whenever a commit fails or the program dies."""

import random
import sqlite3
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.controlplane import tables
from agent.controlplane.delivery import due
from agent.controlplane.events import (
    Acknowledged,
    AttachmentWanted,
    DeliveriesAsked,
    ManifestAsked,
    MinutePassed,
    PlaneDecision,
    PlaneStarted,
    Refused,
    StopsAsked,
    TelemetryTold,
    UpdateWanted,
)
from agent.controlplane.faults import Fault
from agent.controlplane.health import HEALTH, WORST_FIRST
from agent.controlplane.notices import KINDS, TASK_INTERFACE
from agent.controlplane.plane import Plane
from agent.controlplane.records import LAST_STATUS, InstanceCheck, PlaneTask
from agent.controlplane.scheduler import remaining
from agent.controlplane.telemetry import ChecksTold, FiguresTold, HealthTold, Told
from agent.controlplane.world import World
from agent.wire.tcs_metrics import ContainerMetric
from tests.controlplane.desk import WEB, Desk

WORDS = """
register register_again deregister connect connect connect connect lose run run run_again stop report report
report_container acknowledge acknowledge minute restart fail_commit list_tasks verify_stops
attach attach attached answer_notice update health checks figures
"""
STEPS = tuple(WORDS.split())


def dump(world: World) -> dict[str, bytes]:
    """Everything that is known, comparable."""
    shelves = (
        world.clusters,
        world.definitions,
        world.instances,
        world.tasks,
        world.attachments,
        world.tokens,
        world.counters,
    )
    return {
        f"{type(record).__name__} {record.key}": msgspec.json.encode(record)
        for shelf in shelves
        for record in shelf.values()
    }


class History:
    """A plane, its disk, and a die that decides what happens next."""

    def __init__(self, seed: int) -> None:
        self.die = random.Random(seed)
        self.disk = sqlite3.connect(":memory:")
        for step in tables.STEPS:
            for statement in step.sql.split(";\n"):
                self.disk.execute(statement)
        self.desk = Desk()
        self.numbers: list[int] = []
        self.seen: dict[str, PlaneTask] = {}
        self.desk.call("CreateCluster")
        self.save()
        ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 53, "hostPort": 5353, "protocol": "udp"}]
        gpu = {"resourceRequirements": [{"type": "GPU", "value": "1"}]}
        for family, container in (("web", WEB), ("port", WEB | {"portMappings": ports}), ("gpu", WEB | gpu)):
            self.desk.define(container, WEB | {"name": "log", "essential": False}, family=family)
            self.save()

    @property
    def world(self) -> World:
        return self.desk.plane.world

    def save(self) -> None:
        tables.write(self.disk, "us-east-1", self.desk.last.changes)

    def any_instance(self) -> str:
        live = [instance.arn for instance in self.world.instances.values() if instance.status == "ACTIVE"]
        return self.die.choice(live * 5 + [*self.world.instances, "arn:nobody"])

    def any_task(self) -> str:
        live = [task.arn for task in self.world.tasks.values() if not task.stopped]
        return self.die.choice(live * 5 + [*self.world.tasks, "0" * 32])

    def step(self, name: str) -> None:
        before = dump(self.world)
        try:
            getattr(self, name)()
        except Fault:
            assert dump(self.world) == before, "an error leaves no trace"
        self.save()
        self.desk.later(seconds=self.die.choice((-2, 0, 0.5, 900)))
        self.check()

    def register(self) -> None:
        if sum(instance.status == "ACTIVE" for instance in self.world.instances.values()) < 4:
            self.desk.register(
                cpu=self.die.choice((250, 1000)), memory=self.die.choice((450, 2000)), platformDevices=self.devices()
            )

    def register_again(self) -> None:
        self.desk.register(
            containerInstanceArn=self.any_instance(), cpu=self.die.choice((100, 1000)), platformDevices=self.devices()
        )

    def devices(self) -> list[dict[str, str]]:
        return [{"id": f"GPU-{number}", "type": "GPU"} for number in range(self.die.randrange(4))]

    def deregister(self) -> None:
        force = self.die.random() < 0.1
        self.desk.call("DeregisterContainerInstance", containerInstance=self.any_instance(), force=force)

    def connect(self) -> None:
        self.desk.connect(self.any_instance(), self.die.choice("ab"))

    def lose(self) -> None:
        self.desk.lose(self.any_instance(), self.die.choice("ab"))

    def run(self) -> None:
        token = {"clientToken": str(self.die.randrange(20))} if self.die.random() < 0.5 else {}
        family = self.die.choice(("web", "port", "gpu"))
        self.desk.call("RunTask", taskDefinition=family, count=self.die.randint(1, 3), **token)

    def run_again(self) -> None:
        request = {"taskDefinition": "web", "clientToken": f"t{self.die.randrange(3)}"}
        first = self.desk.call("RunTask", **request)
        self.save()
        again = self.desk.call("RunTask", **request)
        assert [t["taskArn"] for t in again["tasks"]] == [t["taskArn"] for t in first["tasks"]]
        assert not self.desk.last.changes

    def stop(self) -> None:
        self.desk.call("StopTask", task=self.any_task())

    def report(self) -> None:
        arn, status = self.any_task(), self.die.choice(("PENDING", "RUNNING", "STOPPED"))
        self.desk.report(arn, status)
        self.save()
        self.desk.report(arn, status)
        assert not self.desk.last.changes, "told twice is told once"

    def report_container(self) -> None:
        container = {"containerName": self.die.choice(("web", "log", "who")), "exitCode": self.die.choice((0, 1))}
        container["status"] = self.die.choice(("RUNNING", "STOPPED"))
        arn = self.any_task()
        self.desk.report(arn, containers=[container])
        self.save()
        self.desk.report(arn, containers=[container])
        assert not self.desk.last.changes

    def acknowledge(self) -> None:
        instance = self.any_instance()
        owed = self.desk.decide(DeliveriesAsked(instance, self.desk.now)).deliveries
        name = self.die.choice([delivery.message_id for delivery in owed] or ["nothing-run"])
        self.desk.acknowledge(instance, name)
        self.save()
        self.desk.acknowledge(instance, name)
        assert not self.desk.last.changes

    def list_tasks(self) -> None:
        instance = self.any_instance()
        listed = self.desk.decide(ManifestAsked(instance, self.desk.now)).manifest
        assert (listed is None) == (instance not in self.world.instances)
        if listed is not None:
            assert listed.seq > max(self.numbers, default=0), "sequence numbers only grow"
            self.numbers.append(listed.seq)
            owed = due(self.world, instance, again=True)
            assert {one.task.arn for one in owed} <= {task.arn for task in listed.tasks}

    def verify_stops(self) -> None:
        instance, asked = self.any_instance(), (self.any_task(), self.any_task())
        for arn in self.desk.decide(StopsAsked(instance, asked)).over:
            task = self.world.tasks[arn]
            assert task.instance == instance
            assert "STOPPED" in (task.last_status, task.desired_status)
        assert not self.desk.last.changes

    def attach(self) -> None:
        kind, wait = self.die.choice(KINDS), timedelta(seconds=self.die.choice((1, 1000)))
        task = self.any_task() if kind == TASK_INTERFACE else ""
        home = self.world.tasks[task].instance if task in self.world.tasks else self.any_instance()
        draw = f"{self.die.getrandbits(128):064x}"
        self.desk.decide(AttachmentWanted(home, kind, {"macAddress": "0a"}, self.desk.now, wait, draw, task))

    def attached(self) -> None:
        arn = self.die.choice([*self.world.attachments, "arn:nothing"])
        status = self.die.choice(("ATTACHED", "ATTACHED", "DETACHED", "NONE"))
        for again in range(2):
            self.desk.call("SubmitAttachmentStateChanges", attachments=[{"attachmentArn": arn, "status": status}])
            assert not (again and self.desk.last.changes), "told twice is told once"
            self.save()

    def update(self) -> None:
        self.desk.decide(UpdateWanted(self.any_instance(), "https://host/new.tar", "00", self.desk.now))

    def answer_notice(self) -> None:
        home = self.any_instance()
        for notice in self.desk.decide(DeliveriesAsked(home, self.desk.now)).notices:
            ack = Acknowledged(home, notice.message_id)
            self.desk.decide(self.die.choice((ack, ack, Refused(home, notice.message_id, "no"))))
            self.save()
            self.desk.decide(ack)
            self.save()
            self.desk.decide(ack)
            assert not self.desk.last.changes

    def tell(self, home: str, told: Told) -> None:
        for again in range(2):
            self.desk.decide(TelemetryTold(home, told, self.desk.now))
            assert not (again and self.desk.last.changes), "told twice is told once"
            self.save()

    def health(self) -> None:
        task, word = self.any_task(), self.die.choice(HEALTH)
        home = self.world.tasks[task].instance if task in self.world.tasks else self.any_instance()
        self.tell(home, HealthTold({task: {self.die.choice(("web", "log", "who")): word}}))

    def checks(self) -> None:
        check = InstanceCheck("CONTAINER_RUNTIME", self.die.choice(WORST_FIRST), self.desk.now, self.desk.now)
        self.tell(self.any_instance(), ChecksTold((check,)))

    def figures(self) -> None:
        before = dump(self.world)
        self.tell(self.any_instance(), FiguresTold({self.any_task(): {"web": ContainerMetric()}}))
        assert dump(self.world) == before

    def minute(self) -> None:
        self.desk.decide(MinutePassed(self.desk.now))
        live = {task.arn for task in self.world.tasks.values() if not task.stopped}
        assert set(self.desk.plane.figures._tasks) <= live

    def fail_commit(self) -> None:
        before = dump(self.world)
        self.desk.last = PlaneDecision()
        try:
            self.die.choice((self.run, self.register, self.stop))()
        except Fault:
            return
        self.desk.plane.undo(self.desk.last.changes)
        assert dump(self.world) == before
        self.desk.last = PlaneDecision()

    def restart(self) -> None:
        before = dump(self.world)
        self.desk.plane = Plane("us-east-1", "123456789012", tables.read(self.disk).get("us-east-1", ()))
        assert dump(self.world) == before, "the disk knows all that was ever answered"
        self.desk.decide(PlaneStarted(self.desk.now))
        assert not any(instance.connection for instance in self.world.instances.values())

    def check(self) -> None:
        for attachment in self.world.attachments.values():
            if attachment.seq not in self.numbers:
                assert attachment.seq > max(self.numbers, default=0), "sequence numbers only grow"
                self.numbers.append(attachment.seq)
            owed = self.desk.plane.decide(DeliveriesAsked(attachment.instance, self.desk.now)).notices
            told = [notice for notice in owed if notice.message_id == f"{attachment.attachment_id}-attach"]
            in_time = self.desk.now < attachment.expires_at and not attachment.acked
            live = self.world.instances[attachment.instance].status != "INACTIVE"
            assert bool(told) == (in_time and live and attachment.status == "ATTACHING")
            assert all(notice.message["waitTimeoutMs"] > 0 for notice in told)
        for instance in self.world.instances.values():
            held = [t for t in self.world.tasks.values() if t.instance == instance.arn and not t.stopped]
            left = remaining(instance, held)
            assert left.cpu == max(0, instance.cpu - sum(task.charge.cpu for task in held))
            assert left.memory == max(0, instance.memory - sum(task.charge.memory for task in held))
            assert min(left.cpu, left.memory) >= 0
            ports = [port for task in held for port in task.charge.tcp]
            assert len(ports) == len(set(ports)), "a host port belongs to one task"
            gpus = [gpu for task in held for gpu in task.charge.gpus]
            assert len(gpus) == len(set(gpus)), "a GPU belongs to one task"
            assert set(left.gpus) == set(instance.gpus) - set(gpus)
            for delivery in due(self.world, instance.arn):
                assert not delivery.task.stopped
                assert (delivery.definition is None) == (delivery.task.desired_status == "STOPPED")
        for task in self.world.tasks.values():
            self.check_task(task)

    def check_task(self, task: PlaneTask) -> None:
        before = self.seen.get(task.arn)
        if before is not None:
            assert LAST_STATUS.index(task.last_status) >= LAST_STATUS.index(before.last_status)
            assert (before.desired_status, task.desired_status) != ("STOPPED", "RUNNING")
            assert task.version >= before.version
            assert task.run_acked >= before.run_acked
            for old, new in zip(before.containers, task.containers, strict=True):
                assert LAST_STATUS.index(new.last_status) >= LAST_STATUS.index(old.last_status)
                assert new.last_status != "STOPPED" or new.health in ("", "UNKNOWN")
                assert old.exit_code is None or new.exit_code == old.exit_code or old.last_status != "STOPPED"
        for number in (task.run_seq, task.stop_seq):
            if number and number not in self.numbers:
                assert number > max(self.numbers, default=0), "sequence numbers only grow"
                self.numbers.append(number)
        assert task.charge.gpus == tuple(gpu for container in task.containers for gpu in container.gpu_ids)
        assert (task.stopped_at is not None) == task.stopped
        assert (task.stop_code != "") == (task.desired_status == "STOPPED")
        self.seen[task.arn] = task


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.sampled_from(STEPS), max_size=60))
def test_whatever_happens_the_books_are_right(seed: int, steps: list[str]) -> None:
    history = History(seed)
    for name in ("register", "connect", "run", *steps):
        history.step(name)


@pytest.mark.parametrize("seed", range(5))
def test_a_long_life_keeps_the_books_right(seed: int) -> None:
    history = History(seed)
    for _ in range(600):
        history.step(history.die.choice(STEPS))
    assert history.seen
