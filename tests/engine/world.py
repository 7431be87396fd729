"""The engine amid everything that can happen to it: Docker, ECS, time, and crashes between any two lines."""

from dataclasses import replace
from datetime import timedelta

from agent.engine.leases import ports_of
from agent.model.acts import (
    Act,
    ContainerAct,
    CreateCgroup,
    CreateContainer,
    CreateVolume,
    FetchValues,
    PullImage,
    RemoveCgroup,
    RemoveContainer,
    RemoveVolume,
    ResourceAct,
    StartContainer,
)
from agent.model.errors import GiveUp, PortTaken, TryAgain
from agent.model.events import (
    ActBroke,
    ActFailed,
    ClockStepped,
    ContainerAnswered,
    ContainerCreated,
    ContainerRemoved,
    CredentialsArrived,
    DeadlinePassed,
    DockerBack,
    DockerLost,
    EndedWell,
    Event,
    Fault,
    ImagePulled,
    ImageResolved,
    Listed,
    ManifestHeard,
    Observed,
    OperatorStop,
    ReportsSettled,
    ResourceCleared,
    ResourceReady,
    StopsVerified,
    TaskAssigned,
    TaskRefused,
    TaskStopRequested,
)
from agent.model.names import TaskArn
from agent.model.seen import Summary
from agent.model.status import Status
from tests.engine import truths
from tests.engine.plans import FIXED
from tests.engine.road import HOUR, LONG, Flight, Listing, Road


