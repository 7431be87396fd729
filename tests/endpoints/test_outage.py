"""A day on which ECS is away again and again, and an agent that is started again and again."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import pytest

from agent.acs.renewal import Renewal
from agent.endpoints.calls import Answer
from tests.endpoints.test_credentials_desk import NOON, Room, values

STEP = timedelta(seconds=30)
DAY = timedelta(hours=24)
RESTARTS = 100
LIFE = timedelta(hours=1)


@dataclass
class Ecs:
    """Sends credentials to whoever connects and asks for them; never by itself. Away half of the time."""

    chance: random.Random
    away: bool = False
    changes_at: datetime = NOON
    sent: int = 0

    def is_away(self, now: datetime) -> bool:
        if now >= self.changes_at:
            self.away = not self.away
            self.changes_at = now + timedelta(minutes=self.chance.uniform(5, 120))
        return self.away

    def send(self, room: Room) -> None:
        self.sent += 1
        for one in ("app/1", "exec", "bank"):
            room.vault.put(values(one, f"{room.now + LIFE:%Y-%m-%dT%H:%M:%SZ}"))


@dataclass
class Process:
    """One life of the agent."""

    room: Room
    is_connected: bool = False
    renewal: Renewal = field(default_factory=Renewal)

    def step(self, ecs: Ecs, seconds: float) -> None:
        """Half a minute: a heartbeat comes, or there is nobody to connect to."""
        if ecs.is_away(self.room.now):
            self.is_connected = False
            return
        lacks = self.room.vault.is_missing_any()
        if not self.is_connected or self.renewal.is_due(seconds, lacks=lacks):
            self.is_connected = True
            if lacks:
                ecs.send(self.room)


def born(now: datetime) -> Process:
    """The rows are on the disk, the values are not."""
    room = Room(now=now)
    room.vault.forget([])
    for one in ("app/1", "exec", "bank"):
        del room.vault._values[one]
    return Process(room)


def is_whole(answer: Answer, now: datetime) -> bool:
    """Are these values that an SDK can sign with?"""
    body = msgspec.json.decode(answer.body, type=dict[str, str])
    return all(body.values()) and datetime.fromisoformat(body["Expiration"]) > now


@pytest.mark.parametrize("seed", [1, 2])
def test_nobody_is_given_what_has_expired_or_is_empty(seed: int) -> None:
    chance = random.Random(seed)
    ecs, agent = Ecs(chance), born(NOON)
    steps = int(DAY / STEP)
    restarts = set(chance.sample(range(1, steps), RESTARTS))
    given, waited = Counter[int](), 0
    for step in range(steps):
        now = NOON + step * STEP
        if step in restarts:
            agent = born(now)
        agent.room.now = now
        agent.step(ecs, step * STEP.total_seconds())
        answer = agent.room.ask("/v2/credentials/app/1")
        assert answer is not None
        given[answer.status] += 1
        assert answer.status == 503 or is_whole(answer, now), "expired, or empty"
        assert answer.status == 200 or answer.headers == {"Retry-After": "1"}
        waited = 0 if answer.status == 200 or ecs.away else waited + 1
        assert waited <= 6, "ECS is there, and nobody asks it"

    assert set(given) == {200, 503}
    assert given.total() == steps
    assert given[200] > given[503]
    assert ecs.sent < RESTARTS + DAY / LIFE * 4


def test_a_day_of_it_asks_ecs_now_and_then_where_it_never_answers() -> None:
    agent = born(NOON)
    asked = 0
    for step in range(int(DAY / STEP)):
        agent.room.now = NOON + step * STEP
        asked += agent.renewal.is_due(step * STEP.total_seconds(), lacks=agent.room.vault.is_missing_any())

    assert 48 <= asked <= 52
