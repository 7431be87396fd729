"""The real kernel where this machine has it, and trees as it would show them where it has not."""

import asyncio
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from agent.host.cgroup_driver import CgroupDriver
from agent.model.acts import CreateCgroup, Limits, RemoveCgroup
from agent.model.errors import GiveUp, TryAgain
from agent.model.names import Image
from agent.model.status import ResourceKind
from tests.engine.rows import ARN

V1 = Path("/sys/fs/cgroup")
SLICE = "ecstasks-0123abcd.slice"
LIMITS = Limits(quota=50_000, period=100_000, memory=64, pids=100)


def create(driver: CgroupDriver, path: str, limits: Limits = LIMITS) -> None:
    asyncio.run(driver.create(CreateCgroup(ARN, ResourceKind.CGROUP, path=path, limits=limits)))


def remove(driver: CgroupDriver, path: str) -> None:
    asyncio.run(driver.remove(RemoveCgroup(ARN, ResourceKind.CGROUP, path=path)))


def text(place: Path) -> str:
    return place.read_text().strip()


@pytest.fixture
def path() -> Iterator[str]:
    """A cgroup of the real kernel in a place of its own, which is gone at the end whatever became of it."""
    place = f"ecs-tests-{secrets.token_hex(8)}"
    yield f"/{place}/{secrets.token_hex(16)}"
    for above in V1.glob(f"*/{place}"):
        for folder, _, _ in os.walk(above, topdown=False):
            Path(folder).rmdir()


def test_a_task_has_a_directory_with_its_limits_in_every_hierarchy(path: str) -> None:
    create(CgroupDriver(), path)
    made = {place.parts[4] for place in V1.glob(f"*{path}")}
    assert made >= {"cpu", "memory", "pids", "cpuset", "devices", "freezer"}
    assert "unified" not in made
    below = path.lstrip("/")
    assert text(V1 / "memory" / below / "memory.limit_in_bytes") == str(64 << 20)
    assert text(V1 / "memory" / below / "memory.use_hierarchy") == "1"
    assert text(V1 / "cpu" / below / "cpu.cfs_quota_us") == "50000"
    assert text(V1 / "cpu" / below / "cpu.cfs_period_us") == "100000"
    assert text(V1 / "pids" / below / "pids.max") == "100"
    assert text(V1 / "cpuset" / below / "cpuset.cpus") == text(V1 / "cpuset" / "cpuset.cpus")


def test_one_that_is_there_gets_the_limits_anew(path: str) -> None:
    create(CgroupDriver(), path)
    create(CgroupDriver(), path, Limits(shares=512, memory=32))
    assert text(V1 / "memory" / path.lstrip("/") / "memory.limit_in_bytes") == str(32 << 20)
    assert text(V1 / "cpu" / path.lstrip("/") / "cpu.shares") == "512"


def test_a_removed_one_is_gone_with_what_was_left_below_and_may_be_removed_again(path: str) -> None:
    create(CgroupDriver(), path)
    beside = V1 / "memory" / Path(path).parent.name / "beside"
    beside.mkdir()
    (V1 / "memory" / path.lstrip("/") / "left" / "over").mkdir(parents=True)
    remove(CgroupDriver(), path)
    assert list(V1.glob(f"*{path}")) == []
    assert beside.is_dir()
    remove(CgroupDriver(), path)


def test_one_that_processes_are_in_is_removed_later(path: str) -> None:
    create(CgroupDriver(), path)
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        (V1 / "pids" / path.lstrip("/") / "cgroup.procs").write_text(str(sleeper.pid))
        with pytest.raises(TryAgain, match=r"cannot remove /sys/fs/cgroup/pids/.*\(EBUSY\)"):
            remove(CgroupDriver(), path)
        sleeper.kill()
    remove(CgroupDriver(), path)
    assert list(V1.glob(f"*{path}")) == []


def test_a_limit_that_the_kernel_refuses_is_told_with_the_file_and_the_error(path: str) -> None:
    with pytest.raises(GiveUp) as refused:
        create(CgroupDriver(), path, Limits(quota=1, period=100_000))
    file = V1 / "cpu" / path.lstrip("/") / "cpu.cfs_quota_us"
    assert refused.value.reason == f"CgroupError: cannot write 1 to {file}: Invalid argument (EINVAL)"


