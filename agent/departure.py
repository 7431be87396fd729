"""How a machine leaves its cluster for good: nothing of it stays behind, neither with ECS nor with Docker.

ECS lets go first: a step that fails after that can be repeated, and no task is placed here meanwhile.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from agent.aws.failures import EcsError
from agent.aws.imds_client import ImdsClient
from agent.config.settings import Settings
from agent.docker.clearing_driver import ClearingDriver
from agent.docker.engine_driver import DockerEngine
from agent.docker.labels import Taken
from agent.docker.trace_driver import TraceDriver
from agent.host import rules as host_rules
from agent.host.cgroup_driver import CgroupDriver
from agent.host.faults_driver import FaultsDriver
from agent.host.redirect_driver import RedirectDriver
from agent.membership.decisions import recovered
from agent.model.acts import RemoveCgroup
from agent.model.clock import utc_now
from agent.model.errors import NOT_WORTH_A_RESTART, WORTH_A_RESTART, AgentError, Fatal, GiveUp, TryAgain
from agent.model.identity import Identity
from agent.model.names import TaskArn
from agent.model.status import ResourceKind
from agent.opening import (
    IDENTITY,
    access_to_aws,
    by_systemd,
    docker_facts,
    heed_user_data,
    imds_settings,
    membership_settings,
    region_of,
)
from agent.store.db import set_aside
from agent.store.identity_driver import IdentityFile
from agent.store.journal_driver import FILE_NAME
from agent.store.lock_driver import is_alive, only_one, only_with_identity
from agent.takeover.adoption_driver import TAKEOVER, must_be_gone, read_adoption

Say = Callable[[str], None]

GONE = frozenset({"ClientException", "InvalidParameterException", "ClusterNotFoundException"})
"""How ECS answers where there is nothing to deregister any more."""

TRIES, PAUSE = 10, 0.2
"""How often a cgroup is tried to be removed, and the seconds between two tries."""


class Clears(Protocol):
    """What one agent has in Docker. Methods raise TryAgain, and can be repeated."""

    async def containers(self) -> list[str]:
        """The ids of all containers."""
        ...

    async def stop(self, container: str, default_grace: float) -> str:
        """Stop it. Gives the cgroup of its task, if it has one."""
        ...

    async def remove(self, container: str) -> None:
        """Remove it."""
        ...

    async def remove_volumes(self) -> None:
        """Remove the volumes of tasks."""
        ...


class Removes(Protocol):
    """The cgroups of this machine."""

    async def remove(self, act: RemoveCgroup) -> None:
        """Remove one. Absent is success. Raises TryAgain, GiveUp."""
        ...


async def leave(settings: Settings, *, force: bool, say: Say) -> int:
    """Deregister this machine, end what runs of its tasks (only by *force*), and set its identity aside.

    Gives the exit code: 0 where nothing is left, 5 where tasks live or an agent does, 1 where another try may help.
    """
    try:
        async with AsyncExitStack() as stack:
            return await _leave(stack, settings, force=force, say=say)
    except Fatal as fatal:
        say(str(fatal))
        return fatal.exit_code
    except (AgentError, OSError) as error:
        say(f"That did not work: {error}. What is done is done; the command can be given again.")
        return WORTH_A_RESTART


async def _leave(stack: AsyncExitStack, settings: Settings, *, force: bool, say: Say) -> int:
    data_dir = settings.data_dir
    if not await asyncio.to_thread(data_dir.is_dir):
        say(f"There is no agent's data in {data_dir}: nothing to leave.")
        return 0
    await asyncio.to_thread(stack.enter_context, only_one(data_dir))
    docker = await stack.enter_async_context(DockerEngine.connect(settings.docker_host))
    metadata = await stack.enter_async_context(ImdsClient.open(imds_settings(settings)))
    settings = await heed_user_data(settings, metadata)  # it may name the cluster, and where ECS is
    adoption = await read_adoption(data_dir)
    if adoption.takeover is not None and not adoption.takeover.is_heard:
        await must_be_gone(adoption.takeover)  # until the first start it is that agent's instance, too
    traces = await TraceDriver(docker, adoption.taken).traces()
    saved = await IdentityFile(data_dir / IDENTITY, journal=data_dir / FILE_NAME).read()
    identity = saved or recovered(traces, membership_settings(settings, data_dir), is_alive)
    if identity is None:
        say("This machine is registered nowhere: nothing to leave.")
        return 0
    stack.enter_context(only_with_identity(identity.agent_id))
    alive = sorted({trace.task for trace in traces if trace.agent_id == identity.agent_id and trace.is_alive})
    if alive and not force:
        say(f"Tasks live here: {', '.join(alive)}. `dockworker leave --force` ends them.")
        return NOT_WORTH_A_RESTART
    await _deregister(stack, settings, metadata, identity, say)
    count = await _clear(docker, settings, identity, adoption.taken)
    say(f"Containers ended and removed: {count}.")
    await _remove_redirect(settings, say)
    for fault, outcome in await FaultsDriver(()).clear_host():
        say(f"A fault that a task made in the network of this machine, {fault}: {outcome}.")
    for name in (
        adoption.file.copy.name,
        TAKEOVER,
        FILE_NAME,
        IDENTITY,
    ):  # the identity last: by it the command can be given again
        await asyncio.to_thread(_put_away, data_dir / name)
    say("What this machine knew of itself is set aside. The next start registers it anew.")
    return 0


async def _deregister(
    stack: AsyncExitStack, settings: Settings, metadata: ImdsClient, identity: Identity, say: Say
) -> None:
    if not identity.instance_arn:
        return
    access = await access_to_aws(settings, await region_of(settings, metadata))
    ecs = await stack.enter_async_context(access.open_ecs())
    try:
        await ecs.deregister(identity.cluster, identity.instance_arn)
    except EcsError as error:
        if error.code not in GONE:
            raise
        say(f"ECS has let go of {identity.instance_arn} already: {error}.")
        return
    say(f"Deregistered {identity.instance_arn} from {identity.cluster}.")


async def _clear(docker: DockerEngine, settings: Settings, identity: Identity, taken: Taken) -> int:
    facts = await docker_facts(docker)
    cgroups = CgroupDriver(host_rules.cgroup_version(facts), settings.cgroup_path, systemd=by_systemd(facts))
    return await clear(ClearingDriver(docker, identity.agent_id, taken), cgroups, settings.stop_timeout.total_seconds())


async def clear(mine: Clears, cgroups: Removes, grace: float) -> int:
    """End the containers of all tasks side by side; then what they shared. Gives how many there were.

    What leads to something goes after it: cgroups have no labels, and only containers tell of them. So a container is
    removed once its cgroup is gone, and another try finds the others. Raises AgentError, OSError.
    """
    ids = await mine.containers()
    cgroup_of = dict(zip(ids, await asyncio.gather(*(mine.stop(one, grace) for one in ids)), strict=True))
    trouble: dict[str, AgentError] = {}
    for path in sorted(set(cgroup_of.values()) - {""}):
        try:
            await _remove_cgroup(cgroups, RemoveCgroup(TaskArn(""), ResourceKind.CGROUP, path=path))
        except (GiveUp, TryAgain) as error:
            trouble[path] = error
    await asyncio.gather(*(mine.remove(one) for one in ids if cgroup_of[one] not in trouble))
    if trouble:
        raise OSError("; ".join(map(str, trouble.values())))
    await mine.remove_volumes()
    return len(ids)


async def _remove_cgroup(cgroups: Removes, act: RemoveCgroup) -> None:
    """Remove it; the kernel may still be about to let go of what has just ended. Raises TryAgain, GiveUp."""
    for _ in range(TRIES - 1):
        try:
            return await cgroups.remove(act)
        except TryAgain:
            await asyncio.sleep(PAUSE)
    return await cgroups.remove(act)


async def _remove_redirect(settings: Settings, say: Say) -> None:
    """Remove the firewall rules for containers; a machine that has no way to do so may have none."""
    if settings.task_address == "off" or not settings.task_redirect:
        return
    try:
        await RedirectDriver.of(settings).remove()
    except TryAgain as error:
        say(f"The firewall rules for 169.254.170.2 are left as they are: {error}.")
        return
    say("No firewall rule of ours is left.")


def _put_away(path: Path) -> None:
    if path.exists():
        set_aside(path, utc_now())
