from math import isnan

import pytest

from agent.model.figures import Interface
from agent.tcs.ring import CAPACITY, Ring, total
from tests.tcs.rows import MIB, a_sample

SECOND = 10**9


def filled(count: int) -> Ring:
    ring = Ring()
    for second in range(count):
        ring.add(a_sample(second, second * SECOND), processors=4)
    return ring


def numbers(ring: Ring) -> tuple[list[int], list[int]]:
    told, fresh = ring.split()
    return [one.number for one in told], [one.number for one in fresh]


def test_the_processor_is_told_in_per_cent_of_the_whole_host() -> None:
    ring = Ring()
    ring.add(a_sample(0, 0), processors=4)
    ring.add(a_sample(1, 4 * SECOND), processors=4)
    ring.add(a_sample(3, 5 * SECOND + 3), processors=4)

    assert isnan(ring.entries[0].cpu)
    assert [one.cpu for one in ring.entries][1:] == [100, 12.5]


def test_memory_is_told_in_whole_mebibytes() -> None:
    ring = Ring()
    ring.add(a_sample(0, memory=3 * MIB - 1), processors=1)

    assert ring.entries[0].memory == 2


def test_rates_are_bytes_a_second() -> None:
    ring = Ring()
    for second, rx, tx in ((0, 100, 7), (2, 500, 8), (4, 500, 9)):
        ring.add(a_sample(second, rx=rx, tx=tx), processors=1)

    assert [(one.rx_rate, one.tx_rate) for one in ring.entries][1:] == [(200, 0.5), (0, 0.5)]


def test_where_a_network_was_not_read_there_is_no_rate() -> None:
    ring = Ring()
    ring.add(a_sample(0, rx=5), processors=1)
    ring.add(a_sample(1), processors=1)
    ring.add(a_sample(2, rx=9), processors=1)

    assert all(isnan(one.rx_rate) and isnan(one.tx_rate) for one in ring.entries)


def test_counters_that_went_back_have_no_rate() -> None:
    ring = Ring()
    for second, count in enumerate((500, 400, 700)):  # a network was taken away, and another one given
        ring.add(a_sample(second, count, rx=count, tx=count), processors=1)

    told = [(one.cpu, one.rx_rate, one.tx_rate) for one in ring.entries]
    assert [[isnan(value) for value in values] for values in told] == [[True] * 3, [True] * 3, [False] * 3]
    assert told[2][1:] == (300, 300)


def test_a_clock_that_was_set_back_repeats_what_was_known() -> None:
    ring = filled(3)
    ring.add(a_sample(-3600, 9 * SECOND), processors=4)
    ring.add(a_sample(-3599, 10 * SECOND), processors=4)

    assert [one.cpu for one in ring.entries][1:] == [25, 25, 25, 25]


@pytest.mark.parametrize("before", [1, 5])
def test_a_sample_is_fresh_until_it_is_told(before: int) -> None:
    ring = filled(before)
    ring.sent(before)
    ring.add(a_sample(50), processors=4)
    ring.add(a_sample(51), processors=4)

    assert numbers(ring) == (list(range(max(1, before - 1), before + 1)), [before + 1, before + 2])

    ring.sent(before + 1)

    assert numbers(ring) == ([before, before + 1], [before + 2]) if before > 1 else numbers(ring)[1] == [3]


def test_what_cannot_be_told_is_kept_as_far_as_there_is_room() -> None:
    ring = filled(CAPACITY + 30)

    assert numbers(ring) == ([], list(range(31, CAPACITY + 31)))

    ring.sent(40)

    assert numbers(ring) == ([39, 40], list(range(41, CAPACITY + 31)))


def test_all_interfaces_count_but_the_one_by_which_a_task_reaches_the_agent() -> None:
    one, other = Interface(1, 2, 3, 4, 5, 6, 7, 8), Interface(10, 20, 30, 40, 50, 60, 70, 80)

    assert total({"eth0": one, "eth1": other, "ecs-eth0": one}) == Interface(11, 22, 33, 44, 55, 66, 77, 88)
    assert total({"eth0": one, "ecs-eth0": other}) == one
    assert total({}) == Interface()
    assert total(None) is None
