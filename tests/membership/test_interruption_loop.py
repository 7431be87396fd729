"""Notices that an instance will be taken away, and what ECS is told of them."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from agent.config.settings import Settings
from agent.membership.interruption_loop import RECOMMENDED, Interruptions, spot_reason
from agent.model.errors import GiveUp, TryAgain
from agent.model.identity import Identity

TERMINATE = '{"action": "terminate", "time": "2026-01-15T12:02:00Z"}'
SPOT, REBALANCE = Settings(spot_instance_draining=True), Settings(rebalance_draining=True)
ALL = Settings(spot_instance_draining=True, rebalance_draining=True)
HERE = Identity("agent", "demo", "arn:instance")
DRAINED = [("demo", "arn:instance", "DRAINING")]

Said = str | TryAgain | GiveUp


class _OverError(Exception):
    """There is nothing more to see."""


@dataclass
class House:
    """An EC2 that announces one thing after the other, and an ECS that answers as it is told. The last word stays."""

    spot: deque[Said] = field(default_factory=lambda: deque([""]))
    rebalance: deque[Said] = field(default_factory=lambda: deque([""]))
    answers: deque[Said] = field(default_factory=lambda: deque([""]))
    identity: Identity = HERE
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    looks: int = 0
    most: int = 50

    async def spot_action(self) -> str:
        self.looks += 1
        return _next(self.spot)

    async def rebalance_recommendation(self) -> str:
        return _next(self.rebalance)

    async def target_lifecycle_state(self) -> str:
        raise AssertionError("nobody asks")

    async def set_state(self, cluster: str, instance_arn: str, status: str) -> str:
        self.calls.append((cluster, instance_arn, status))
        return _next(self.answers)

    async def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) == self.most:
            raise _OverError

    def live(self, settings: Settings) -> None:
        asyncio.run(Interruptions(settings, self, self, self, pause=self.pause).run())


def _next(said: deque[Said]) -> str:
    one = said.popleft() if len(said) > 1 else said[0]
    if isinstance(one, str):
        return one
    raise one


@pytest.mark.parametrize("action", ["terminate", "stop", "hibernate"])
def test_each_way_to_be_taken_away_is_known(action: str) -> None:
    assert f"will {action} this" in spot_reason(f'{{"action": "{action}", "time": "2026-01-15T12:02:00Z"}}')


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"action": "reboot"}', '{"action": 1}'])
def test_another_notice_means_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"the (notice|action)"):
        spot_reason(text)


def test_each_second_is_looked_and_the_instance_drained_once() -> None:
    house = House(spot=deque(["", "", TERMINATE]))

    house.live(SPOT)

    assert house.waits == [1.0, 1.0]
    assert house.looks == 3
    assert house.calls == DRAINED


def test_the_first_look_is_at_once() -> None:
    house = House(spot=deque([TERMINATE]))
    house.live(SPOT)
    assert (house.waits, house.calls) == ([], DRAINED)


def test_ecs_is_told_each_second_until_it_has_done_it_and_its_refusals_are_read() -> None:
    house = House(spot=deque([TERMINATE]), answers=deque([TryAgain("away"), "MISSING", ""]))

    with capture_logs() as lines:
        house.live(SPOT)

    assert house.calls == DRAINED * 3
    assert house.waits == [1.0, 1.0]
    assert [line["reason"] for line in lines if line["event"] == "instance_not_drained"] == ["away", "MISSING"]


@pytest.mark.parametrize("bad", [TryAgain("status 503"), "{", '{"action": "reboot", "time": ""}'])
def test_what_cannot_be_read_is_said_once_and_looked_at_again(bad: Said) -> None:
    house = House(spot=deque([bad, bad, "", bad, TERMINATE]))

    with capture_logs() as lines:
        house.live(SPOT)

    assert len([line for line in lines if line["event"] == "interruption_notice_unknown"]) == 2
    assert house.calls == DRAINED


@pytest.mark.parametrize("settings", [Settings(), Settings(spot_instance_draining=True, external=True)])
def test_nobody_looks_unless_the_operator_wants_it_and_there_is_ec2(settings: Settings) -> None:
    house = House(spot=deque([TERMINATE]), rebalance=deque(["{}"]))
    house.live(settings)
    assert (house.looks, house.calls, house.waits) == (0, [], [])


def test_a_recommendation_counts_only_where_the_operator_says_so() -> None:
    quiet = House(rebalance=deque(["{}"]), most=3)
    with pytest.raises(_OverError):
        quiet.live(SPOT)
    assert quiet.calls == []

    house = House(rebalance=deque(["", "{}"]))
    with capture_logs() as lines:
        house.live(REBALANCE)
    assert (house.looks, house.calls) == (0, DRAINED)
    assert RECOMMENDED in [line.get("reason") for line in lines]


def test_of_two_notices_one_that_cannot_be_had_does_not_hide_the_other() -> None:
    house = House(spot=deque([TryAgain("status 500")]), rebalance=deque(["", "{}"]))
    house.live(ALL)
    assert house.calls == DRAINED

    house = House(spot=deque(["", TERMINATE]), rebalance=deque([TryAgain("status 500")]))
    house.live(ALL)
    assert house.calls == DRAINED


def test_where_no_notice_ever_comes_one_line_says_so() -> None:
    house = House(spot=deque([GiveUp("NoInstanceMetadata", "there is no service")]))
    with capture_logs() as lines:
        house.live(SPOT)
    assert [line["event"] for line in lines] == ["interruptions_not_watched"]


def test_a_notice_that_is_refused_may_be_had_later_and_hides_no_other() -> None:
    refused = GiveUp("InstanceMetadataRefused", "status 401")
    house = House(spot=deque([refused, refused, TERMINATE]))
    with capture_logs() as lines:
        house.live(SPOT)
    assert house.calls == DRAINED
    assert len([line for line in lines if line["event"] == "interruption_notice_unknown"]) == 1

    house = House(spot=deque(["", TERMINATE]), rebalance=deque([refused]))
    house.live(ALL)
    assert house.calls == DRAINED


def test_whoever_the_instance_is_by_then_is_drained() -> None:
    house = House(spot=deque([TERMINATE]), answers=deque(["no", ""]))
    pause = house.pause

    async def renewed(seconds: float) -> None:
        house.identity = Identity("agent", "demo", "arn:new")
        await pause(seconds)

    house.pause = renewed  # type: ignore[method-assign]
    house.live(SPOT)
    assert [call[1] for call in house.calls] == ["arn:instance", "arn:new"]


def test_an_instance_that_is_registered_anew_after_it_was_drained_is_drained_too() -> None:
    house = House(rebalance=deque(["{}"]), most=4)
    pause = house.pause

    async def renewed(seconds: float) -> None:
        if len(house.waits) == 1:
            house.identity = Identity("agent", "demo", "arn:new")
        await pause(seconds)

    house.pause = renewed  # type: ignore[method-assign]
    with pytest.raises(_OverError):
        house.live(Settings(rebalance_draining=True, reregister_when_inactive=True))
    assert [call[1] for call in house.calls] == ["arn:instance", "arn:new"]
