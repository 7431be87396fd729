"""Files of the kernel as they stand on hosts of several kinds, for tests that cannot bring such a host along."""

from pathlib import Path

ID = "4f1c2d9e8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e"
NET_DEV = b"""\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999      10    0    0    0     0          0         0     9999      10    0    0    0     0       0          0
  eth0:   81920     610    1    2    0     0          0         0    40960     420    3    4    0     0       0          0
eth1:1234567890123      7    0    0    0     0          0         0        8       9    0    0    0     0       0          0
"""  # noqa: E501 -- as the kernel writes it
CPU_STAT = b"""\
usage_usec 912345
user_usec 802000
system_usec 110345
core_sched.force_idle_usec 0
nr_periods 0
nr_throttled 0
throttled_usec 0
nr_bursts 0
burst_usec 0
"""
MEMORY_STAT = b"""\
anon 20971520
file 8388608
kernel 1048576
inactive_anon 0
active_anon 20971520
inactive_file 4194304
active_file 4194304
"""
IO_STAT = b"""\
259:0 rbytes=40960 wbytes=8192 rios=10 wios=2 dbytes=0 dios=0
253:1 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0
7:0 
"""  # noqa: W291 -- a device of which nothing is counted
V1_GROUPS = """\
12:perf_event:/docker/{id}
9:blkio:/docker/{id}
6:memory:/docker/{id}
4:cpu,cpuacct:/docker/{id}
1:name=systemd:/docker/{id}
0::/system.slice/containerd.service
"""


def a_process(proc: Path, pid: int, groups: str, net_dev: bytes = NET_DEV) -> Path:
    """The directory of a process."""
    place = proc / str(pid)
    (place / "net").mkdir(parents=True)
    (place / "cgroup").write_text(groups)
    (place / "stat").write_text(f"{pid} (sleep) S")
    (place / "net" / "dev").write_bytes(net_dev)
    return place


def a_group(place: Path, *, without: tuple[str, ...] = ()) -> Path:
    """A container's directory in a tree of version 2."""
    files = {
        "cgroup.controllers": b"cpu io memory pids\n",
        "cgroup.procs": b"",
        "cpu.stat": CPU_STAT,
        "memory.current": b"31457280\n",
        "memory.stat": MEMORY_STAT,
        "io.stat": IO_STAT,
    }
    return _written(place, {name: text for name, text in files.items() if name not in without})


def v1_groups(root: Path, below: str) -> None:
    """A container's directories in the hierarchies of version 1, two of whose controllers share one mount."""
    _written(root / "cpu,cpuacct" / below, {"cgroup.procs": b"", "cpuacct.usage": b"912345678\n"})
    stat = b"cache 1048576\nrss 4096\ntotal_cache 2097152\n"
    _written(
        root / "memory" / below,
        {"cgroup.procs": b"", "memory.usage_in_bytes": b"3145728\n", "memory.stat": stat},
    )
    io = b"259:0 Read 40960\n259:0 Write 8192\n259:0 Sync 100\n253:1 Read 4096\nTotal 53248\n"
    _written(root / "blkio" / below, {"cgroup.procs": b"", "blkio.throttle.io_service_bytes": io})


def _written(place: Path, files: dict[str, bytes]) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_bytes(text)
    return place
