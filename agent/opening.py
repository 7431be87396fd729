"""How an agent opens: it takes its place on the host, finds out who it is, and opens its journal.

Nothing is touched before the place is taken: a second agent ends here, and so does one on a copied data directory.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import structlog

from agent.aws.access_client import Access
from agent.aws.ecs_client import url_of
from agent.aws.endpoints import configured_endpoint, explicit_endpoint, user_agent
from agent.aws.imds_client import ImdsClient, ImdsSettings
from agent.aws.instance_client import InstanceClient
from agent.config.load import BadSettings, with_user_data
from agent.config.proxies import completed
from agent.config.settings import Settings
from agent.docker.engine_driver import DockerEngine
from agent.docker.labels import Taken
from agent.docker.surroundings import home_of
from agent.docker.trace_driver import TraceDriver
from agent.host import rules as host_rules
from agent.host.capabilities import EngineOffer, detailed_os_of
from agent.host.cgroup_driver import CgroupDriver
from agent.host.cloud_init_driver import found_no_datasource
from agent.host.facts_driver import read_machine
from agent.host.gpu_driver import GpuDriver
from agent.host.routes import ipv6_only
from agent.host.routes_driver import read_routes
from agent.membership.decisions import MembershipSettings
from agent.membership.loop import Membership
from agent.membership.ports import HostFacts, InstanceMetadata, Registry
from agent.model.errors import NOT_WORTH_A_RESTART, WORTH_A_RESTART, BadInput, Fatal, TryAgain
from agent.model.identity import Attribute, Identity
from agent.model.saved import Saved
from agent.model.seen import EngineFacts
from agent.store.identity_driver import IdentityFile
from agent.store.journal_driver import FILE_NAME, Journal, own_journal
from agent.store.lock_driver import is_alive, only_on_host, only_one, only_with_identity
from agent.version import AGENT_HASH, AGENT_VERSION, VERSION

log = structlog.get_logger()

IDENTITY = "identity.json"
FIRST_RETRY, LONGEST_RETRY = 0.25, 1.0


class Names:
    """The names of living agents. What is claimed is held until the stack is closed."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    def claim(self, agent_id: str) -> None:
        """Be *agent_id*. Raises Fatal where another process is."""
        self._stack.enter_context(only_with_identity(agent_id))

    def is_alive(self, agent_id: str) -> bool:
        """Is a process *agent_id*?"""
        return is_alive(agent_id)


def take_place(stack: AsyncExitStack, settings: Settings) -> Path:
    """Be the only agent of the host and of its data directory, made if it is not there. Raises Fatal."""
    stack.enter_context(only_on_host(shared=settings.share_host))
    data_dir = _data_dir(settings.data_dir)
    stack.enter_context(only_one(data_dir))
    return data_dir


async def open_self(
    stack: AsyncExitStack,
    settings: Settings,
    data_dir: Path,
    docker: DockerEngine,
    ecs: Registry,
    host: HostFacts,
    metadata: InstanceMetadata,
    taken: Taken,
) -> tuple[Membership, Identity, Journal, Saved]:
    """Who we are, and what is written of our tasks. Raises Fatal."""
    file = IdentityFile(data_dir / IDENTITY, journal=data_dir / FILE_NAME)
    membership = Membership(
        membership_settings(settings, data_dir),
        registry=ecs,
        file=file,
        host=host,
        metadata=metadata,
        traces=TraceDriver(docker, taken),
        names=Names(stack),
    )
    identity = await membership.recall()
    journal, saved = await _journal(stack, data_dir / FILE_NAME, identity)
    await file.copy_to(journal.keep_identity, identity)
    return membership, identity, journal, replace(saved, manifest=await journal.manifest())


