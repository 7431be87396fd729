"""What a look at the machine means for an agent, and what to do about it. Each check says at least one thing."""

from collections.abc import Callable, Iterator
from functools import partial

from agent.doctor import of_ecs, of_neighbours
from agent.doctor.findings import Disk, Finding, Level, Sight
from agent.host.rules import OLDEST_API

NEWEST_API = (1, 44)
"""The newest version that was tried; an engine that speaks only later ones may answer otherwise."""

Check = Callable[[Sight], Iterator[Finding]]


def examine(sight: Sight) -> list[Finding]:
    """Every finding, in the order in which somebody would mend them."""
    return [finding for check in CHECKS for finding in check(sight)]


def settings(sight: Sight) -> Iterator[Finding]:
    """Can the settings be used, and are they meant so?"""
    say = partial(Finding, "settings")
    for complaint in sight.given.complaints:
        yield say(Level.ERROR, complaint, "mend it; `dockworker config check` says whether that is done")
    for remark in sight.given.remarks:
        yield say(Level.WARNING, remark, "`dockworker config show` shows what holds, and where it comes from")
    if not sight.given.complaints and not sight.given.remarks:
        yield say(Level.OK, "the settings can be used")


def root(sight: Sight) -> Iterator[Finding]:
    """May the agent do what it must?"""
    if sight.is_root:
        yield Finding("root", Level.OK, "this is root")
    else:
        yield Finding("root", Level.WARNING, "this is not root: not everything can be seen", "run it with sudo")


def docker(sight: Sight) -> Iterator[Finding]:
    """Does Docker answer, in words that we know?"""
    say = partial(Finding, "docker")
    facts, host = sight.docker, sight.settings.docker_host
    if facts is None:
        yield say(
            Level.ERROR,
            f"Docker does not answer at {host}: {sight.docker_lack}",
            "start Docker (systemctl start docker), or say where it is (DOCKER_HOST)",
        )
    elif _numbers(facts.api_version) < OLDEST_API:
        yield say(
            Level.ERROR,
            f"Docker {facts.version} speaks API {facts.api_version}, and {_text(OLDEST_API)} is the least",
            "update Docker to 20.10 or later",
        )
    elif _numbers(facts.oldest_api_version) > NEWEST_API:
        text = f"Docker {facts.version} speaks API {facts.oldest_api_version} and later; {_text(NEWEST_API)} was tried"
        yield say(Level.WARNING, text, "look for a later Dockworker")
    else:
        yield say(Level.OK, f"Docker {facts.version} answers, API {facts.api_version}")


def cgroups(sight: Sight) -> Iterator[Finding]:
    """Can memory and tasks be limited?"""
    if not sight.has_memory_cgroup:
        yield Finding(
            "memory-cgroup",
            Level.ERROR,
            "the kernel has no memory cgroup: no container's memory is limited, and none is ended for using too much",
            "boot with cgroup_enable=memory swapaccount=1 on the kernel's command line",
        )
    else:
        yield Finding("memory-cgroup", Level.OK, "the memory of containers can be limited")
    if sight.settings.task_cpu_mem_limit is False:
        yield Finding("task-limits", Level.OK, "tasks as a whole are not to be limited")
    elif sight.cgroup_lack:
        insists = sight.settings.task_cpu_mem_limit is True
        yield Finding(
            "task-limits",
            Level.ERROR if insists else Level.WARNING,
            f"tasks cannot be limited as a whole: {sight.cgroup_lack}",
            "mend that, or set ECS_ENABLE_TASK_CPU_MEM_LIMIT=false",
        )
    else:
        yield Finding("task-limits", Level.OK, "tasks can be limited as a whole")


def network(sight: Sight) -> Iterator[Finding]:
    """Do packets get into containers?"""
    if sight.forwards_ip:
        yield Finding("ip-forward", Level.OK, "the kernel forwards packets to containers")
    else:
        yield Finding(
            "ip-forward",
            Level.WARNING,
            "the kernel forwards no packets (net.ipv4.ip_forward is 0): containers of bridge mode reach nobody",
            "sysctl -w net.ipv4.ip_forward=1, and keep it in /etc/sysctl.d",
        )


