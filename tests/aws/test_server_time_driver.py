from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest

from agent.aws.server_time_driver import ServerTime
from tests.aws.peers import NOON

ECS, ACS = "https://ecs.example/", "https://acs.example/ws?seqNum=1"
HOUR = timedelta(hours=1)


class Clocks:
    """A wall clock that somebody sets, and a count of seconds that nobody does."""

    def __init__(self) -> None:
        self.wall = NOON
        self.seconds = 100.0
        self.there = ServerTime(lambda: self.wall, lambda: self.seconds)

    def live(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds


def date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_date_that_was_refused_is_corrected_and_stays_so_however_the_clock_is_set(by: timedelta) -> None:
    clocks = Clocks()
    clocks.wall += by
    assert clocks.there.now(ECS) == NOON + by
    assert clocks.there.refused(ECS, date(NOON))
    clocks.live(10)
    assert clocks.there.now(ECS) == NOON + timedelta(seconds=10)
    clocks.wall -= by  # it is set right: then it is what counts
    assert clocks.there.now(ECS) == clocks.wall
    clocks.wall -= by
    clocks.live(10)
    assert clocks.there.now(ECS) == NOON + timedelta(seconds=20)


def test_whoever_was_heard_once_needs_no_refusal_when_the_clock_is_set() -> None:
    clocks = Clocks()
    clocks.there.accepted(ECS, date(NOON))
    clocks.wall += HOUR
    clocks.live(60)
    assert clocks.there.now(ECS) == NOON + timedelta(seconds=60)
    assert clocks.there.now(ACS) == NOON + timedelta(seconds=60), "another endpoint, of which nothing is known"


def test_each_endpoint_has_its_own_time() -> None:
    clocks = Clocks()
    clocks.there.refused(ECS, date(NOON + HOUR))
    clocks.there.refused(ACS, date(NOON - HOUR))
    assert (clocks.there.now(ECS), clocks.there.now(ACS)) == (NOON + HOUR, NOON - HOUR)


def test_a_few_minutes_are_no_reason_and_nonsense_is_none_either() -> None:
    clocks = Clocks()
    for said in (date(NOON + timedelta(minutes=3)), date(NOON - timedelta(minutes=3)), "", "yesterday", "\udcff"):
        assert not clocks.there.refused(ECS, said)
        assert clocks.there.now(ECS) == NOON


def test_a_success_with_a_date_at_which_the_signature_was_bad_is_a_proxys() -> None:
    clocks = Clocks()
    clocks.there.accepted(ECS, date(NOON + HOUR))
    assert clocks.there.now(ECS) == NOON


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 1970 00:00:00 +9999999999999",
    ],
)
def test_a_date_that_is_out_of_all_bounds_says_nothing(date: str) -> None:
    time = ServerTime()
    time.accepted("https://ecs.example", date)
    assert not time.refused("https://ecs.example", date)
