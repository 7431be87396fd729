"""The wait of an instance that its Auto Scaling group keeps ready."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import pytest

from agent.config.settings import Settings
from agent.membership.warm_pool_loop import in_service
from agent.model.errors import Fatal, GiveUp, TryAgain

WARM = Settings(warm_pools_check=True)
Said = str | TryAgain | GiveUp


@dataclass
class Group:
    """An Auto Scaling group that says one thing after the other; its last word stays."""

    says: deque[Said]
    waits: list[float] = field(default_factory=list)
    looks: int = 0

    async def target_lifecycle_state(self) -> str:
        self.looks += 1
        one = self.says.popleft() if len(self.says) > 1 else self.says[0]
        if isinstance(one, str):
            return one
        raise one

    async def spot_action(self) -> str:
        raise AssertionError("nobody asks")

    rebalance_recommendation = spot_action

    async def pause(self, seconds: float) -> None:
        self.waits.append(seconds)

    def live(self, settings: Settings = WARM) -> None:
        asyncio.run(in_service(settings, self, self.pause))


def test_an_instance_in_service_is_not_held_up() -> None:
    group = Group(deque(["InService"]))
    group.live()
    assert (group.looks, group.waits) == (1, [])


def test_a_warm_instance_waits_minute_by_minute_as_long_as_it_takes() -> None:
    group = Group(deque(["", "Warmed:Stopped", *["Warmed:Running"] * 500, "", "InService"]))
    group.live()
    assert group.waits == [60.0] * 503


def test_a_group_that_never_says_a_word_is_given_two_hours() -> None:
    group = Group(deque([""]))
    with pytest.raises(Fatal, match=r"ECS_WARM_POOLS_CHECK: no Auto Scaling group .* 120 minutes") as caught:
        group.live()
    assert caught.value.exit_code == 5
    assert (group.looks, len(group.waits)) == (120, 119)


def test_a_service_that_is_away_for_a_moment_ends_nothing() -> None:
    group = Group(deque([TryAgain("status 503"), "Warmed:Running", TryAgain("status 500"), "InService"]))
    group.live()
    assert len(group.waits) == 3


def test_where_nobody_can_say_it_the_end_is_for_good() -> None:
    group = Group(deque([GiveUp("InstanceMetadataRefused", "answered with status 403")]))
    with pytest.raises(Fatal, match=r"ECS_WARM_POOLS_CHECK: .* status 403") as caught:
        group.live()
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(warm_pools_check=True, external=True),
        Settings(warm_pools_check=True, imds_disabled=True),
    ],
)
def test_who_cannot_be_in_a_warm_pool_asks_nobody(settings: Settings) -> None:
    group = Group(deque(["Warmed:Running"]))
    group.live(settings)
    assert group.looks == 0
