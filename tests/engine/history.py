"""Histories: what happens is read from a tape; in the end the world becomes fair, and accounts are settled."""

from datetime import timedelta

from agent.engine import resources
from agent.engine.engine import Engine
from agent.model.events import DeadlinePassed, Strained
from agent.model.names import TaskArn
from agent.model.status import Health, Status
from tests.engine.happenings import Happenings
from tests.engine.plans import JOB, POOL, UNREADABLE
from tests.engine.road import RULES

ROUNDS = 150
ACTS_TO_QUIET = 40
"""More than any task needs once the world is fair: a task that goes on is spinning."""


class History(Happenings):
    """One history, from its first step to the settling of accounts."""

    def run(self) -> None:
        """Play the tape, then settle accounts."""
        if self.is_storm or self.restless:
            self.assign()
            self.world.list_whole()
            for _ in range(9 if self.restless else self.tape.below(4)):  # up to an image, a container, a start
                self.finish()
        while not self.tape.is_over:
            self.tape.pick(self.steps)()
            self.verify()
        self.make_fair()
        self.become_quiet(timedelta(minutes=20))
        self.check_accounts()
        self.check_cleanup()

    def make_fair(self) -> None:
        """Docker answers, the disk has room, and ECS says again what may have been lost with a crash."""
        world = self.world
        world.disk_is_full = False
        world.commit()
        world.find_docker()
        world.hear(Strained("", world.now))
        for arn in world.specs:
            world.bring_credentials(arn)
            if world.is_over(arn):
                continue
            if arn in world.stopping:
                world.stop(arn)
            elif arn in world.asked and (self.forgetful or self.is_unknown(arn)):
                world.assign(arn)

    def is_unknown(self, arn: TaskArn) -> bool:
        """Has ECS had no acknowledgement?"""
        world = self.world
        return (arn not in world.disk.tasks and arn not in world.disk.tombstones) or arn in world.unwritten

    def become_quiet(self, patience: timedelta) -> None:
        """Everything goes well until nothing is left to do."""
        world = self.world
        world.acts.clear()
        until = world.now + patience
        listings = 0
        for _ in range(ROUNDS):
            before = len(world.history)
            self.finish_all()
            self.end_and_heal()
            world.list_whole()
            self.finish_all()
            deadline = world.engine.next_deadline()
            if deadline is not None and deadline <= until:
                world.docker.now = max(world.docker.now, deadline)
                world.hear(DeadlinePassed(world.now))
            self.verify()
            listings = listings + 1 if len(world.history) == before + 1 else 0  # the listing alone
            if listings == 2:
                break
        else:
            raise AssertionError("the world does not become quiet")
        for arn, count in world.acts.items():
            assert count <= ACTS_TO_QUIET, f"{count} acts for {arn} while all was well"

    def finish_all(self) -> None:
        world = self.world
        while world.flights or world.looks or world.docker.events:
            for flight in list(world.flights):
                if world.take_effect(flight):
                    world.look(flight)
                    world.deliver(flight)
            while world.docker.events:
                world.follow_hint()
            while world.looks:
                world.deliver_look()
            if world.flights:
                world.docker.tick(timedelta(seconds=1))

    def end_and_heal(self) -> None:
        """Whoever has an end comes to it, and whoever is checked passes."""
        for container in list(self.world.docker.running()):
            if container.command == JOB:
                container.end(0, self.world.now)
                self.world.docker.events.append(container.docker_id)
            elif container.health is not None:
                self.world.docker.check(container, Health.HEALTHY)

    def check_accounts(self) -> None:
        """Whoever was to stop has stopped, whoever was to run runs, and ECS was told."""
        world = self.world
        assert not world.engine.attachments, "their time is up"
        for late in list(world.docker.late):
            world.docker.late.remove(late)
            world.docker.take_late(late)
        self.verify()
        self.become_quiet(timedelta(minutes=20))
        for arn in world.asked | world.stopping:
            running = [c for c in world.docker.running() if c.labels.task == arn]
            told_stopped = world.told[arn, "", Status.STOPPED] > 0
            assert not (told_stopped and running), f"{arn} is called STOPPED and runs"
            if arn in world.stopping:
                assert told_stopped, f"{arn} was to be stopped, and ECS was not told"
            elif arn in world.engine.tasks and world.engine.tasks[arn].admitted is None:
                assert not running, f"{arn} waits and runs"
            elif self.is_undisturbed(arn):
                assert not told_stopped, f"{arn} was stopped for no reason"
                assert world.told[arn, "", Status.RUNNING], f"{arn} runs, and ECS was not told"
                lasting = [spec for spec in world.specs[arn].containers if spec.command != JOB]
                assert len(running) == len(lasting), f"{arn} does not run"
            elif not told_stopped:
                self.check_is_alive(arn)
        assert world.told[UNREADABLE, "", Status.STOPPED] <= 1

    def is_undisturbed(self, arn: TaskArn) -> bool:
        exited = arn in self.world.docker.exited
        exited |= any(spec.start_timeout for spec in self.world.specs[arn].containers)
        spoiled = self.spoiled_by_hand | self.world.unwritten
        return not (exited or self.world.faults[arn] > 4 or arn in spoiled or self.forgetful)

    def check_is_alive(self, arn: TaskArn) -> None:
        """A task that ECS believes to live has its essential containers running, and something running at all."""
        task = self.world.engine.tasks[arn]
        runs = {c.labels.container for c in self.world.docker.running() if c.labels.task == arn}
        assert runs, f"{arn} is not called STOPPED, and nothing of it runs"
        for spec, container in task.pairs():
            assert (container.known is Status.RUNNING) == (spec.name in runs), f"{arn} {spec.name} is wrong"
            assert spec.name in runs or not spec.essential, f"{arn} lives without {spec.name}"

    def check_cleanup(self) -> None:
        """Hours later nothing is left of what has stopped, in Docker or in the journal."""
        world = self.world
        world.settle_reports()
        self.become_quiet(RULES.cleanup_wait + timedelta(hours=3))
        for arn in world.specs:
            if arn in world.engine.tasks and world.engine.tasks[arn].known is not Status.STOPPED:
                continue
            left = [c for c in world.docker.containers.values() if c.labels.task == arn]
            assert not left, f"{left} is left of {arn}"
            assert arn not in world.engine.tasks, f"the row of {arn} is left"
            assert arn not in world.disk.tasks, f"the row of {arn} is left on disk"
            assert arn not in world.engine.snapshot().tombstones, f"the tombstone of {arn} is left"
            if arn not in self.unfindable | world.broken | world.unseen:
                things = world.host.left_of(arn, frozenset({POOL.name}))
                assert not things, f"{things} is left of {arn}"
        restarted = Engine(self.rules, world.disk.tasks.values(), world.disk.tombstones.values(), world.disk.manifest)
        rows = {arn: resources.after_start(task) for arn, task in world.engine.tasks.items()}
        assert dict(restarted.tasks) == rows, "the rows on disk are the engine's"