def test_docker_puts_a_container_below_it_and_the_limit_holds(path: str, sample_image: Image) -> None:
    create(CgroupDriver(), path)
    mine = V1 / "memory" / path.lstrip("/")
    script = "grep :memory: /proc/self/cgroup; exec dd if=/dev/zero of=/dev/null bs=200M count=1"
    command = ["docker", "run", "--cgroup-parent", path, "--name", path[-32:], sample_image, "sh", "-c", script]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert path in run.stdout
        assert run.returncode == 137, run.stderr
        assert int(text(mine / "memory.max_usage_in_bytes")) <= 64 << 20
    finally:
        subprocess.run(["docker", "rm", "-fv", path[-32:]], check=True, capture_output=True)
    remove(CgroupDriver(), path)
    assert list(V1.glob(f"*{path}")) == []


def test_this_machine_can_limit_tasks() -> None:
    assert CgroupDriver().probe() == ""


@pytest.mark.parametrize("path", ["/", "/ecs", "/ecs/../..", ""])
def test_a_path_that_is_no_tasks_is_never_touched(path: str) -> None:
    for act in (create, remove):
        with pytest.raises(GiveUp, match="is no cgroup of a task"):
            act(CgroupDriver(), path)


def test_a_machine_without_controllers_says_what_it_has_not(tmp_path: Path) -> None:
    assert CgroupDriver(root=tmp_path).probe() == f"no cgroup controller is mounted below {tmp_path}"
    assert "No such file or directory (ENOENT)" in CgroupDriver(root=tmp_path / "no").probe()
    for controller in ("cpu,cpuacct", "pids"):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / "cgroup.procs").touch()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    assert CgroupDriver(root=tmp_path).probe() == f"the memory controller is not mounted below {tmp_path}"


class Unified:
    """A tree of cgroup v2 in a folder: directories have files, as the kernel's have, and go with them."""

    FILES: ClassVar = {
        "cgroup.controllers": "cpuset cpu io memory pids\n",
        "cgroup.subtree_control": "",
        "cgroup.events": "populated 0\nfrozen 0\n",
        "cgroup.procs": "",
        "cpu.max": "max 100000\n",
        "cpu.weight": "100\n",
        "memory.max": "max\n",
        "pids.max": "max\n",
    }

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._mkdir, self._rmdir = os.mkdir, os.rmdir
        patch.setattr(os, "mkdir", self.mkdir)
        patch.setattr(os, "rmdir", self.rmdir)
        self.fill(root)

    def fill(self, place: Path) -> None:
        for name, content in self.FILES.items():
            (place / name).write_text(content)

    def mkdir(self, place: Path, mode: int = 0o777) -> None:
        self._mkdir(place, mode)
        self.fill(Path(place))

    def rmdir(self, place: Path) -> None:
        for name in self.FILES:
            (Path(place) / name).unlink()
        self._rmdir(place)


@pytest.fixture
def unified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unified:
    (tmp_path / "root").mkdir()
    return Unified(tmp_path / "root", monkeypatch)


def test_in_the_second_version_there_is_one_directory_and_controllers_are_enabled_above_it(unified: Unified) -> None:
    driver = CgroupDriver(2, unified.root, systemd=False)
    assert driver.probe() == ""
    create(driver, SLICE)
    place = unified.root / SLICE
    assert text(unified.root / "cgroup.subtree_control") == "+cpu +memory +pids"
    assert [text(place / name) for name in ("cpu.max", "memory.max", "pids.max")] == ["50000 100000", "67108864", "100"]
    create(driver, SLICE, Limits(memory=32))
    assert text(place / "memory.max") == str(32 << 20)
    remove(driver, SLICE)
    assert not place.exists()
    remove(driver, SLICE)


def test_a_controller_that_is_not_offered_is_named(unified: Unified) -> None:
    (unified.root / "cgroup.controllers").write_text("cpuset pids\n")
    driver = CgroupDriver(2, unified.root, systemd=False)
    told = f"{unified.root}/cgroup.controllers does not offer cpu and memory"
    assert driver.probe() == told
    with pytest.raises(GiveUp, match=told):
        create(driver, SLICE)
    assert not (unified.root / SLICE).exists()


