"""The whole agent: opens the rooms bottom up, runs them side by side, closes them top down.

The only place that sees hands and loops at once. What a loop needs of the world it declares in its `ports.py`; the real
thing is handed in here. A bug in one of the jobs ends the process: systemd starts it again, and the journal knows the
rest. Containers never stop because the agent does.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from agent.acs.loop import AcsLoop
from agent.acs.manifests import Manifests
from agent.acs.settings import AcsSettings
from agent.alarm import Alarm, WatchedJobs, first_fatal
from agent.aws.credentials_client import CredentialsClient, UpgradeSigner
from agent.aws.ecs_client import EcsClient, EcsSettings, TaskReports, amazon_suffix
from agent.aws.endpoints import user_agent
from agent.aws.imds_client import ImdsClient, ImdsSettings
from agent.aws.poll_client import PollEndpointsClient
from agent.aws.server_time_driver import ServerTime
from agent.config.settings import Settings
from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DockerEngine
from agent.docker.event_driver import EventDriver
from agent.docker.image_driver import ImageDriver
from agent.docker.pull_progress import PullProgress
from agent.docker.shelf_driver import ShelfDriver
from agent.docker.surroundings import Surroundings
from agent.docker.volume_driver import VolumeDriver
from agent.engine.engine import Engine
from agent.host import rules as host_rules
from agent.host.cgroup_driver import CgroupDriver
from agent.host.disk_driver import DiskDriver, root_of
from agent.host.facts_driver import HostFacts, read_machine
from agent.host.ports_driver import PortProbe
from agent.host.resources import Reservations
from agent.images import rules as image_rules
from agent.images.held import Held
from agent.images.loop import Cleaner, ImagesLoop
from agent.images.pressure_loop import DiskWatch, Making
from agent.membership.leave_loop import Leaving, Progress, Rooms, nobody_listens
from agent.membership.loop import Membership
from agent.model.acts import PullImage
from agent.model.clock import utc_now
from agent.model.decision import Decision
from agent.model.errors import NOT_WORTH_A_RESTART, BadInput, Fatal
from agent.model.events import Event, ImagePulled
from agent.model.identity import Identity
from agent.model.names import Image
from agent.model.rules import Rules
from agent.model.saved import Saved
from agent.model.seen import EngineFacts
from agent.model.status import Status
from agent.model.task import ImageSource
from agent.opening import by_systemd, docker_facts, endpoint_of, limits_tasks, offer, open_self, region_of, take_place
from agent.operator.chronicle import Chronicle
from agent.operator.health import Condition
from agent.operator.health_server import HealthDesk, HealthServer
from agent.operator.operator_server import OperatorServer, Sources
from agent.operator.stop_server import StopDesk
from agent.reporter.loop import Reporter
from agent.runner import story
from agent.runner.loop import Runner
from agent.runner.perform import Hands, Performer
from agent.runner.pulling import Pulling
from agent.runner.strains import Strains
from agent.runner.values import NoValues
from agent.runner.vault import Vault
from agent.runner.watch_loop import Watcher
from agent.store.clock_driver import ClockFile
from agent.store.journal_driver import Journal
from agent.version import AGENT_HASH, AGENT_VERSION, VERSION

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
    data_dir = await asyncio.to_thread(take_place, stack, settings)
    docker = await stack.enter_async_context(DockerEngine.connect(settings.docker_host))
    machine = await asyncio.to_thread(read_machine)
    patience = IMDS_PATIENCE if machine.is_ec2 else 0.0
    imds_settings = ImdsSettings(settings.imds_endpoint, settings.imds_disabled, patience)
    metadata = await stack.enter_async_context(ImdsClient.open(imds_settings))
    keys, server_time = CredentialsClient(), ServerTime()
    region = await region_of(settings, metadata)
    flush = _Flush()
    ecs_settings = EcsSettings(region, user_agent(AGENT_VERSION, AGENT_HASH, VERSION), endpoint_of(settings))
    ecs = await stack.enter_async_context(EcsClient.open(ecs_settings, keys, heard=flush, server_time=server_time))
    facts = await docker_facts(docker)
    reservations = Reservations(
        settings.reserved_memory, settings.reserved_ports, settings.reserved_ports_udp, endpoint_of(settings)
    )
    cgroups = CgroupDriver(host_rules.cgroup_version(facts), settings.cgroup_path, systemd=by_systemd(facts))
    task_limits = await asyncio.to_thread(limits_tasks, settings, facts, cgroups)
    wishes = host_rules.wishes(settings, task_limits=task_limits)
    host = HostFacts(reservations, wishes, lambda: offer(docker))
    membership, identity, journal, saved = await open_self(stack, settings, data_dir, docker, ecs, host, metadata)
    signer = UpgradeSigner(keys, region, server_time)
    suffix = await asyncio.to_thread(amazon_suffix, region)
    around = Surroundings.of(settings, facts, region, suffix)
    return House(
        settings,
        journal,
        saved,
        docker,
        ecs,
        signer,
        membership,
        identity,
        facts,
        host_rules.rules(settings, machine, reservations, facts, identity, task_limits=task_limits),
        cgroups,
        flush,
        around,
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
    signer: UpgradeSigner
    membership: Membership
    identity: Identity
    facts: EngineFacts
    rules: Rules
    cgroups: CgroupDriver
    flush: _Flush
    around: Surroundings
    alarm: Alarm

    async def live(self, ready: Callable[[str], None], leaving: Leaving) -> None:
        """Run every loop, register, and stay."""
        identity = self.identity
        owner = _Owner(identity)
        engine = Engine(self.rules, self.saved.tasks, self.saved.tombstones, self.saved.manifest)
        vault = Vault(lambda: _credential_ids(engine))
        progress = PullProgress()
        images = self._images(progress)
        held = Held(self.saved.tasks)
        manifests = Manifests()
        cleaner = self._cleaner(held, progress)

        def committed(decided: Decision) -> None:
            _forget_values(vault, decided)
            cleaner.dropped(held.hear(decided))
            manifests.hear(decided.manifests)

        chronicle = Chronicle()

        def note(event: Event, decided: Decision) -> None:
            story.tell(event, decided)
            chronicle.note(event, decided)
            desk.decided(event)

        clocks = ClockFile(self.settings.data_dir / CLOCK)
        runner = Runner(engine, self.journal, clock=utc_now, after_commit=committed, note=note, clocks=clocks)
        desk = StopDesk(engine, runner.post)
        containers = ContainerDriver.of(self.docker, self.settings, owner, self.around)
        events = EventDriver(self.docker, owner)
        watcher = Watcher(engine, runner, containers, events, self.docker, clock=utc_now, pause=asyncio.sleep)
        volumes = VolumeDriver(self.docker, owner, self.around)
        performer = Performer(
            Hands(containers, images, PortProbe(), volumes, self.cgroups, NoValues(), self.journal.images),
            vault,
            clock=utc_now,
            post=runner.post,
            list_soon=watcher.list_soon,
            pause=asyncio.sleep,
        )
        strains = Strains(runner.post, utc_now)
        self.journal.tell(lambda lack: strains.say("journal", lack))
        disks = self._disks(engine, runner, cleaner, strains)
        health = _Health(watcher, self.journal, disks)
        reporter = Reporter(self.journal, TaskReports(self.ecs, identity.cluster), runner)
        self.flush.reporter = reporter
        leaving.rooms = Rooms(owner, self.membership, self.ecs, engine, runner, reporter)
        async with WatchedJobs(self.alarm) as jobs:
            jobs.create_task(runner.run(performer), name="runner")
            jobs.create_task(watcher.run(), name="docker")
            jobs.create_task(self.journal.run(), name="journal")
            jobs.create_task(reporter.run(), name="reporter")
            sources = Sources(engine, chronicle, self.journal, progress, vault)
            self._open_doors(jobs, sources, desk, HealthDesk(health))
            jobs.create_task(self._images_loop(images, cleaner).run(), name="images")
            jobs.create_task(disks.run(), name="disks")
            if identity.instance_arn:  # ECS knows us: nothing waits for it, even if it is away
                jobs.create_task(self._rejoin(owner, leaving), name="registration")
            else:
                with self.alarm.watching():
                    owner.identity = await self.membership.join(identity)
            health.acs = self._acs(owner, runner, vault, manifests, ready)
            jobs.create_task(health.acs.run(), name="acs")

    async def _rejoin(self, owner: "_Owner", leaving: Leaving) -> None:
        before = owner.identity
        after = await self.membership.rejoin(before)
        if owner.identity is before:  # else ECS has let go of that instance meanwhile
            owner.identity = after
        await leaving.come_back()

    def _open_doors(self, jobs: asyncio.TaskGroup, sources: Sources, desk: StopDesk, health: HealthDesk) -> None:
        operator = OperatorServer(self.settings.data_dir, sources, desk, health)
        jobs.create_task(operator.run(), name="operator")
        jobs.create_task(HealthServer(self.settings.health_address, health).run(), name="health")

    def _images(self, progress: PullProgress) -> ImageDriver:
        try:
            return ImageDriver.of(self.docker, self.settings, progress)
        except BadInput as error:
            raise Fatal(str(error), NOT_WORTH_A_RESTART) from error

    def _cleaner(self, held: Held, progress: PullProgress) -> Cleaner:
        shelf = ShelfDriver(self.docker)
        return Cleaner(
            shelf,
            self.journal.images,
            image_rules.rules(self.settings, shelf.listed),
            clock=utc_now,
            wanted=held.images,
            pulling=progress.images,
        )

    def _disks(self, engine: Engine, runner: Runner, cleaner: Cleaner, strains: Strains) -> DiskWatch:
        root = root_of(self.settings.docker_host, self.facts.root_dir)
        return DiskWatch(
            DiskDriver(self.settings.data_dir, root),
            image_rules.marks(self.settings),
            Making(engine, runner.submit, cleaner, utc_now),
            strain=lambda reason: strains.say("disk", reason),
            pause=asyncio.sleep,
        )

    def _images_loop(self, images: ImageDriver, cleaner: Cleaner) -> ImagesLoop:
        behavior = self.settings.pull_behavior
        pulling = Pulling(images, self.journal.images, clock=utc_now, tell=lambda _: None)

        async def from_registry(source: ImageSource) -> ImagePulled:
            digest = await images.pull(source, None, lambda _: None)
            return ImagePulled(source, utc_now(), digest, "prepull")

        async def fetch(image: Image) -> None:
            await pulling.pull(PullImage(ImageSource(image), behavior), from_registry)

        return ImagesLoop(
            fetch,
            cleaner,
            prepull=tuple(map(Image, self.settings.prepull_images)),
            interval=image_rules.interval(self.settings),
            pause=asyncio.sleep,
        )

    def _acs(
        self, owner: "_Owner", runner: Runner, vault: Vault, manifests: Manifests, ready: Callable[[str], None]
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
                accept_insecure_cert=self.settings.accept_insecure_cert,
            ),
            engine=runner,
            vault=vault,
            endpoints=PollEndpointsClient(self.ecs, identity.cluster),
            signer=self.signer,
            manifests=manifests,
            connected=connected,
            renew=renew if self.settings.reregister_when_inactive else None,
        )


class _Owner:
    """Whose containers ours are. The instance's ARN comes to be known while Docker is watched already."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def __call__(self) -> Identity:
        return self.identity


@dataclass(slots=True)
class _Health:
    """What the agent needs to do its work, and what is wrong with it now."""

    watcher: Watcher
    journal: Journal
    disks: DiskWatch
    acs: AcsLoop | None = None

    def __call__(self) -> Sequence[Condition]:
        is_connected = self.acs is not None and self.acs.is_connected
        return (
            Condition("docker", "" if self.watcher.is_there else "Docker does not answer"),
            Condition("disk", self.journal.lack or self.disks.trouble),
            Condition("acs", "" if is_connected else "there is no connection to ECS"),
        )


def _credential_ids(engine: Engine) -> list[str]:
    live = (task.spec for task in engine.tasks.values() if task.known is not Status.STOPPED)
    return [one for spec in live for one in spec.credentials_ids]


def _forget_values(vault: Vault, decided: Decision) -> None:
    vault.settle(decided.tasks)
    ended = (task.spec for task in decided.tasks if task.known is Status.STOPPED)
    vault.forget(one for spec in ended for one in spec.credentials_ids)
