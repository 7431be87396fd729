from collections.abc import Sequence
from itertools import pairwise

from agent.acs.renewal import FIRST, LAST, Renewal


def asked(lacks: Sequence[bool], every: float = 10.0) -> list[float]:
    """When ACS is asked again, where something lacks or not each time that it is looked at."""
    renewal = Renewal()
    return [at * every for at, one in enumerate(lacks) if renewal.is_due(at * every, lacks=one)]


def test_where_nothing_lacks_nothing_is_asked_for() -> None:
    assert asked([False] * 1000) == []


def test_what_lacks_is_waited_for_a_while_and_then_asked_for_once() -> None:
    assert asked([True] * 7 + [False] * 100) == [FIRST]


def test_what_comes_by_itself_meanwhile_is_not_asked_for() -> None:
    assert asked(([True] * 6 + [False]) * 100) == []


def test_who_never_sends_it_is_asked_less_and_less_often() -> None:
    times = asked([True] * 3000)

    assert times[:4] == [60, 60 + 180, 60 + 180 + 540, 60 + 180 + 540 + 1620]
    assert all(later - sooner == LAST for sooner, later in pairwise(times[3:]))


def test_the_next_lack_is_a_new_one() -> None:
    assert asked([True] * 60 + [False] + [True] * 7) == [60, 240, 670]
