"""``linuxParameters``: their rules, and what Docker calls them (API: LinuxParameters, KernelCapabilities, Tmpfs)."""

from collections.abc import Iterable

from agent.controlplane.faults import client
from agent.controlplane.honoured import refuse_the_rest, words
from agent.controlplane.names import repeated
from agent.controlplane.records import JsonObject

MIB = 1024 * 1024
MEMBERS = words("capabilities devices initProcessEnabled sharedMemorySize tmpfs maxSwap swappiness")
CAPABILITIES = words(
    "ALL AUDIT_CONTROL AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER"
    " KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW SETFCAP"
    " SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO"
    " SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM"
)
MOUNT_OPTIONS = words(
    "defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime"
    " nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave rslave relatime norelatime"
    " strictatime nostrictatime mode uid gid nr_inodes nr_blocks mpol"
)
SWAPPINESS = range(101)


def check_linux(container: JsonObject, where: str) -> None:
    """Raise ClientException where a rule is broken."""
    given = container.get("linuxParameters", {})
    refuse_the_rest(given, MEMBERS, f"in linuxParameters {where}")
    _check_privileges(given, where)
    _check_tmpfs(given.get("tmpfs", ()), where)
    for member in ("sharedMemorySize", "maxSwap"):
        if given.get(member, 0) < 0:
            raise client(f"linuxParameters.{member} {where} must not be negative.")
    if "maxSwap" in given and not container.get("memory"):
        raise client(f"linuxParameters.maxSwap {where} needs its memory.")
    if given.get("swappiness", 0) not in SWAPPINESS:
        raise client(f"linuxParameters.swappiness {where} must be between 0 and 100.")


def _check_privileges(given: JsonObject, where: str) -> None:
    for member in ("add", "drop"):
        for name in given.get("capabilities", {}).get(member, ()):
            if name not in CAPABILITIES:
                raise client(f"linuxParameters.capabilities.{member} {where}: {name[:50]!r} is no capability.")
    for device in given.get("devices", ()):
        for path in (device["hostPath"], device.get("containerPath") or "/"):
            if not path.startswith("/"):
                raise client(f"linuxParameters.devices {where} must have absolute paths.")


def _check_tmpfs(given: Iterable[JsonObject], where: str) -> None:
    paths = []
    for mount in given:
        paths.append(mount["containerPath"])
        if not mount["containerPath"].startswith("/"):
            raise client(f"linuxParameters.tmpfs {where} must have an absolute containerPath.")
        if mount["size"] < 1:
            raise client(f"linuxParameters.tmpfs {where} must have a size of at least 1 MiB.")
        for option in mount.get("mountOptions", ()):
            if option.partition("=")[0] not in MOUNT_OPTIONS:
                raise client(f"linuxParameters.tmpfs {where}: {option[:50]!r} is no mount option.")
    if twice := repeated(paths):
        raise client(f"linuxParameters.tmpfs {where} uses {twice} more than once.")


def linux_host_config(container: JsonObject) -> JsonObject:
    """The part of Docker's ``HostConfig`` that they come to. Swappiness means nothing without maxSwap."""
    given = container.get("linuxParameters", {})
    host: JsonObject = {}
    capabilities = given.get("capabilities", {})
    host |= {
        docker: capabilities[ours]
        for ours, docker in (("add", "CapAdd"), ("drop", "CapDrop"))
        if capabilities.get(ours)
    }
    if given.get("devices"):
        host["Devices"] = [
            {
                "PathOnHost": device["hostPath"],
                "PathInContainer": device.get("containerPath") or device["hostPath"],
                "CgroupPermissions": _permissions(device.get("permissions", ())),
            }
            for device in given["devices"]
        ]
    if given.get("initProcessEnabled"):
        host["Init"] = True
    if given.get("sharedMemorySize"):
        host["ShmSize"] = given["sharedMemorySize"] * MIB
    if given.get("tmpfs"):
        host["Tmpfs"] = {
            mount["containerPath"]: ",".join((*mount.get("mountOptions", ()), f"size={mount['size']}m"))
            for mount in given["tmpfs"]
        }
    if "maxSwap" in given:
        host["MemorySwap"] = (container["memory"] + given["maxSwap"]) * MIB
        if "swappiness" in given:
            host["MemorySwappiness"] = given["swappiness"]
    return host


def _permissions(given: Iterable[str]) -> str:
    """``read``, ``write`` and ``mknod`` in Docker's letters; all three where none is named."""
    return "".join(letter for word, letter in (("read", "r"), ("write", "w"), ("mknod", "m")) if word in given) or "rwm"