class World(Road):
    """One agent, one Docker, one ECS. Methods are what may happen next."""

    # -- acts -------------------------------------------------------------------------------------------------------

    def take_effect(self, flight: Flight) -> bool:
        """Docker does what it was asked. False if it cannot yet."""
        act = flight.act
        if flight.done or flight.answer is not None:
            return True
        if isinstance(act, PullImage):
            if not flight.cancelled or self.tape.rarely(3):
                self.docker.images.add(act.source.image)
                digest = "" if self.tape.rarely(3) else f"sha256:{act.source.image}"
                flight.answer = ImagePulled(act.source, self.now, digest)
            else:
                flight.answer = self.failure(act, Fault.CANCELLED)
            return True
        if isinstance(act, ResourceAct):
            flight.answer = self.change_host(act)
            return True
        assert isinstance(act, ContainerAct)
        if not self.docker.is_ready(act, flight.set_by):
            return False
        self.docker.decide_late(act)
        try:
            flight.made = self.docker.effect(act)
        except GiveUp as error:
            self.faults[act.task] += 9
            flight.answer = self.failure(act, Fault.GIVE_UP, error.reason)
        except PortTaken as error:
            self.faults[act.task] += 9 if error.port >= FIXED else 2
            flight.answer = self.failure(act, Fault.PORT_TAKEN, str(error), error.port)
        flight.done = True
        return True

    def change_host(self, act: Act) -> Event:
        """What becomes of a volume, a cgroup, or a task's values."""
        assert isinstance(act, CreateVolume | CreateCgroup | FetchValues | RemoveVolume | RemoveCgroup)
        try:
            self.host.effect(act)
        except TryAgain as error:
            return self.failure(act, Fault.TRY_AGAIN, str(error))
        if isinstance(act, RemoveVolume | RemoveCgroup):
            return ResourceCleared(act, self.now)
        return ResourceReady(act, self.now)

    def resolve(self, flight: Flight) -> None:
        """A registry says which image a name means, while the pull goes on."""
        if isinstance(flight.act, PullImage):
            self.hear(ImageResolved(flight.act.source, f"sha256:{flight.act.source.image}", self.now))

    def look(self, flight: Flight) -> None:
        """The look that follows an act, and with it the answer."""
        act = flight.act
        if flight.answer is not None:
            return
        assert isinstance(act, ContainerAct)
        match act:
            case CreateContainer():
                assert flight.made is not None
                flight.answer = ContainerCreated(act, flight.made, self.now)
            case RemoveContainer():
                flight.answer = ContainerRemoved(act, self.now)
            case _:
                self.docker.decide_late(act)
                found = self.docker.find(act)
                flight.answer = ContainerAnswered(act, found.seen() if found else None, self.now)

    def deliver(self, flight: Flight) -> None:
        assert flight.answer is not None
        self.flights.remove(flight)
        self.hear(flight.answer)

    def lose(self, flight: Flight) -> None:
        """The answer never comes."""
        self.flights.remove(flight)
        if isinstance(flight.act, ContainerAct | ResourceAct):
            self.orphan(flight)
        self.hear(self.failure(flight.act, Fault.UNKNOWN))

    def fail(self, flight: Flight, fault: Fault) -> None:
        """Docker or a registry says no."""
        act = flight.act
        if flight.done or flight.answer is not None:
            return
        port = 0
        if fault is Fault.PORT_TAKEN:
            ports = self.ports(act)
            if not ports:
                return
            port = ports[0]
        if isinstance(act, ContainerAct) and fault in (Fault.GIVE_UP, Fault.PORT_TAKEN):
            self.docker.decide_late(act)  # Docker says no, but it does answer
            found = self.docker.find(act)
            if isinstance(act, StartContainer) and found is not None and found.has_begun(act):
                return  # what has been started is not said no to
        final = fault is Fault.GIVE_UP or port >= FIXED
        self.count_fault(act, 9 if final else 2 if fault is Fault.PORT_TAKEN else 1)
        if fault is Fault.GIVE_UP and isinstance(act, StartContainer):
            found = self.docker.find(act)
            if found is not None and not found.has_begun(act):
                found.error, found.exit_code = "no such program", found.exit_code or 127
                self.docker.events.append(found.docker_id)
        self.flights.remove(flight)
        self.hear(self.failure(act, fault, f"Cannot{type(act).__name__}Error: no", port))

    def break_act(self, flight: Flight) -> None:
        """A bug of ours meets an act; the first that its tasks meet."""
        act = flight.act
        if isinstance(act, ContainerAct | ResourceAct):
            hit = {act.task}
        else:
            assert isinstance(act, PullImage)
            pull = self.engine.snapshot().pulls[act.source]
            hit = {arn for arn, _ in pull.waiting}
        if hit & self.broken:
            return
        self.broken |= hit
        self.flights.remove(flight)
        self.orphan(flight)
        for arn in hit:
            self.faults[arn] += 9
        self.hear(ActBroke(act, "KeyError: no", self.now))

    def ports(self, act: Act) -> list[int]:
        if isinstance(act, CreateContainer):
            return [port for lease in act.leases for _, port in ports_of(lease)]
        found = self.docker.find(act) if isinstance(act, StartContainer) else None
        if found is None or not isinstance(act, StartContainer) or found.has_begun(act):
            return []
        return [lease.host_port for lease in found.leases]

    def count_fault(self, act: Act, weight: int) -> None:
        concerned = [act.task] if isinstance(act, ContainerAct | ResourceAct) else list(self.specs)
        for arn in concerned:
            self.faults[arn] += weight

    def failure(self, act: Act, fault: Fault, reason: str = "", port: int = 0) -> ActFailed:
        return ActFailed(act, fault, reason, self.now, port)

    # -- listings and hints -----------------------------------------------------------------------------------------

    def go_on_listing(self) -> None:
        """The next step of a listing."""
        listing = self.listing
        if listing is None:
            self.listing = Listing(self.engine.step)
        elif listing.shown is None:
            listing.shown = self.docker.listing()
        elif listing.seen is None:
            self.look_into(listing, listing.shown)
        else:
            present = frozenset(summary.docker_id for summary in listing.shown)
            self.listing = None
            self.hear(Listed(listing.seen, present, listing.gone, listing.asked, self.now))

    def look_into(self, listing: Listing, shown: tuple[Summary, ...]) -> None:
        present = {summary.docker_id for summary in shown}
        seen, gone = [], set()
        for docker_id in sorted(self.engine.to_inspect(shown)):
            if self.tape.rarely(12) and not self.is_patient:
                continue  # a look that failed means nothing
            look = self.docker.inspect(docker_id)
            if look is not None:
                seen.append(look)
            elif docker_id not in present:
                gone.add(docker_id)
        listing.seen, listing.gone = tuple(seen), frozenset(gone)

    def list_whole(self) -> None:
        while self.listing is None or self.listing.seen is None:
            self.go_on_listing()
        self.go_on_listing()

    def follow_hint(self) -> None:
        """A hint arrives and Docker is looked at; what was seen is delivered some time later."""
        if not self.docker.events:
            return
        docker_id = self.tape.pick(self.docker.events)
        if not self.tape.rarely(6):  # else it will come twice
            self.docker.events.remove(docker_id)
        if not self.tape.rarely(6):  # else it is lost
            look = self.docker.inspect(docker_id)
            if look is not None:
                self.looks.append(look)

    def hear_of_an_end(self) -> None:
        """The stream says that a container has ended with exit code 0; sooner or later than any look, or twice."""
        ended = [one for one in self.docker.containers.values() if one.exit_code == 0 and one.finished_at is not None]
        if ended:
            one = self.tape.pick(ended)
            assert one.finished_at is not None
            self.hear(EndedWell(one.labels.task, one.docker_id, one.finished_at, self.now))

    def deliver_look(self) -> None:
        if self.looks:
            look = self.tape.pick(self.looks)
            self.looks.remove(look)
            self.hear(Observed(look, self.now))

    def lose_docker(self) -> None:
        if not self.is_up:
            return
        self.is_up = False
        self.listing, self.docker.events = None, []
        if self.tape.rarely(3):  # the engine went down and took its containers with it
            for container in list(self.docker.running()):
                self.docker.exit(container, 137)
        self.hear(DockerLost(self.now))

    def find_docker(self) -> None:
        if not self.is_up:
            self.is_up = True
            self.hear(DockerBack(self.now))

    # -- ECS, and time ----------------------------------------------------------------------------------------------

    def bring_credentials(self, arn: TaskArn) -> None:
        for credentials_id in self.specs[arn].credentials_ids:
            self.hear(CredentialsArrived(credentials_id, self.now))

    def assign(self, arn: TaskArn) -> None:
        if not self.tape.rarely(4):  # else they come later
            self.bring_credentials(arn)
        self.asked.add(arn)
        if self.is_strained:
            self.faults[arn] += 9  # it may be refused
        self.hear(TaskAssigned(self.specs[arn], self.now, draw=f"{self.tape.below(200):02x}" * 20))

    def stop(self, arn: TaskArn) -> None:
        if arn not in self.engine.tasks and any(c.labels.task == arn for c in self.docker.containers.values()):
            self.unseen.add(arn)
        self.stopping.add(arn)
        self.hear(TaskStopRequested(arn, self.now))

    def operator_stop(self, arn: TaskArn, *, force: bool) -> None:
        if arn in self.engine.tasks:
            self.stopping.add(arn)
        self.hear(OperatorStop(arn, force, "uid 0 (root)", self.now))

    def refuse(self, arn: TaskArn) -> None:
        self.hear(TaskRefused(arn, "UnreadableTaskError: no", self.now))

    def make_list(self) -> None:
        """ECS writes down what it wants to run here; the list is heard later, more than once, or never."""
        self.lists_made += 1
        wanted = frozenset(self.asked - self.stopping)
        self.lists.append(ManifestHeard(f"list-{self.lists_made}", self.lists_made, wanted, self.now))

    def hear_list(self) -> None:
        if self.lists:
            one = self.tape.pick(self.lists[::-1])
            if not self.tape.rarely(4):  # else it comes again
                self.lists.remove(one)
            self.hear(replace(one, at=self.now))

    def hear_verification(self) -> None:
        """The answer to a list arrives, perhaps after a newer list, and perhaps twice."""
        if self.verifications:
            answer = self.tape.pick(self.verifications[::-1])
            if not self.tape.rarely(4):
                self.verifications.remove(answer)
            self.hear(StopsVerified(*answer, self.now))

    def is_over(self, arn: TaskArn) -> bool:
        """ECS has heard the last of this task, and its tombstone is gone: ECS does not speak of it again."""
        now = self.engine.snapshot()
        return bool(self.told[arn, "", Status.STOPPED]) and arn not in now.tasks and arn not in now.tombstones

    def settle_reports(self) -> None:
        """ECS acknowledges everything, also what memory alone has; of tasks whose end it now knows the engine hears."""
        self.disk.outbox.clear()
        now = self.engine.snapshot()
        ended = {arn for arn, task in now.tasks.items() if task.told is Status.STOPPED and not task.settled}
        ended |= {arn for arn, stone in now.tombstones.items() if stone.until is None}
        if ended:
            self.hear(ReportsSettled(frozenset(ended), self.now))

    def pass_time(self) -> None:
        """The clock goes to the next deadline, and sometimes somewhat further."""
        deadline = self.engine.next_deadline()
        if deadline is None:
            self.docker.tick(timedelta(seconds=1))
            return
        if deadline - self.now > LONG:
            self.let_acts_end()
            return
        self.docker.now = max(self.now, deadline) + timedelta(seconds=self.tape.pick((0, 0, 7)))
        self.hear(DeadlinePassed(self.now))

    def set_clock(self) -> timedelta:
        """Somebody sets the clock; Docker counts on in seconds of its own."""
        by = self.tape.pick((-HOUR, HOUR, timedelta(seconds=-3), timedelta(seconds=3)))
        self.docker.now += by
        self.docker.set_by += by
        return by

    def step_clock(self) -> None:
        """The clock is set, and the agent notices before anything else is decided."""
        by = self.set_clock()
        for flight in self.flights:
            if flight.answer is not None:
                flight.answer = replace(flight.answer, at=flight.answer.at + by)
        self.hear(ClockStepped(by, self.now))

    def let_acts_end(self) -> None:
        """Before a long time passes, every act meets its deadline, dead requests end, and listings are taken."""
        for late in self.docker.late:
            self.docker.take_late(late)
        self.docker.late = []
        for flight in list(self.flights):
            if flight not in self.flights:
                return  # a crash came between
            if self.take_effect(flight):
                self.look(flight)
                self.deliver(flight)
            else:
                self.lose(flight)
        self.is_patient = True
        self.list_whole()
        self.list_whole()
        self.is_patient = False
        if self.flights:
            return
        deadline = self.engine.next_deadline()
        if deadline is not None:
            self.docker.now = max(self.now, deadline)
            self.hear(DeadlinePassed(self.now))

    # -- what must be true at each moment ---------------------------------------------------------------------------

    def verify(self) -> None:
        """Nothing that was called STOPPED runs, and nothing was made or started twice."""
        truths.check(self)