def test_a_file_that_the_kernel_does_not_have_is_not_made_up(unified: Unified, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(Unified.FILES, "pids.max")
    with pytest.raises(GiveUp, match=r"cannot write 100 to .*/pids.max: No such file or directory \(ENOENT\)"):
        create(CgroupDriver(2, unified.root, systemd=False), SLICE)


@pytest.mark.parametrize("path", ["", "/", "../x.slice", "system"])
def test_only_a_slice_is_touched_in_the_second_version(unified: Unified, path: str) -> None:
    for act in (create, remove):
        with pytest.raises(GiveUp, match="is no slice of a task"):
            act(CgroupDriver(2, unified.root, systemd=False), path)


BUSCTL = """\
#!/bin/sh
echo "$*" >> {calls}
case "$6" in
  StartTransientUnit)
    if [ -d {place} ]; then echo "Call failed: Unit {slice} was already loaded or has a fragment file." >&2; exit 1; fi
    mkdir -p {place}
    printf 'cpu memory pids' > {place}/cgroup.controllers
    printf 'populated 0' > {place}/cgroup.events;;
  StopUnit) rm -r {place};;
esac
"""


def test_where_systemd_owns_the_tree_it_is_asked_for_a_slice(tmp_path: Path) -> None:
    place, calls, busctl = tmp_path / "ecstasks.slice" / SLICE, tmp_path / "calls", tmp_path / "busctl"
    busctl.write_text(BUSCTL.format(calls=calls, place=place, slice=SLICE))
    busctl.chmod(0o755)
    driver = CgroupDriver(2, tmp_path, systemd=True, busctl=str(busctl))
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    assert driver.probe() == ""
    create(driver, SLICE)
    create(driver, SLICE, Limits(memory=32))
    remove(driver, SLICE)
    remove(driver, SLICE)
    manager = "call --system org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
    on = "CPUAccounting b true MemoryAccounting b true TasksAccounting b true"
    more = f"7 {on} CPUQuotaPerSecUSec t 500000 CPUQuotaPeriodUSec t 100000 MemoryMax t 67108864 TasksMax t 100"
    less = f"4 {on} MemoryMax t 33554432"
    assert calls.read_text().splitlines() == [
        f"{manager} StartTransientUnit ssa(sv)a(sa(sv)) {SLICE} fail {more} 0",
        f"{manager} StartTransientUnit ssa(sv)a(sa(sv)) {SLICE} fail {less} 0",
        f"{manager} SetUnitProperties sba(sv) {SLICE} true {less}",
        f"{manager} StopUnit ss {SLICE} replace",
    ]


def test_systemd_that_cannot_be_asked_is_a_reason_to_limit_nothing(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    driver = CgroupDriver(2, tmp_path, systemd=True, busctl="/nonexistent")

    assert driver.probe() == "systemd makes cgroups here, and there is no /nonexistent"


def test_a_slice_that_holds_processes_is_not_stopped(tmp_path: Path) -> None:
    place = tmp_path / "ecstasks.slice" / SLICE
    place.mkdir(parents=True)
    (place / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    with pytest.raises(TryAgain, match="processes are in it"):
        remove(CgroupDriver(2, tmp_path, systemd=True, busctl="/nonexistent"), SLICE)


def test_what_systemd_has_against_it_is_told(tmp_path: Path) -> None:
    busctl = tmp_path / "busctl"
    busctl.write_text("#!/bin/sh\necho 'Call failed: Access denied' >&2\nexit 1\n")
    busctl.chmod(0o755)
    with pytest.raises(GiveUp) as refused:
        create(CgroupDriver(2, tmp_path, systemd=True, busctl=str(busctl)), SLICE)
    assert refused.value.reason == f"CgroupError: systemd did not make {SLICE}: Call failed: Access denied"
    with pytest.raises(GiveUp, match=r"cannot run /nonexistent: No such file or directory \(ENOENT\)"):
        create(CgroupDriver(2, tmp_path, systemd=True, busctl="/nonexistent"), SLICE)