def redirect(sight: Sight) -> Iterator[Finding]:
    """Do containers reach the agent at 169.254.170.2?"""
    say, where = partial(Finding, "redirect"), sight.settings.task_address
    if where == "off" or not sight.settings.task_redirect:
        yield say(Level.OK, "no way from 169.254.170.2 to the agent is to be made")
    elif sight.redirect_lack:
        text = f"containers get no metadata and no credentials at 169.254.170.2: {sight.redirect_lack}"
        yield say(Level.WARNING, text, "install iptables, or run this with sudo; or set DOCKWORKER_TASK_REDIRECT=false")
    elif others := [one for one in sight.redirect_lacks if "somebody else" in one]:
        text = f"containers are not led to this agent: {'; '.join(others)}"
        yield say(Level.WARNING, text, "stop that agent, and remove the rule with -D in place of -A")
    elif sight.redirect_lacks and sight.own_agent:
        text = f"containers do not reach the agent at 169.254.170.2: {'; '.join(sight.redirect_lacks)}"
        yield say(Level.WARNING, text, "the agent mends that within seconds; if it does not, see its log")
    elif sight.redirect_lacks:
        yield say(Level.OK, f"169.254.170.2 does not lead to {where} yet: the agent makes the rules when it starts")
    else:
        yield say(Level.OK, f"169.254.170.2 leads to {where}")


def disks(sight: Sight) -> Iterator[Finding]:
    """Is there room?"""
    for disk in sight.disks:
        yield _disk(sight, disk)
    for path in sight.silent_disks:
        text = f"the file system of {path} does not answer"
        yield Finding("disk", Level.ERROR, text, "look at the disk, or at the server that it is mounted from")


def _disk(sight: Sight, disk: Disk) -> Finding:
    high, low = sight.settings.disk_high_watermark, sight.settings.disk_low_watermark
    used = max(disk.bytes_used, disk.inodes_used)
    what = "bytes" if disk.bytes_used >= disk.inodes_used else "inodes"
    level = Level.ERROR if used >= high else Level.WARNING if used >= low else Level.OK
    text = f"{used:.0f} % of the {what} of {disk.path} are used"
    if level is Level.OK:
        return Finding("disk", level, text)
    text += f"; from {high} % on images are removed, and from {sight.settings.disk_critical_watermark} % no task begins"
    return Finding("disk", level, text, "make room: docker system prune, or a larger disk")


def data_dir(sight: Sight) -> Iterator[Finding]:
    """Can the journal be kept?"""
    place = sight.settings.data_dir
    if sight.data_dir_lack:
        text = f"{place} cannot be written: {sight.data_dir_lack}"
        yield Finding("data-dir", Level.ERROR, text, "mend the disk or its rights, or name another ECS_DATADIR")
    else:
        yield Finding("data-dir", Level.OK, f"{place} can be written")


def memory(sight: Sight) -> Iterator[Finding]:
    """Is anything left for tasks?"""
    if sight.memory_lack:
        yield Finding("reserved-memory", Level.ERROR, sight.memory_lack, "reserve less (ECS_RESERVED_MEMORY)")
    else:
        yield Finding("reserved-memory", Level.OK, "there is memory for tasks")


def gpus(sight: Sight) -> Iterator[Finding]:
    """Are the GPUs there that should be?"""
    say, found = partial(Finding, "gpu"), sight.gpus
    count = len(found.gpus.ids)
    if not sight.settings.enable_gpu_support:
        if count or found.trouble:
            text = f"this machine has an NVIDIA driver (GPUs: {count}), and tasks get none"
            yield say(Level.WARNING, text, "set ECS_ENABLE_GPU_SUPPORT=true, if tasks are to have them")
        else:
            yield say(Level.OK, "no GPUs are wanted, and there are none")
    elif found.trouble:
        yield say(Level.ERROR, f"GPUs: {count}. {found.trouble}", "see nvidia-smi; reinstall the driver, or reboot")
    elif not count:
        text = "ECS_ENABLE_GPU_SUPPORT is set, and there is no NVIDIA driver"
        yield say(Level.ERROR, text, "install the driver, or take the setting away")
    else:
        yield say(Level.OK, f"GPUs: {count}, driver {found.gpus.driver or 'unknown'}")


CHECKS: tuple[Check, ...] = (
    settings,
    root,
    docker,
    cgroups,
    network,
    redirect,
    disks,
    data_dir,
    memory,
    *of_ecs.CHECKS,
    *of_neighbours.CHECKS,
    gpus,
)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
