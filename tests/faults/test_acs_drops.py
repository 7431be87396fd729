"""ACS closes, fails, resets, and falls silent, while tasks run and payloads arrive twice and three times.

Promised: the agent comes back under the rules of the protocol (at once after a clean end, after a wait that grows after
any other); a wire that swallows everything is noticed within one and a half times the limit of a heartbeat; what is
said again changes nothing, whether its acknowledgement was lost or not.

Time is scaled in one place: the limit of a heartbeat is 3 s here in place of 60 (1 to 20). ``make soak`` has all of it.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.bench.plane import INSTANCE
from tests.faults.hand import NEW, Ground, Session, a_ground, new_arn, payload, sleeper, stop

pytestmark = pytest.mark.docker

FASTER = int(os.environ.get("DOCKWORKER_FASTER", "20"))
LIMIT = 60.0 / FASTER
AT_ONCE, FIRST_WAIT, SECOND_WAIT = (0.0, 0.0), (0.25, 0.3), (0.375, 0.45)


def closed(code: int) -> Callable[[Session], Awaitable[object]]:
    return lambda session: session.socket.close(code=code, message=b"story")


async def reset(session: Session) -> None:
    session.reset()


async def hang_up(session: Session) -> None:
    session.transport.close()


ENDS = (
    ("close 1000", closed(1000), AT_ONCE),
    ("reset", reset, FIRST_WAIT),
    ("close 1001", closed(1001), AT_ONCE),
    ("close 1008", closed(1008), FIRST_WAIT),
    ("close 1011", closed(1011), AT_ONCE),
    ("close 4000", closed(4000), FIRST_WAIT),
    ("FIN without a close frame", hang_up, AT_ONCE),
    ("close 1002", closed(1002), FIRST_WAIT),
    ("reset once more", reset, SECOND_WAIT),
)


@pytest.mark.usefixtures("sample_image")
def test_every_end_of_a_connection_is_followed_by_the_rule_and_tasks_run_on(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async def story() -> None:
        async with a_ground(tmp_path) as ground:
            arn, session = new_arn(), await ground.ecs.session()
            await session.say("PayloadMessage", **payload("run", sleeper(arn)))
            await ground.ecs.until_told(arn, "RUNNING")
            before = await ground.containers(arn)
            for number, (name, end, (least, most)) in enumerate(ENDS, start=1):
                await ground.ecs.beat(session)
                began = time.monotonic()
                await end(session)
                session = await ground.ecs.session(number + 1)
                gap = session.began - began
                ended = await ground.until_line("acs_connection_ended", lambda _: True, after=number - 1)
                wait = ended["next_in"]
                record_property(f"{name}, seconds", round(gap, 3))
                assert least <= wait <= most, f"{name}: the agent waited {wait} s, the rule is {least} to {most}"
                assert least <= gap <= most + 1.0, f"{name}: the agent was back after {gap:.3f} s"
            assert await ground.containers(arn) == before
            assert len(ground.ecs.told(arn, "RUNNING")) == 1

    asyncio.run(story())


@pytest.mark.usefixtures("sample_image")
def test_a_wire_that_swallows_everything_is_noticed_and_what_was_said_into_it_is_said_again(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async def story() -> None:
        async with a_ground(tmp_path, faster=FASTER, DOCKWORKER_REREGISTER_WHEN_INACTIVE="true") as ground:
            runs, lost, session = new_arn(), new_arn(), await ground.ecs.session()
            await session.say("PayloadMessage", **payload("run", sleeper(runs)))
            await ground.ecs.until_told(runs, "RUNNING")
            before = await ground.containers(runs)
            await ground.ecs.beat(session)
            silent_since = time.monotonic()
            hole = ground.wire.silence()
            await session.say("PayloadMessage", **payload("lost", sleeper(lost), seq=2))

            async with asyncio.timeout(2 * LIMIT):
                await hole.given_up.wait()

            noticed = time.monotonic() - silent_since
            record_property(f"noticed after, seconds (limit {LIMIT:g})", round(noticed, 3))
            assert noticed + 0.05 >= LIMIT, f"given up after {noticed:.2f} s, before the limit of {LIMIT:g} s"
            assert noticed <= 1.5 * LIMIT, f"noticed after {noticed:.2f} s, the bound is {1.5 * LIMIT:g} s"
            fresh = await ground.ecs.session(2)
            assert await ground.containers(lost) == []
            await fresh.say("PayloadMessage", **payload("lost", sleeper(lost), seq=2))
            await ground.ecs.answer(fresh, "AckRequest", "lost")
            await ground.ecs.until_told(lost, "RUNNING")
            assert await ground.containers(runs) == before
            await becomes_a_new_instance(ground, fresh)
            assert await ground.containers(runs) == before

    asyncio.run(story())


async def becomes_a_new_instance(ground: Ground, session: Session) -> None:
    """ECS knows nothing of the instance, as after it has forgotten one; with leave to it the agent is a new one."""
    agent, sessions = ground.owner, len(ground.ecs.sessions)
    ground.ecs.not_known = INSTANCE
    session.reset()
    let_go = await ground.until_line("instance_let_go", lambda _: True)
    assert "InvalidInstanceException" in let_go["why"]
    fresh = await ground.ecs.session(sessions + 1, patience=LIMIT + 10)
    assert fresh.request.query["containerInstanceArn"] == NEW
    assert ground.owner == agent
    await ground.ecs.beat(fresh)


async def settled(ground: Ground, session: Session, seq: int) -> None:
    """Return when a task that is unknown, and is to stop, has been reported: so has all that was said before."""
    marker = new_arn()
    await session.say("PayloadMessage", **payload(f"marker-{seq}", stop(marker), seq=seq))
    await ground.ecs.until_told(marker, "STOPPED")


@pytest.mark.usefixtures("sample_image")
def test_payloads_that_come_twice_and_three_times_change_nothing_also_where_acknowledgements_were_lost(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_ground(tmp_path) as ground:
            arn, bad, session = new_arn(), new_arn(), await ground.ecs.session()
            ground.wire.silence(agent_alone=True)  # what the agent acknowledges goes nowhere
            refused = {**sleeper(bad), "memory": "much"}
            for _ in range(3):
                await session.say("PayloadMessage", **payload("run", sleeper(arn)))
                await session.say("PayloadMessage", **payload("bad", refused, seq=2))
            await ground.ecs.until_told(arn, "RUNNING")
            await ground.ecs.until_told(bad, "STOPPED")
            assert session.heard == []
            session.reset()

            session = await ground.ecs.session(2)
            for _ in range(2):
                await session.say("PayloadMessage", **payload("run", sleeper(arn)))
                await session.say("PayloadMessage", **payload("bad", refused, seq=2))
            await ground.ecs.answer(session, "AckRequest", "run", count=2)
            await settled(ground, session, 3)
            assert len(ground.ecs.told(arn, "RUNNING")) == 1
            assert len(ground.ecs.told(bad, "STOPPED")) == 1
            assert [state for _, state in await ground.containers(arn)] == ["running"]

            for _ in range(3):
                await session.say("PayloadMessage", **payload("stop", stop(arn), seq=4))
            await ground.ecs.until_told(arn, "STOPPED")
            for _ in range(2):
                await session.say("PayloadMessage", **payload("stop", stop(arn), seq=4))
                await session.say("PayloadMessage", **payload("run", sleeper(arn)))
            await ground.ecs.answer(session, "AckRequest", "stop", count=5)
            await settled(ground, session, 5)
            assert len(ground.ecs.told(arn, "STOPPED")) == 1
            assert len(await ground.containers(arn)) == 1, "a start that comes late brings nothing to life"
            told = sorted((report.task, report.status) for report in ground.ecs.reports)
            assert ground.rows_made() == len(told) == len(set(told)), "each state is written down and told once"

    asyncio.run(story())
