"""What may happen next to an agent, its Docker and its ECS, and how often; which of it does is read from a tape."""

from collections.abc import Callable
from dataclasses import replace

from agent.model.acts import PullImage
from agent.model.attachments import AttachmentKind
from agent.model.events import AttachmentAnnounced, AttachmentsFound, Fault, Reclaim, Strained, TasksTaken
from agent.model.names import TaskArn
from agent.model.status import Health
from tests.engine.plans import UNREADABLE, plan, started_again
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


class Happenings:
    """All that may happen in one history, step by step.

    `meddling` lets a user start, restart and remove containers by hand; `amnesia` loses journals. In one that is
    `restless`, containers fall often, and are started again by policy. `taken`: from another agent.
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

    def verify(self) -> None:
        if not self.amnesia:
            self.world.verify()

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
                mine = (container.labels.task, container.labels.container)
                for pair in [key for key in docker.started if key[:2] == mine]:
                    del docker.started[pair]  # a crash may find the disk behind, and then it begins from nothing
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
