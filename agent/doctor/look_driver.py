"""Looks at everything that a finding may be about. Nothing is changed, held, or waited for longer than some seconds.

An agent may run meanwhile: no lock is taken, and what it has written is only read.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
import psutil

from agent import opening
from agent.aws.access_client import Access
from agent.aws.ecs_client import url_of
from agent.aws.imds_client import ImdsClient
from agent.config.settings import Settings
from agent.docker.engine_driver import DockerEngine
from agent.docker.foreign import Foreign
from agent.docker.foreign_driver import ForeignDriver
from agent.doctor.findings import Disk, Given, Listener, Sight
from agent.host import rules as host_rules
from agent.host.cgroup_driver import CgroupDriver
from agent.host.disk_driver import DiskDriver, root_of
from agent.host.facts_driver import read_machine
from agent.host.gpu_driver import GpuDriver
from agent.host.introspection import Neighbour
from agent.host.introspection_client import USUAL_ADDRESS, IntrospectionClient
from agent.host.redirect_driver import RedirectDriver
from agent.host.resources import Reservations, memory_mib
from agent.model.clock import utc_now
from agent.model.errors import AgentError, Fatal, TryAgain
from agent.model.identity import Identity
from agent.store.identity_driver import Written
from agent.store.lock_driver import agent_of_host, process_of
from agent.store.takeover_driver import TakeoverFile
from agent.version import AGENT_HASH, AGENT_VERSION, VERSION

PATIENCE = 10.0
"""Seconds for each thing that is asked of somebody else."""
ANY_REGION = "us-east-1"
"""Keys are found by the way of a region, whichever it is."""
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
TAKEOVER, SOCKET = "takeover.json", "dockworker.sock"

T = TypeVar("T")


async def look(given: Given, *, agent_url: str = USUAL_ADDRESS) -> Sight:
    """What there is to be seen."""
    given = await _with_user_data(given)
    settings = given.settings
    identity = await asyncio.to_thread(_identity, settings.data_dir / opening.IDENTITY)
    async with asyncio.TaskGroup() as jobs:
        docker = jobs.create_task(_docker(given, identity))
        aws = jobs.create_task(_aws(given))
        neighbour = jobs.create_task(_neighbour(agent_url))
        troubles = jobs.create_task(_troubles(settings.data_dir))
        gpus = jobs.create_task(GpuDriver(within=PATIENCE).look())
        redirect = jobs.create_task(_redirect(settings))
        machine = jobs.create_task(asyncio.to_thread(_machine, given, identity))
    return Sight(
        given=given,
        identity=identity,
        own_troubles=troubles.result(),
        neighbour=neighbour.result(),
        neighbour_url=agent_url,
        gpus=gpus.result(),
        **redirect.result(),
        **docker.result(),
        **aws.result(),
        **machine.result(),
    )


async def _with_user_data(given: Given) -> Given:
    """*given*, with what the instance's user data says where nothing stronger does."""
    async with ImdsClient.open(opening.imds_settings(given.settings)) as metadata:
        try:
            return replace(given, settings=await _within(opening.heed_user_data(given.settings, metadata)))
        except Fatal as error:
            return replace(given, complaints=(*given.complaints, str(error)))
        except TimeoutError:
            return given


async def _docker(given: Given, identity: Identity | None) -> dict[str, Any]:
    """Docker, and what depends on what it says: cgroups, its disk, containers."""
    settings = given.settings
    try:
        async with DockerEngine.connect(settings.docker_host) as engine, asyncio.timeout(PATIENCE):
            facts = await engine.facts()
            foreigners = await ForeignDriver(engine).containers()
    except (AgentError, TimeoutError) as error:
        disks = await _disks(settings.data_dir, None)
        return {"docker_lack": str(error) or f"no answer within {PATIENCE:g} s", **disks}
    cgroups = CgroupDriver(host_rules.cgroup_version(facts), settings.cgroup_path, systemd=opening.by_systemd(facts))
    lack = host_rules.lack_of_docker(facts) or await asyncio.to_thread(cgroups.probe)
    return {
        "docker": facts,
        "cgroup_lack": lack,
        "has_memory_cgroup": await asyncio.to_thread(_has_memory, settings.cgroup_path),
        "foreigners": await _nobodys(foreigners, settings.data_dir, identity),
        **await _disks(settings.data_dir, root_of(settings.docker_host, facts.root_dir)),
    }


async def _nobodys(found: list[Foreign], data_dir: Path, identity: Identity | None) -> tuple[Foreign, ...]:
    """Those that were not taken over."""
    takeover = await TakeoverFile(data_dir / TAKEOVER).peek()
    if takeover is None or (identity is not None and identity.agent_id != takeover.agent_id):
        return tuple(found)
    ours = {one.docker_id for task in takeover.tasks for one in task.containers}
    return tuple(one for one in found if one.docker_id not in ours)


async def _disks(data_dir: Path, docker_root: Path | None) -> dict[str, Any]:
    place = await asyncio.to_thread(_nearest, data_dir)
    seen = await DiskDriver(place, docker_root).look()
    disks = tuple(Disk(one.path, one.bytes_used, one.inodes_used) for one in seen.all)
    return {"disks": disks, "silent_disks": seen.silent}


