"""The whole agent: opens the rooms bottom up, runs them side by side, closes them top down.

The only place that sees hands and loops at once. What a loop needs of the world it declares in its `ports.py`; the real
thing is handed in here. A bug in one of the jobs ends the process: systemd starts it again, and the journal knows the
rest. Containers never stop because the agent does.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from agent import opening
from agent.acs.attachments_loop import AttachmentsLoop
from agent.acs.loop import AcsLoop, World
from agent.acs.manifests import Manifests
from agent.acs.settings import AcsSettings
from agent.alarm import Alarm, WatchedJobs, first_fatal
from agent.aws.access_client import Access
from agent.aws.ecs_client import EcsClient, TaskReports
from agent.aws.imds_client import ImdsClient
from agent.aws.instance_client import InstanceClient
from agent.config.settings import Settings
from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DockerEngine
from agent.docker.event_driver import EventDriver
from agent.docker.surroundings import Surroundings
from agent.docker.volume_driver import VolumeDriver
from agent.doors import Doors, Witness
from agent.engine.engine import Engine
from agent.host import rules as host_rules
from agent.host.cgroup_driver import CgroupDriver
from agent.host.facts_driver import HostFacts, read_machine
from agent.host.gpu_driver import GpuDriver
from agent.host.links_driver import LinksDriver
from agent.host.ports_driver import PortProbe
from agent.images.held import Held
from agent.joints import Joints
from agent.membership.gpus_loop import GpuLoop, Told
from agent.membership.interruption_loop import Interruptions
from agent.membership.leave_loop import Leaving, Progress, Rooms, nobody_listens
from agent.membership.loop import Membership
from agent.membership.warm_pool_loop import in_service
from agent.model.clock import utc_now
from agent.model.decision import Decision
from agent.model.errors import Fatal
from agent.model.events import Event, GpusFound
from agent.model.identity import Identity
from agent.model.rules import Rules
from agent.model.saved import Saved
from agent.model.seen import EngineFacts
from agent.operator.health import Condition, Health
from agent.operator.stop_server import StopDesk
from agent.reception import Reception
from agent.reporter.loop import Reporter
from agent.runner import story
from agent.runner.loop import Runner
from agent.runner.perform import Hands, Performer
from agent.runner.strains import Strains
from agent.runner.values import NoValues
from agent.runner.vault import Vault
from agent.runner.watch_loop import Watcher
from agent.shelves import Shelves
from agent.sockets.client import dial
from agent.store.clock_driver import ClockFile
from agent.store.journal_driver import Journal
from agent.takeover.adoption_driver import Adoption, adopt
from agent.telemetry import Telemetry
from agent.version import AGENT_HASH, AGENT_VERSION

log = structlog.get_logger()

CLOCK = "clock.json"
IMDS_PATIENCE = 30.0
"""Seconds for which instance metadata may be late on EC2; elsewhere it is asked once."""


class _ToldToStopError(Exception):
    """Somebody asked the daemon to end."""


async def serve(
    settings: Settings,
    *,
    told_to_stop: asyncio.Event,
    ready: Callable[[str], None],
    draining: Progress = nobody_listens,
    failed: Callable[[int], None] = lambda _: None,
) -> int:
    """Be the agent until told to stop; gives the exit code: 0 as asked, 1 worth a restart, 5 not worth one.

    *ready* is called with the ARN of the container instance once it is registered and ECS's control channel stands,
    *draining* with how many tasks are still to end, again and again, while the end waits for them. *failed* is called
    with the exit code as soon as something fails that ends the agent, before anything is closed, and once.
    """
    code, leaving, alarm = 0, Leaving(settings, draining), Alarm(failed)
    try:
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(_until(told_to_stop, leaving, alarm), name="told-to-stop")
            jobs.create_task(_live(settings, ready, leaving, alarm), name="agent")
    except* _ToldToStopError:
        log.info("stopped_as_asked", containers="left as they are")
    except* Fatal as failures:
        fatal = first_fatal(failures)
        log.error("cannot_go_on", error=str(fatal), exit_code=fatal.exit_code)  # noqa: TRY400 -- an expected end
        code = fatal.exit_code
    return code


async def _until(told_to_stop: asyncio.Event, leaving: Leaving, alarm: Alarm) -> None:
    await told_to_stop.wait()
    with alarm.watching():
        await leaving.leave()
    raise _ToldToStopError


async def _live(settings: Settings, ready: Callable[[str], None], leaving: Leaving, alarm: Alarm) -> None:
    async with AsyncExitStack() as stack:
        with alarm.watching():
            house = await _opened(stack, settings, alarm)
            await house.live(ready, leaving)


async def _opened(stack: AsyncExitStack, settings: Settings, alarm: Alarm) -> "House":
    data_dir = await asyncio.to_thread(opening.take_place, stack, settings)
    docker = await stack.enter_async_context(DockerEngine.connect(settings.docker_host))
    machine = await asyncio.to_thread(read_machine)
    patience = IMDS_PATIENCE if machine.is_ec2 else 0.0
    metadata = await stack.enter_async_context(ImdsClient.open(opening.imds_settings(settings, patience)))
    await opening.heed_cloud_init(settings, metadata)
    settings = await opening.heed_user_data(settings, metadata)
    region = await opening.region_of(settings, metadata)
    flush = _Flush()
    access = await opening.access_to_aws(settings, region)
    ecs = await stack.enter_async_context(access.open_ecs(flush))
    facts = await opening.docker_facts(docker)
    host_rules.check_docker(facts)
    reservations = host_rules.reservations(settings, opening.endpoint_of(settings))
    cgroups = CgroupDriver(host_rules.cgroup_version(facts), settings.cgroup_path, systemd=opening.by_systemd(facts))
    task_limits = await asyncio.to_thread(opening.limits_tasks, settings, facts, cgroups)
    wishes = host_rules.wishes(settings, task_limits=task_limits)
    gpus, told = await opening.look_at_gpus(settings, facts), Told(ecs)
    instance = await opening.instance_of(stack, settings, metadata, access)
    outpost = instance.place.outpost_arn
    host = HostFacts(
        reservations, wishes, lambda: opening.offer(docker), gpus=lambda: gpus.reading.gpus, outpost_arn=outpost
    )
    adoption = await adopt(data_dir)
    opened = await opening.open_self(stack, settings, data_dir, docker, told, host, instance, adoption.taken)
    membership, identity, journal, saved = opened
    around = Surroundings.of(settings, facts, region, access.suffix, ipv6_only=access.ipv6_only)
    return House(
        settings,
        journal,
        saved,
        docker,
        ecs,
        access,
        membership,
        identity,
        facts,
        host_rules.rules(
            settings, machine, reservations, facts, identity, task_limits=task_limits, gpus=gpus.reading.gpus
        ),
        cgroups,
        flush,
        around,
        adoption,
        gpus,
        told,
        instance,
        alarm,
    )


class _Flush:
    """Tells the reporter that ECS answers; there is no reporter yet when ECS is asked first."""

    def __init__(self) -> None:
        self.reporter: Reporter | None = None

    def __call__(self) -> None:
        if self.reporter is not None:
            self.reporter.flush()


@dataclass(slots=True)
class House:
    """The open rooms, and how they are joined."""

    settings: Settings
    journal: Journal
    saved: Saved
    docker: DockerEngine
    ecs: EcsClient
    access: Access
    membership: Membership
    identity: Identity
    facts: EngineFacts
    rules: Rules
    cgroups: CgroupDriver
    flush: _Flush
    around: Surroundings
    adoption: Adoption
    gpus: GpuDriver
    told: Told
    instance: InstanceClient
    alarm: Alarm

    async def live(self, ready: Callable[[str], None], leaving: Leaving) -> None:
        """Run every loop, register, and stay."""
        owner, saved = _Owner(self.identity), self.saved
        engine = Engine(self.rules, saved.tasks, saved.tombstones, saved.manifest, saved.attachments)
        vault = Vault(lambda: engine.tasks.values())  # noqa: PLW0108 -- other rows after each decision
        shelves = Shelves.of(self.settings, self.docker, self.journal, Held(saved.tasks))
        manifests = Manifests()

        def committed(decided: Decision) -> None:
            vault.follow(decided.tasks, decided.forgotten)
            shelves.hear(decided)
            manifests.hear(decided.manifests)
            attachments.hear(decided.attachments)
            reception.hear(decided)

        witness = Witness()

        def note(event: Event, decided: Decision) -> None:
            story.tell(event, decided)
            witness.note(event, decided)
            desk.decided(event)

        clocks = ClockFile(self.settings.data_dir / CLOCK)
        runner = Runner(engine, self.journal, clock=utc_now, after_commit=committed, note=note, clocks=clocks)
        attachments = AttachmentsLoop(runner, engine.attachments, LinksDriver())
        desk = StopDesk(engine, runner.post)
        joints = self._joints(owner, engine, runner, vault, shelves)
        watcher = joints.watcher
        strains, telemetry = Strains(runner.post, utc_now), Telemetry.of(joints)
        self.journal.tell(lambda lack: strains.say("journal", lack))
        disks = shelves.disks(self.facts, engine, runner, strains)
        health = Health(
            lambda: watcher.is_there, lambda: self.journal.lack or disks.trouble, lambda: self.gpus.reading.trouble
        )
        reporter = Reporter(
            self.journal, TaskReports(self.ecs, self.identity.cluster), runner, is_wanted=attachments.is_wanted
        )
        self.flush.reporter = reporter
        reception = Reception.of(joints, telemetry.figures)
        health.others.append(lambda: Condition("redirect", reception.redirect.trouble, is_vital=False))
        doors = Doors(joints, witness, desk, health, reporter)
        leaving.rooms = Rooms(owner, self.membership, self.ecs, engine, runner, reporter)
        async with WatchedJobs(self.alarm) as jobs:
            self._adopt(jobs, runner)
            jobs.create_task(runner.run(self._performer(joints)), name="runner")
            jobs.create_task(watcher.run(), name="docker")
            jobs.create_task(self.journal.run(), name="journal")
            jobs.create_task(reporter.run(), name="reporter")
            jobs.create_task(attachments.run(), name="attachments")
            doors.open(jobs)
            reception.open(jobs)
            jobs.create_task(shelves.loop().run(), name="images")
            jobs.create_task(disks.run(), name="disks")
            self._watch_gpus(jobs, owner, runner)
            await self._belong(jobs, owner, leaving)
            telemetry.open(jobs)
            acs = self._acs(owner, joints, manifests, ready, telemetry)
            doors.connect(acs)
            jobs.create_task(acs.run(), name="acs")

    def _joints(self, owner: "_Owner", engine: Engine, runner: Runner, vault: Vault, shelves: Shelves) -> Joints:
        taken = self.adoption.taken
        containers = ContainerDriver.of(self.docker, self.settings, owner, self.around, taken)
        events = EventDriver(self.docker, owner, taken)
        watcher = Watcher(engine, runner, containers, events, self.docker, clock=utc_now, pause=asyncio.sleep)
        rooms = (
            self.docker,
            containers,
            self.facts,
            self.around,
            engine,
            runner,
            watcher,
            vault,
            self.journal,
            shelves,
        )
        return Joints(self.settings, owner, *rooms, self.ecs, self.access, self.instance)

    def _performer(self, joints: Joints) -> Performer:
        images, volumes = joints.shelves.images, VolumeDriver(self.docker, joints.owner, self.around)
        return Performer(
            Hands(joints.containers, images, PortProbe(), volumes, self.cgroups, NoValues(), self.journal.images),
            joints.vault,
            clock=utc_now,
            post=joints.runner.post,
            list_soon=joints.watcher.list_soon,
            pause=asyncio.sleep,
        )

    async def _belong(self, jobs: asyncio.TaskGroup, owner: "_Owner", leaving: Leaving) -> None:
        await in_service(self.settings, self.instance)
        back = asyncio.Event()
        if owner.identity.instance_arn:  # ECS knows us: nothing waits for it, even if it is away
            jobs.create_task(self._come_back(owner, leaving, back), name="registration")
        else:
            owner.identity = await self.membership.join(owner.identity)
            back.set()
        jobs.create_task(self._interruptions(owner, back), name="interruptions")

    async def _come_back(self, owner: "_Owner", leaving: Leaving, back: asyncio.Event) -> None:
        await self._rejoin(owner)
        await leaving.come_back()
        back.set()

    async def _interruptions(self, owner: "_Owner", back: asyncio.Event) -> None:
        if owner.identity.drained:  # what is taken back now must not be what is done here
            await back.wait()
        await Interruptions(self.settings, self.instance, self.ecs, owner).run()

    def _watch_gpus(self, jobs: asyncio.TaskGroup, owner: "_Owner", runner: Runner) -> None:
        if not self.settings.enable_gpu_support:
            return

        def found(ids: frozenset[str]) -> None:
            runner.post(GpusFound(ids, utc_now()))

        async def register() -> None:
            if owner.identity.instance_arn:
                await self._rejoin(owner)

        jobs.create_task(GpuLoop(self.gpus, self.told, found=found, register=register).run(), name="gpus")

    async def _rejoin(self, owner: "_Owner") -> None:
        before = owner.identity
        after = await self.membership.rejoin(before)
        if owner.identity is before:  # else ECS has let go of that instance meanwhile
            owner.identity = after

    def _adopt(self, jobs: asyncio.TaskGroup, runner: Runner) -> None:
        """Before anything else is heard."""
        self.adoption.tell(runner.post)
        jobs.create_task(self.adoption.settle(runner.save, self.docker), name="takeover")

    def _acs(
        self, owner: "_Owner", joints: Joints, manifests: Manifests, ready: Callable[[str], None], telemetry: Telemetry
    ) -> AcsLoop:
        identity = owner.identity

        def connected() -> None:
            self.flush()
            self.membership.poke()
            ready(owner.identity.instance_arn)

        async def renew() -> str:
            owner.identity = await self.membership.renew(owner.identity)
            return owner.identity.instance_arn

        return AcsLoop(
            AcsSettings(
                cluster=identity.cluster,
                instance_arn=identity.instance_arn,
                agent_version=AGENT_VERSION,
                agent_hash=AGENT_HASH,
                docker_version=self.facts.version,
            ),
            engine=joints.runner,
            vault=joints.vault,
            endpoints=telemetry.endpoints,
            signer=self.access.signer(),
            manifests=manifests,
            connected=connected,
            renew=renew if self.settings.reregister_when_inactive else None,
            telemetry=telemetry,
            world=World(dial=partial(dial, road=self.access.roads.to_socket)),
        )


class _Owner:
    """Whose containers ours are. The instance's ARN comes to be known while Docker is watched already."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def __call__(self) -> Identity:
        return self.identity
