from pathlib import PurePosixPath

import pytest

from agent.host import cgroup
from agent.model.acts import Limits

QUOTA = Limits(shares=512, quota=50_000, period=100_000, memory=64, pids=100)
SHARES = Limits(shares=512)


def test_a_quota_takes_the_place_of_shares() -> None:
    assert cgroup.v1_writes(QUOTA) == {
        "cpu": (("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "50000")),
        "memory": (("memory.limit_in_bytes", "67108864"),),
        "pids": (("pids.max", "100"),),
    }
    assert cgroup.v1_writes(SHARES) == {"cpu": (("cpu.shares", "512"),)}
    assert cgroup.v1_writes(Limits()) == {}


def test_the_same_limits_have_other_names_in_the_second_version() -> None:
    assert cgroup.v2_writes(QUOTA) == (("cpu.max", "50000 100000"), ("memory.max", "67108864"), ("pids.max", "100"))
    assert cgroup.v2_writes(SHARES) == (("cpu.weight", "20"),)
    assert cgroup.v2_writes(Limits()) == ()


def test_systemd_is_told_of_them_as_properties_with_types() -> None:
    on = (("CPUAccounting", "b", "true"), ("MemoryAccounting", "b", "true"), ("TasksAccounting", "b", "true"))
    assert cgroup.properties(QUOTA) == (
        *on,
        ("CPUQuotaPerSecUSec", "t", "500000"),
        ("CPUQuotaPeriodUSec", "t", "100000"),
        ("MemoryMax", "t", "67108864"),
        ("TasksMax", "t", "100"),
    )
    assert cgroup.properties(SHARES) == (*on, ("CPUWeight", "t", "20"))


@pytest.mark.parametrize(("shares", "weight"), [(0, 1), (2, 1), (1024, 39), (262_144, 10_000), (10**9, 10_000)])
def test_shares_are_stretched_over_the_weights(shares: int, weight: int) -> None:
    assert cgroup.weight(shares) == weight


@pytest.mark.parametrize("path", ["/ecs/0123abcd", "ecs/0123abcd", "/a/b/c.d"])
def test_a_path_below_a_controller_is_taken(path: str) -> None:
    assert cgroup.folders(path) == PurePosixPath(path.lstrip("/"))


@pytest.mark.parametrize("path", ["", "/", "/ecs", "/ecs/", "/ecs/..", "/../x", "/ecs/../../x", "/ecs//x", "/ecs/x\n"])
def test_a_path_that_leads_elsewhere_or_to_all_tasks_is_not(path: str) -> None:
    assert cgroup.folders(path) is None


def test_a_slice_stands_in_the_slices_of_its_name() -> None:
    assert cgroup.is_slice("ecstasks-0123abcd.slice")
    assert cgroup.slice_folders("ecstasks-0123abcd.slice") == PurePosixPath("ecstasks.slice/ecstasks-0123abcd.slice")
    for path in ("", ".slice", "a/b.slice", "../a.slice", "a-.slice", "a.slice\n", "a.service", "-.slice"):
        assert not cgroup.is_slice(path)