async def _neighbour(url: str) -> Neighbour | None:
    """Another agent. Who says nothing of a cluster, or is of our own kind, is none."""
    try:
        async with IntrospectionClient.open(url) as client:
            found = await client.metadata()
    except TryAgain:
        return None
    return None if "dockworker" in found.version.lower() else found


async def _redirect(settings: Settings) -> dict[str, Any]:
    """The way from 169.254.170.2 to the agent, where the agent is to look after it."""
    if settings.task_address == "off" or not settings.task_redirect:
        return {}
    try:
        return {"redirect_lacks": tuple(await RedirectDriver.of(settings).lacks())}
    except TryAgain as error:
        return {"redirect_lack": str(error)}


async def _troubles(data_dir: Path) -> dict[str, str] | None:
    """What our agent says is wrong with it; None where none answers. A socket may have no name as long as a folder."""
    try:
        handle = await asyncio.to_thread(os.open, data_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        connector = aiohttp.UnixConnector(f"/proc/self/fd/{handle}/{SOCKET}")
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get("http://agent/health/ready") as answer,
        ):
            found = msgspec.json.decode(await answer.read())
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
    finally:
        os.close(handle)
    parts = found.items() if isinstance(found, dict) else ()
    return {name: str(one.get("reason", "")) for name, one in parts if isinstance(one, dict) and not one.get("ok")}


async def _aws(given: Given) -> dict[str, Any]:
    """Region, keys and endpoint; each may be lacking alone."""
    settings, seen = given.settings, dict[str, Any]()
    async with ImdsClient.open(opening.imds_settings(settings)) as metadata:
        try:
            seen["region"] = await _within(opening.region_of(settings, metadata))
        except (Fatal, TimeoutError) as error:
            seen["region_lack"] = str(error)
    try:
        endpoint = opening.endpoint_of(settings, given.environ)
        access = await asyncio.to_thread(
            Access.of,
            settings,
            region=seen.get("region") or ANY_REGION,
            endpoint=endpoint,
            user_agent=f"dockworker-doctor/{VERSION} ({AGENT_VERSION}, {AGENT_HASH})",
            environ=given.environ,
        )
    except AgentError as error:
        return seen | {"endpoint_lack": str(error)}
    seen["keys_lack"] = await _lack_of_keys(access)
    return seen | await _ecs(access) if endpoint or "region" in seen else seen


async def _within(asked: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE):
        return await asked


async def _lack_of_keys(access: Access) -> str:
    try:
        await _within(access.keys.keys())
    except TryAgain as error:
        return str(error)
    except TimeoutError:
        return f"no AWS credentials were found within {PATIENCE:g} s"
    return ""


async def _ecs(access: Access) -> dict[str, Any]:
    """Does the endpoint answer? Any answer will do: nothing is asked of it but the time."""
    url = await asyncio.to_thread(url_of, access.ecs)
    try:
        connector, proxy = access.roads.to_call(url)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get(url, proxy=proxy, allow_redirects=False) as answer,
        ):
            date = answer.headers.get("Date", "")
    except (AgentError, aiohttp.ClientError, OSError, TimeoutError) as error:
        why = str(error) or f"no answer within {PATIENCE:g} s"
        return {"endpoint": url, "endpoint_lack": f"{url}: {why}"}
    return {"endpoint": url, "skew": _skew(date)}


def _skew(date: str) -> float | None:
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return None
    there = there.replace(tzinfo=UTC) if there.tzinfo is None else there
    off = (utc_now() - there).total_seconds()
    return 0.0 if 0 <= off < 1 else off  # a Date has no fractions


def _machine(given: Given, identity: Identity | None) -> dict[str, Any]:
    """What can be seen without asking anybody else. Blocks for a moment."""
    settings, machine = given.settings, read_machine()
    try:
        memory_mib(machine, Reservations(settings.reserved_memory))
        memory_lack = ""
    except Fatal as error:
        memory_lack = str(error)
    own = (process_of(identity.agent_id) if identity is not None else None) or agent_of_host()
    return {
        "is_root": os.geteuid() == 0,
        "memory_lack": memory_lack,
        "forwards_ip": _reads(IP_FORWARD) != "0",
        "data_dir_lack": _lack_of_place(settings.data_dir),
        "listeners": _listeners(),
        "own_agent": own,
    }


def _listeners() -> tuple[Listener, ...]:
    try:
        found = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return ()
    listening = {(one.laddr.port, one.pid) for one in found if one.status == psutil.CONN_LISTEN and one.laddr}
    return tuple(
        Listener(port, pid, _name(pid)) for port, pid in sorted(listening, key=lambda one: (one[0], one[1] or 0))
    )


def _name(pid: int | None) -> str:
    try:
        return psutil.Process(pid).name() if pid else ""
    except psutil.Error:
        return ""


def _nearest(folder: Path) -> Path:
    """*folder*, or the one in which it would be made."""
    return next((one for one in (folder, *folder.absolute().parents) if one.exists()), Path("/"))


def _lack_of_place(data_dir: Path) -> str:
    """Why nothing can be written there; where there is no such directory, why it cannot be made."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(data_dir), prefix=".dockworker-doctor-"):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _has_memory(root: Path) -> bool:
    unified = _reads(root / "cgroup.controllers")
    return "memory" in unified.split() if unified is not None else (root / "memory").is_dir()


def _reads(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return None


def _identity(path: Path) -> Identity | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Written).identity
    except (OSError, ValueError):
        return None
