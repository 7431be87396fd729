import asyncio
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.host.sampler_driver import SamplerDriver
from agent.model.figures import Interface, Sample, Watched
from agent.model.names import DockerId
from tests.host.kernel_files import ID, NET_DEV, V1_GROUPS, a_group, a_process, v1_groups

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ME = DockerId(ID)
SCOPE = f"system.slice/docker-{ID}.scope"
NETWORK = {
    "eth0": Interface(81920, 610, 1, 2, 40960, 420, 3, 4),
    "eth1": Interface(1234567890123, 7, 0, 0, 8, 9, 0, 0),
}


class Host:
    """A host whose files of the kernel are those of the test."""

    def __init__(self, folder: Path) -> None:
        self.root, self.proc = folder / "cgroup", folder / "proc"
        self.root.mkdir()
        self.driver = SamplerDriver(self.root, self.proc, clock=lambda: NOW)

    def look(self, *watched: Watched) -> Mapping[DockerId, Sample]:
        return asyncio.run(self.driver.sample(watched))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("group", [f"docker/{ID}", SCOPE, f"ecs.slice/ecs-01.slice/docker-{ID}.scope", f"ecs/01/{ID}"])
def test_a_container_of_version_2_is_measured(host: Host, group: str) -> None:
    a_group(host.root / group)
    a_process(host.proc, 77, f"0::/{group}\n")

    assert host.look(Watched(ME, 77)) == {ME: Sample(NOW, ME, 912345000, 27262976, 45056, 8192, NETWORK)}
    host.driver.close()


def test_a_container_that_runs_systemd_is_measured_as_a_whole(host: Host) -> None:
    a_group(host.root / SCOPE)
    a_group(host.root / SCOPE / "init.scope").joinpath("memory.current").write_text("4096\n")
    a_process(host.proc, 77, f"0::/{SCOPE}/init.scope\n")

    assert host.look(Watched(ME, 77))[ME].memory == 27262976
    host.driver.close()


def test_a_container_of_version_1_is_measured_where_controllers_share_a_mount(host: Host) -> None:
    v1_groups(host.root, f"docker/{ID}")
    a_process(host.proc, 77, V1_GROUPS.format(id=ID))

    assert host.look(Watched(ME, 77)) == {ME: Sample(NOW, ME, 912345678, 2097152, 45056, 8192, NETWORK)}
    host.driver.close()


def test_a_tree_that_is_seen_from_inside_another_cgroup_is_read_too(host: Host) -> None:
    a_group(host.root / "docker" / ID)
    a_process(host.proc, 77, f"0::/kubepods/pod1/docker/{ID}\n")

    assert host.look(Watched(ME, 77))[ME].cpu == 912345000
    host.driver.close()


def test_block_devices_that_nobody_counts_and_a_shared_network_are_left_out(host: Host) -> None:
    a_group(host.root / SCOPE, without=("io.stat",))
    a_process(host.proc, 77, f"0::/{SCOPE}\n")

    assert host.look(Watched(ME, 77, shares_network=True)) == {ME: Sample(NOW, ME, 912345000, 27262976)}
    host.driver.close()


def test_many_interfaces_are_all_read(host: Host) -> None:
    many = b"".join(b"veth%04d: 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" % number for number in range(4000))
    a_group(host.root / SCOPE)
    a_process(host.proc, 77, f"0::/{SCOPE}\n", NET_DEV + many)

    assert len(host.look(Watched(ME, 77))[ME].network or ()) == 4002
    host.driver.close()


def test_one_that_has_ended_is_left_out_and_the_others_are_measured(host: Host) -> None:
    other = DockerId("b" * 64)
    for one, pid in ((ID, 77), (str(other), 78)):
        a_group(host.root / "docker" / one)
        a_process(host.proc, pid, f"0::/docker/{one}\n")
    both = Watched(ME, 77), Watched(other, 78)
    sharing = Watched(ME, 77, shares_network=True)
    assert set(host.look(*both, sharing)) == {ME, other}
    shutil.rmtree(host.proc / "77")

    assert set(host.look(*both, sharing)) == {other}
    assert not host.look(Watched(DockerId("c" * 64), 79))
    host.driver.close()


def test_another_process_of_the_same_number_is_not_taken_for_the_container(host: Host) -> None:
    a_group(host.root / SCOPE)
    a_process(host.proc, 77, f"0::/{SCOPE}\n")
    watched = Watched(ME, 77)
    assert host.look(watched)

    shutil.rmtree(host.proc / "77")
    a_process(host.proc, 77, "0::/\n")

    assert not host.look(watched)
    host.driver.close()


@pytest.mark.parametrize("other", [f"docker/{'b' * 64}", "system.slice/ssh.service"])
def test_a_process_of_another_group_is_not_taken_for_the_container(host: Host, other: str) -> None:
    a_group(host.root / other)
    a_process(host.proc, 77, f"0::/{other}\n")

    with capture_logs() as lines:
        assert not host.look(Watched(ME, 77))

    assert [line["event"] for line in lines] == ["container_not_measured"]
    host.driver.close()


def test_a_container_whose_cgroup_is_nowhere_is_said_once(host: Host) -> None:
    a_process(host.proc, 77, "0::/elsewhere\n")

    with capture_logs() as lines:
        host.look(Watched(ME, 77))
        host.look(Watched(ME, 77))

    assert [line["event"] for line in lines] == ["container_not_measured"]


def test_counters_go_on_when_a_container_is_started_again(host: Host) -> None:
    a_group(host.root / SCOPE)
    a_process(host.proc, 77, f"0::/{SCOPE}\n")
    a_process(host.proc, 78, f"0::/{SCOPE}\n")
    first = host.look(Watched(ME, 77, since="1"))[ME]
    shutil.rmtree(host.proc / "77")

    second = host.look(Watched(ME, 78, since="2"))[ME]

    assert (second.cpu, second.read_bytes, second.memory) == (2 * first.cpu, 2 * first.read_bytes, first.memory)
    assert second.network is not None
    assert second.network["eth0"].rx_bytes == 2 * 81920
    host.driver.close()


def test_the_network_of_a_task_counts_on_by_itself_when_a_container_is_started_again(host: Host) -> None:
    a_group(host.root / SCOPE)
    a_process(host.proc, 77, f"0::/{SCOPE}\n")
    a_process(host.proc, 78, f"0::/{SCOPE}\n")
    first = host.look(Watched(ME, 77, since="1", keeps_network=True))[ME]

    second = host.look(Watched(ME, 78, since="2", keeps_network=True))[ME]

    assert (second.cpu, second.network) == (2 * first.cpu, NETWORK)
    host.driver.close()


def test_nothing_is_held_of_containers_that_are_watched_no_more(host: Host) -> None:
    a_group(host.root / SCOPE)
    a_process(host.proc, 77, f"0::/{SCOPE}\n")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- names alone
    host.look(Watched(ME, 77))
    assert len(os.listdir("/proc/self/fd")) == before + 1  # noqa: PTH208

    host.look()

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