def _data_dir(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Fatal(f"ECS_DATADIR: cannot make the directory {path}: {error.strerror}", NOT_WORTH_A_RESTART) from error
    return path


async def _journal(stack: AsyncExitStack, path: Path, identity: Identity) -> tuple[Journal, Saved]:
    try:
        return await stack.enter_async_context(own_journal(path, identity.agent_id))
    except OSError as error:
        raise Fatal(f"cannot keep a journal in {path}: {error}") from error


async def heed_user_data(settings: Settings, metadata: ImdsClient) -> Settings:
    """*settings*, with what the instance's user data says where nothing stronger does. Raises Fatal."""
    if settings.external:
        return settings
    try:
        heeded, remarks = with_user_data(settings, await metadata.get("user-data"))
    except BadSettings as bad:
        raise Fatal(f"the settings cannot be used: {bad}", NOT_WORTH_A_RESTART) from bad
    for remark in remarks:
        log.warning("setting_doubted", remark=remark)
    return heeded


async def heed_cloud_init(
    settings: Settings, metadata: ImdsClient, found_nothing: Callable[[], bool] = found_no_datasource
) -> None:
    """Raises Fatal where cloud-init has passed over what the instance's user data asks for: our settings, maybe."""
    if settings.external or not await asyncio.to_thread(found_nothing):
        return
    if await metadata.get("user-data"):
        text = "cloud-init found no data source, so it has not done what the user data of this instance asks for"
        raise Fatal(text, NOT_WORTH_A_RESTART)


async def instance_of(
    stack: AsyncExitStack, settings: Settings, metadata: ImdsClient, access: Access
) -> InstanceClient:
    """This machine as EC2 knows it, found on the spot. Raises Fatal.

    Its VPC and its subnet are known and not told: ECS is to hear of them only from whoever has tasks of awsvpc.
    """
    try:
        ec2 = await asyncio.to_thread(access.open_ec2) if settings.propagate_tags_from else None
        proves = not (settings.external or settings.no_identity_document)
        return await InstanceClient.open(
            metadata,
            await stack.enter_async_context(ec2) if ec2 else None,
            proves=proves,
            forget=access.keys.forget,
        )
    except BadInput as error:
        raise Fatal(str(error), NOT_WORTH_A_RESTART) from error


async def region_of(settings: Settings, metadata: ImdsClient) -> str:
    """The region that every AWS service is asked in. Raises Fatal."""
    region = settings.region or await metadata.region(by_document=not settings.no_identity_document)
    if not region:
        text = "AWS_REGION is not set, and there is no instance metadata that says which region this is"
        may_come = metadata.patience > 0 and not metadata.is_absent()  # EC2 has some, be the network up now or not
        raise Fatal(text, WORTH_A_RESTART if may_come else NOT_WORTH_A_RESTART)
    return region


def endpoint_of(settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """The base URL of the ECS API that the operator names; empty for Amazon's. Raises Fatal."""
    try:
        if settings.backend_host:
            return explicit_endpoint(settings.backend_host)
        return configured_endpoint("ecs", environ)
    except BadInput as error:
        raise Fatal(str(error), NOT_WORTH_A_RESTART) from error


def imds_settings(settings: Settings, patience: float = 0.0) -> ImdsSettings:
    """How instance metadata is asked. A machine of ECS Anywhere may stand anywhere, and asks nobody."""
    usual = settings.imds_endpoint == Settings().imds_endpoint
    endpoint = ImdsSettings.read(os.environ).endpoint if usual else settings.imds_endpoint
    return ImdsSettings(endpoint, settings.imds_disabled or settings.external, patience)


async def access_to_aws(settings: Settings, region: str) -> Access:
    """The way to AWS in *region*. Whoever else in this process reads proxies finds what we find. Raises Fatal."""
    os.environ.update(completed(os.environ, settings.docker_host, settings.imds_endpoint))
    try:
        routes, machine = await asyncio.to_thread(read_routes), await asyncio.to_thread(read_machine)
        detailed_os = settings.detailed_os_family or detailed_os_of(machine)
        access = await asyncio.to_thread(
            Access.of,
            settings,
            region=region,
            endpoint=endpoint_of(settings),
            user_agent=user_agent(AGENT_VERSION, AGENT_HASH, VERSION, detailed_os),
            ipv6_only=ipv6_only(settings.ip_compatibility, routes),
        )
        access.roads.check()
        await asyncio.to_thread(url_of, access.ecs)  # raises what a region that is none would raise later
    except BadInput as error:
        raise Fatal(str(error), NOT_WORTH_A_RESTART) from error
    return access


async def docker_facts(docker: DockerEngine) -> EngineFacts:
    """What Docker says of itself, as soon as it says anything."""
    retry = FIRST_RETRY
    while True:
        try:
            return await docker.facts()
        except TryAgain as error:
            log.warning("waiting_for_docker", error=str(error), next_try_in=retry)
        await asyncio.sleep(retry)
        retry = min(retry * 2, LONGEST_RETRY)


async def offer(docker: DockerEngine) -> EngineOffer:
    """What Docker can do, for capabilities. Raises TryAgain."""
    facts = await docker.facts()
    return EngineOffer(
        facts.api_version,
        facts.oldest_api_version,
        frozenset(facts.logging_drivers),
        frozenset(facts.security_options),
        frozenset(facts.volume_drivers),
    )


def by_systemd(facts: EngineFacts) -> bool | None:
    """Does Docker leave cgroups to systemd? Ours must lie where Docker looks; None where it does not say."""
    return facts.cgroup_driver == "systemd" if facts.cgroup_driver else None


def limits_tasks(settings: Settings, facts: EngineFacts, cgroups: CgroupDriver) -> bool:
    """Do tasks get cgroups? Where the operator left it open and the machine has none to give, one line says so."""
    if settings.task_cpu_mem_limit is False:
        return False
    lack = host_rules.lack_of_docker(facts) or cgroups.probe()
    if lack and settings.task_cpu_mem_limit is None:
        log.warning("tasks_not_limited", reason=lack, setting="ECS_ENABLE_TASK_CPU_MEM_LIMIT")
    return host_rules.limits_tasks(settings, lack)


async def look_at_gpus(settings: Settings, facts: EngineFacts) -> GpuDriver:
    """The GPUs, looked at once if the operator wants them."""
    gpus = GpuDriver(lack=host_rules.lack_of_gpu_runtime(settings, facts))
    if settings.enable_gpu_support:
        await gpus.look()
    return gpus


def membership_settings(settings: Settings, data_dir: Path) -> MembershipSettings:
    """What the operator says of this instance."""
    return MembershipSettings(
        cluster=settings.cluster,
        attributes=tuple(Attribute(name, value) for name, value in settings.instance_attributes.items()),
        tags=tuple(settings.instance_tags.items()),
        identity_path=str(data_dir / IDENTITY),
        home=home_of(settings),
    )
