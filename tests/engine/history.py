"""Histories: what happens is read from a tape; in the end the world becomes fair, and accounts are settled."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from agent.engine import resources
from agent.engine.engine import Engine
from agent.model.acts import PullImage
from agent.model.attachments import AttachmentKind
from agent.model.events import (
    AttachmentAnnounced,
    AttachmentsFound,
    DeadlinePassed,
    Fault,
    Reclaim,
    Strained,
    TasksTaken,
)
from agent.model.names import TaskArn
from agent.model.status import Health, Status
from tests.engine.plans import JOB, POOL, UNREADABLE, plan, started_again
from tests.engine.road import RULES, Flight
from tests.engine.sim_docker import SimContainer
from tests.engine.taken import taken_task
from tests.engine.tape import Tape
from tests.engine.world import World

THINGS = (
    ("mac", AttachmentKind.TASK_INTERFACE),
    ("trunk", AttachmentKind.INSTANCE_INTERFACE),
    ("vol", AttachmentKind.VOLUME),
)
ROUNDS = 150
ACTS_TO_QUIET = 40
"""More than any task needs once the world is fair: a task that goes on is spinning."""


class History:
    """One history. `meddling` lets a user start, restart and remove containers by hand; `amnesia` loses journals.

    In one that is `restless`, containers fall often, and are started again by policy. `taken`: from another agent.
    """

    def __init__(
        self,
        choices: bytes,
        *,
        meddling: bool = False,
        amnesia: bool = False,
        restless: bool = False,
        taken: bool = False,
    ) -> None:
        self.tape = Tape(choices)
        self.is_storm = self.tape.below(2) == 1
        specs = plan(self.tape, 1 if self.is_storm else 3)
        specs = tuple(started_again(spec) for spec in specs) if restless else specs
        self.rules = replace(RULES, task_limits=self.tape.below(2) == 1)
        self.world = World(self.tape, specs, self.rules)
        self.meddling = meddling
        self.amnesia = amnesia or taken
        self.restless = restless
        self.spoiled_by_hand: set[str] = set()
        self.forgetful = False
        self.unfindable: set[TaskArn] = set()
        """Tasks whose row was lost while no container of theirs told of what they had."""
        steps = [(storm if self.is_storm else calm, step) for calm, storm, step in self.choices_of_steps()]
        steps += [(4, self.meddle)] if meddling else []
        steps += [(2, self.lose_the_journal)] if amnesia else []
        steps += [(3, self.take_over)] if taken else []
        steps += [(24, self.fall)] if restless else []
        self.steps = [step for weight, step in steps for _ in range(weight)]

    def choices_of_steps(self) -> tuple[tuple[int, int, Callable[[], None]], ...]:
        """How often each thing happens: among several tasks, and in a storm around one container."""
        world = self.world
        return (
            (10, 3, self.finish),
            (5, 0, self.assign),
            (3, 2, self.act_takes_effect),
            (2, 2, self.act_is_looked_at),
            (3, 3, self.act_is_answered),
            (6, 5, world.list_whole),
            (4, 1, world.go_on_listing),
            (3, 1, world.follow_hint),
            (3, 1, world.deliver_look),
            (2, 2, world.hear_of_an_end),
            (3, 3, self.stop),
            (3, 8, self.lose_an_answer),
            (3, 8, self.fail_an_act),
            (1, 1, self.break_an_act),
            (2, 1, self.exit),
            (2, 1, self.check_health),
            (3, 5, world.pass_time),
            (1, 1, self.late_request),
            (1, 1, self.crash),
            (1, 0, world.lose_docker),
            (2, 0, world.find_docker),
            (1, 0, self.fill_or_empty_the_disk),
            (1, 0, world.settle_reports),
            (1, 0, self.bring_credentials),
            (1, 0, self.resolve),
            (1, 0, self.refuse),
            (2, 0, self.strain_or_relax),
            (1, 0, self.reclaim),
            (1, 1, world.step_clock),
            (1, 0, self.crash_while_the_clock_is_set),
            (1, 1, world.make_list),
            (2, 1, world.hear_list),
            (2, 1, world.hear_verification),
            (1, 1, self.lose_a_stop),
            (1, 1, self.operator_stop),
            (1, 4, self.operator_force),
            (2, 1, self.announce),
            (2, 1, self.find),
        )

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

    def verify(self) -> None:
        if not self.amnesia:
            self.world.verify()

    # -- what may happen --------------------------------------------------------------------------------------------

    def flight(self) -> Flight | None:
        return self.tape.pick(self.world.flights) if self.world.flights and self.world.is_up else None

    def finish(self) -> None:
        if (flight := self.flight()) is not None and self.world.take_effect(flight):
            self.world.look(flight)
            self.world.deliver(flight)

    def act_takes_effect(self) -> None:
        if (flight := self.flight()) is not None:
            self.world.take_effect(flight)

    def act_is_looked_at(self) -> None:
        if (flight := self.flight()) is not None and flight.done:
            self.world.look(flight)

    def act_is_answered(self) -> None:
        answered = [flight for flight in self.world.flights if flight.answer is not None]
        if answered:
            self.world.deliver(self.tape.pick(answered))

    def lose_an_answer(self) -> None:
        if self.world.flights:
            self.world.lose(self.tape.pick(self.world.flights))

    def break_an_act(self) -> None:
        if self.world.flights:
            self.world.break_act(self.tape.pick(self.world.flights))

    def fail_an_act(self) -> None:
        if (flight := self.flight()) is not None:
            options = (*(Fault.TRY_AGAIN,) * 4, Fault.GIVE_UP, Fault.PORT_TAKEN)
            fault = self.tape.pick(options[:5] if isinstance(flight.act, PullImage) else options)
            self.world.fail(flight, fault)

    def resolve(self) -> None:
        if (flight := self.flight()) is not None and flight.answer is None:
            self.world.resolve(flight)

    def bring_credentials(self) -> None:
        self.world.bring_credentials(self.task())

    def task(self) -> TaskArn:
        return self.tape.pick(tuple(self.world.specs))

    def assign(self) -> None:
        if not self.world.is_over(arn := self.task()):
            self.world.assign(arn)

    def stop(self) -> None:
        if not self.world.is_over(arn := self.task()):
            self.world.stop(arn)

    def operator_stop(self) -> None:
        self.world.operator_stop(self.task(), force=False)

    def operator_force(self) -> None:
        self.world.operator_stop(self.task(), force=True)

    def lose_a_stop(self) -> None:
        """ECS gives a task up, and what it says of that does not arrive."""
        if not self.world.is_over(arn := self.task()):
            self.world.stopping.add(arn)

    def announce(self) -> None:
        """ECS attaches something: a link or a disk, under a new name or an old one."""
        key, kind = self.tape.pick(THINGS)
        name, wait = f"{key}-{self.tape.below(2)}", self.tape.pick((300_000, 1000, 60_000, 0))
        self.world.hear(AttachmentAnnounced(name, kind, key, wait, self.world.now, self.task()))

    def find(self) -> None:
        """A link or a disk shows up, or is seen again."""
        self.world.hear(AttachmentsFound(frozenset({self.tape.pick(THINGS)[0]}), self.world.now))

    def refuse(self) -> None:
        if not self.world.is_over(UNREADABLE):
            self.world.refuse(UNREADABLE)

    def strain_or_relax(self) -> None:
        """The host becomes short of something, or has enough of it again."""
        self.world.hear(Strained("" if self.world.is_strained else "DiskPressure: no room", self.world.now))

    def reclaim(self) -> None:
        self.world.hear(Reclaim(1 + self.tape.below(3), self.world.now))

    def running(self) -> SimContainer | None:
        running = list(self.world.docker.running())
        return self.tape.pick(running) if running else None

    def exit(self) -> None:
        if (container := self.running()) is not None:
            self.world.docker.exit(container, self.tape.pick((0, 7)))

    def fall(self) -> None:
        if (container := self.running()) is not None:
            self.world.docker.exit(container, 7)

    def check_health(self) -> None:
        checked = [one for one in self.world.docker.running() if one.health is not None]
        if checked:
            self.world.docker.check(self.tape.pick(checked), self.tape.pick((Health.HEALTHY, Health.UNHEALTHY)))

    def late_request(self) -> None:
        """Docker gets round to a request whose client has died; of one container's, to the oldest."""
        docker = self.world.docker
        if docker.late:
            some = self.tape.pick(docker.late)
            oldest = next(x for x in docker.late if (x.task, x.container) == (some.task, some.container))
            docker.late.remove(oldest)
            docker.take_late(oldest)

    def crash(self) -> None:
        self.world.crash("at rest")

    def crash_while_the_clock_is_set(self) -> None:
        self.world.crash("and the clock is set")
        self.world.set_clock()

    def fill_or_empty_the_disk(self) -> None:
        self.world.disk_is_full = not self.world.disk_is_full
        self.world.commit()

    def meddle(self) -> None:
        docker = self.world.docker
        if not docker.containers:
            return
        container = self.tape.pick(list(docker.containers.values()))
        container.meddled = True
        self.spoiled_by_hand.add(container.labels.task)
        match self.tape.below(3):
            case 0:
                del docker.containers[container.docker_id]
                docker.created.pop((container.labels.task, container.labels.container, container.labels.run), None)
            case 1 if not container.runs:
                docker.start(container, by_hand=True)
            case _ if container.runs:
                container.end(137, self.world.now)
                docker.start(container, by_hand=True)
        docker.events.append(container.docker_id)

    def lose_the_journal(self) -> None:
        """The disk is wiped, the agent starts again. What ECS has heard, it still knows."""
        self.forgetful = True
        shown = {one.labels.task for one in self.world.docker.containers.values()}
        self.unfindable |= self.world.specs.keys() - shown
        self.world.disk.tasks.clear()
        self.world.disk.tombstones.clear()
        self.world.disk.manifest = 0
        self.world.told.clear()
        self.world.told_on_disk.clear()
        self.world.crash("and the journal is gone")

    def take_over(self) -> None:
        """Another agent ran all this until now; between the moment it was looked at and ours, things may happen."""
        found: dict[TaskArn, list[SimContainer]] = {}
        for one in self.world.docker.containers.values():
            found.setdefault(one.labels.task, []).append(one)
        tasks = tuple(taken_task(arn, ones) for arn, ones in sorted(found.items()))
        self.lose_the_journal()
        self.unfindable |= found.keys()  # of volumes that belong to a task, the other agent says nothing
        if self.tape.rarely(2):
            self.exit()
        self.world.hear(TasksTaken(tasks, self.world.now))

    # -- the end ----------------------------------------------------------------------------------------------------

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
            elif (arn in world.asked and arn not in world.disk.tasks and arn not in world.disk.tombstones) or (
                arn in world.asked and self.forgetful
            ):
                world.assign(arn)

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
        return not (exited or self.world.faults[arn] > 4 or arn in self.spoiled_by_hand or self.forgetful)

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
            # A stop of a task whose row is lost, before a look has told of its container, leaves what the row knew of.
            if arn not in self.unfindable | world.broken | (world.stopping if self.forgetful else set()):
                things = world.host.left_of(arn, frozenset({POOL.name}))
                assert not things, f"{things} is left of {arn}"
        restarted = Engine(self.rules, world.disk.tasks.values(), world.disk.tombstones.values(), world.disk.manifest)
        rows = {arn: resources.after_start(task) for arn, task in world.engine.tasks.items()}
        assert dict(restarted.tasks) == rows, "the rows on disk are the engine's"
