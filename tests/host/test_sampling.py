from pathlib import PurePosixPath

import pytest

from agent.host.sampling import Raw, Runs, groups_of, interfaces, io_v1, io_v2, keyed, level, places_of
from agent.model.figures import Interface
from agent.model.names import DockerId
from tests.host.kernel_files import ID, IO_STAT, MEMORY_STAT, NET_DEV, V1_GROUPS

ME = DockerId(ID)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"0::/docker/{ID}\n", f"/docker/{ID}"),
        (f"0::/system.slice/docker-{ID}.scope\n", f"/system.slice/docker-{ID}.scope"),
        (f"0::/system.slice/docker-{ID}.scope/init.scope\n", f"/system.slice/docker-{ID}.scope"),
        (f"0::/ecs.slice/ecs-0123.slice/docker-{ID}.scope\n", f"/ecs.slice/ecs-0123.slice/docker-{ID}.scope"),
        (f"0::/../../ecs/0123/{ID}/a:b\n", f"/../../ecs/0123/{ID}"),
    ],
)
def test_a_container_of_version_2_is_where_its_own_directory_is(text: str, place: str) -> None:
    assert groups_of(text, ME) == {"": PurePosixPath(place)}


def test_a_group_that_is_not_named_for_the_container_is_none_of_its() -> None:
    assert groups_of("0::/user.slice/app.scope\n", ME) == {}
    assert "" not in groups_of(V1_GROUPS.format(id=ID), ME)


def test_each_controller_of_version_1_has_a_place() -> None:
    found = groups_of(V1_GROUPS.format(id=ID), ME)

    assert {found[name] for name in ("cpu", "cpuacct", "memory", "blkio")} == {PurePosixPath(f"/docker/{ID}")}


def test_a_path_may_begin_further_up_than_the_tree_that_is_seen_but_never_is_it_the_whole_tree() -> None:
    assert [str(one) for one in places_of(PurePosixPath("/../docker/a/b"))] == ["docker/a/b", "a/b", "b"]
    assert not list(places_of(PurePosixPath("/")))


def test_numbers_are_found_by_their_whole_name() -> None:
    assert keyed(MEMORY_STAT, b"anon") == 20971520
    assert keyed(MEMORY_STAT, b"inactive_file") == 4194304
    assert keyed(MEMORY_STAT, b"active_file") == 4194304
    assert keyed(MEMORY_STAT, b"file") == 8388608
    assert keyed(MEMORY_STAT, b"cache") is None
    assert keyed(b"cache 7", b"cache") == 7
    assert keyed(b"cache x\n", b"cache") is None
    assert keyed(b"", b"cache") is None


def test_memory_that_can_be_dropped_does_not_count_where_it_is_less_than_all() -> None:
    assert [level(10, 3), level(10, 10), level(10, 11), level(10, None)] == [7, 10, 10, 10]


def test_bytes_of_all_devices_are_added() -> None:
    assert io_v2(IO_STAT) == (45056, 8192)
    assert io_v1(b"8:0 READ 5\n8:0 write 7\n8:16 Read 1\n8:0 Discard 9\n8:0 Total 12\nTotal 13\n") == (6, 7)
    assert io_v1(b"Total 0\n") == io_v2(b"") == (0, 0)


def test_interfaces_are_read_without_the_loopback() -> None:
    assert interfaces(NET_DEV) == {
        "eth0": Interface(81920, 610, 1, 2, 40960, 420, 3, 4),
        "eth1": Interface(1234567890123, 7, 0, 0, 8, 9, 0, 0),
    }


def test_counters_go_on_over_restarts_and_levels_do_not() -> None:
    runs = Runs("first")
    runs.take("first", Raw(100, 50, 10, 20, {"eth0": Interface(rx_bytes=7, tx_dropped=1)}))
    after = runs.take("second", Raw(5, 60, 1, 2, {"eth0": Interface(rx_bytes=3), "eth1": Interface(rx_bytes=9)}))
    same = runs.take("second", Raw(6, 61, 1, 2, {"eth0": Interface(rx_bytes=4)}))
    third = runs.take("third", Raw(1, 1))

    network = {"eth0": Interface(rx_bytes=10, tx_dropped=1), "eth1": Interface(rx_bytes=9)}
    assert after == Raw(105, 60, 11, 22, network)
    assert same == Raw(106, 61, 11, 22, {"eth0": Interface(rx_bytes=11, tx_dropped=1)})
    assert third == Raw(107, 1, 11, 22, {"eth0": Interface(rx_bytes=11, tx_dropped=1)})


def test_a_container_without_a_network_of_its_own_has_none_after_a_restart_either() -> None:
    runs = Runs(1)
    runs.take(1, Raw(1))

    assert runs.take(2, Raw(1)).network is None
