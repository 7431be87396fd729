"""Network interfaces that appear on the host after ECS has announced them, and an agent that is killed meanwhile.

Promised: what ECS was told is acknowledged is not forgotten; each interface that comes in time is told of once.
"""

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.store.journal_driver import FILE_NAME
from tests.bench.plane import ACCOUNT, CLUSTER, INSTANCE
from tests.faults.hand import CLUSTER_ARN, Ground, Hand, Session, a_ground, new_arn, payload, stop
from tests.host.veth import a_link, a_mac
from tests.stories.house import until
from tests.wire.matrix import interface

pytestmark = pytest.mark.docker

TASK_MESSAGE, INSTANCE_MESSAGE = "AttachTaskNetworkInterfacesMessage", "AttachInstanceNetworkInterfacesMessage"


def attach(name: str, mac: str, wait_ms: int = 300_000, **more: object) -> dict[str, Any]:
    names = {"messageId": name, "clusterArn": CLUSTER_ARN, "containerInstanceArn": INSTANCE, **more}
    found = {**interface(name, mac), "attachmentArn": f"{ACCOUNT}:attachment/{name}"}
    return {**names, "waitTimeoutMs": wait_ms, "elasticNetworkInterfaces": [found]}


def is_settled(ground: Ground, told: int) -> bool:
    """Does the disk know that so many attachments were told of, and that ECS has heard all that there was to tell?

    A disk that is slow is behind, and what it has not heard of is told again after a kill.
    """
    with closing(sqlite3.connect(f"file:{ground.data / FILE_NAME}?mode=ro", uri=True)) as journal:
        (waiting,) = journal.execute("SELECT count(*) FROM outbox").fetchone()
        rows = [json.loads(row) for (row,) in journal.execute("SELECT row FROM attachments")]
        return not waiting and sum(row["told"] for row in rows) == told


async def told_all(ecs: Hand, session: Session) -> None:
    """All that was said before has been read, decided and told."""
    marker = new_arn()
    await session.say("PayloadMessage", **payload(marker, stop(marker)))
    await ecs.until_told(marker, "STOPPED")


def test_an_interface_that_was_acknowledged_is_told_of_once_though_the_agent_is_killed_before_and_after(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_ground(tmp_path) as ground:
            ecs, session = ground.ecs, await ground.ecs.session()
            task, one, two = new_arn(), a_mac(), a_mac()
            for_task = attach("one", one, taskArn=task, taskClusterArn=CLUSTER_ARN)
            await session.say(TASK_MESSAGE, **for_task)
            await session.say(INSTANCE_MESSAGE, **attach("two", two.upper()))
            await ecs.answer(session, "AckRequest", "one")
            await ecs.answer(session, "AckRequest", "two")

            await asyncio.to_thread(ground.agent.end, signal.SIGKILL)
            assert ecs.attached == []
            ground.agent.start()
            with a_link(one):
                told = await ecs.until_attached(f"{ACCOUNT}:attachment/one")
                state = [{"attachmentArn": f"{ACCOUNT}:attachment/one", "status": "ATTACHED"}]
                assert told == ("SubmitTaskStateChange", {"cluster": CLUSTER, "task": task, "attachments": state})
                await asyncio.to_thread(until, lambda: is_settled(ground, 1), "what was told to be on the disk")
                await asyncio.to_thread(ground.agent.end, signal.SIGKILL)
                ground.agent.start()
                session = await ecs.session(3)
                await session.say(TASK_MESSAGE, **for_task)
                await ecs.answer(session, "AckRequest", "one")
                with a_link(two):
                    told = await ecs.until_attached(f"{ACCOUNT}:attachment/two")
                    state = [{"attachmentArn": f"{ACCOUNT}:attachment/two", "status": "ATTACHED"}]
                    assert told == ("SubmitAttachmentStateChanges", {"cluster": CLUSTER, "attachments": state})
                    await told_all(ecs, session)
            assert len(ecs.attached) == 2, "each once"

    asyncio.run(story())


def test_an_interface_that_comes_when_its_time_is_up_is_not_told_of(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_ground(tmp_path) as ground:
            ecs, session = ground.ecs, await ground.ecs.session()
            late, in_time = a_mac(), a_mac()
            await session.say(INSTANCE_MESSAGE, **attach("late", late, wait_ms=1))
            await ecs.answer(session, "AckRequest", "late")
            await session.say(INSTANCE_MESSAGE, **attach("in-time", in_time))
            with a_link(late), a_link(in_time):
                await ecs.until_attached(f"{ACCOUNT}:attachment/in-time")
                await told_all(ecs, session)
            assert len(ecs.attached) == 1

    asyncio.run(story())
