"""ECS's list of tasks, and what becomes of those that are not on it; and an agent that has lost what it knew.

Promised: nothing is stopped for not being on a list, only for being named in ECS's answer to the agent's question; a
list counts once and only if it is newer than every one before, also across a crash; what an agent has lost with its
disk it gets again.
"""

import asyncio
import json
import signal
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.journal_driver import FILE_NAME
from tests.bench.plane import INSTANCE
from tests.faults.hand import CLUSTER_ARN, Ground, Session, a_ground, listed, new_arn, payload, sleeper, stop
from tests.sample_image import SAMPLE
from tests.stories.house import a_house, containers, until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

ACK, ASKS, ANSWER = "AckRequest", "TaskStopVerificationMessage", "TaskStopVerificationAck"


async def say_list(session: Session, number: int, *tasks: Mapping[str, str]) -> str:
    name = f"list-{number}"
    names = {"messageId": name, "clusterArn": CLUSTER_ARN, "containerInstanceArn": INSTANCE}
    await session.say("TaskManifestMessage", **names, timeline=number, tasks=tasks)
    return name


async def run(ground: Ground, session: Session, seq: int) -> str:
    arn = new_arn()
    await session.say("PayloadMessage", **payload(f"run-{seq}", sleeper(arn), seq=seq))
    await ground.ecs.until_told(arn, "RUNNING")
    return arn


def answers(session: Session, name: str) -> list[str]:
    return [kind for kind, message in session.heard if message.get("messageId") == name]


async def settled(ground: Ground, session: Session) -> None:
    """All that was said before has been read, decided and reported."""
    marker = new_arn()
    await session.say("PayloadMessage", **payload(marker, stop(marker)))
    await ground.ecs.until_told(marker, "STOPPED")
    await ground.ecs.beat(session)


def test_only_what_ecs_names_in_its_answer_is_stopped_and_a_list_counts_once_also_across_a_crash(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_ground(tmp_path) as ground:
            ecs, session = ground.ecs, await ground.ecs.session()
            kept, given_up, forgotten = [await run(ground, session, seq) for seq in (1, 2, 3)]
            for outdated in (0, 2, 3):
                await say_list(session, outdated, listed(kept))
            await settled(ground, session)
            assert [answers(session, f"list-{number}") for number in (0, 2, 3)] == [[], [], []]

            name = await say_list(session, 10, listed(kept), listed(given_up, "STOPPED"), listed(new_arn()))
            asked = await ecs.answer(session, ASKS, name)
            assert {one["taskArn"]: one["desiredStatus"] for one in asked["stopCandidates"]} == {
                given_up: "STOPPED",
                forgotten: "STOPPED",
            }
            await ecs.answer(session, ACK, name)
            await session.say(ANSWER, messageId="list-9", stopTasks=[listed(kept, "STOPPED")])
            await session.say(ANSWER, messageId=name, stopTasks=[listed(t, "STOPPED") for t in (given_up, new_arn())])
            await session.say(ANSWER, messageId=name, stopTasks=[listed(kept, "STOPPED")])
            await ecs.until_told(given_up, "STOPPED")
            await settled(ground, session)

            ground.agent.end(signal.SIGKILL)
            ground.agent.start()
            session = await ecs.session(2)
            await session.say(ANSWER, messageId=name, stopTasks=[listed(kept, "STOPPED")])
            await say_list(session, 10)
            await settled(ground, session)
            assert answers(session, name) == [], "the number of the list outlives the crash, its question does not"
            newer = await say_list(session, 11, listed(kept), listed(forgotten))
            await ecs.answer(session, ACK, newer)
            await settled(ground, session)
            assert answers(session, newer) == [ACK], "there is nothing to ask"

            for arn in (kept, forgotten):
                assert [state for _, state in await ground.containers(arn)] == ["running"]
                assert not ecs.told(arn, "STOPPED")
            assert len(ecs.told(given_up, "STOPPED")) == 1

    asyncio.run(story())


def test_an_agent_that_lost_its_disk_has_its_tasks_back_whole_and_those_that_had_no_container_left_run_again(
    tmp_path: Path,
) -> None:
    with a_house(tmp_path) as house:
        command = ["sh", "-c", 'test "$WORD" = kept && exec sleep 600']
        definition = house.define(
            "back",
            {
                "name": "app",
                "image": SAMPLE,
                "memory": 16,
                "command": command,
                "environment": [{"name": "WORD", "value": "kept"}],
                "restartPolicy": {"enabled": True, "restartAttemptPeriod": 60},
            },
        )
        runs, lost = house.run(definition), house.run(definition)
        for arn in (runs, lost):
            house.until_status(arn, "RUNNING")
        [survivor] = of_task(runs)
        house.agent.end(signal.SIGKILL)
        for file in house.agent_data.glob(f"{FILE_NAME}*"):
            file.unlink()
        subprocess.run(["docker", "rm", "-f", *of_task(lost)], check=True, capture_output=True)

        house.agent.start()

        [anew] = until(lambda: of_task(lost), "the lost task to have a container again")
        assert of_task(runs) == [survivor], "what runs is left alone"
        assert sorted(containers(house, "-a")) == sorted([survivor, anew])
        until(lambda: has_it_whole(house.agent_data, runs), "the agent to know again what it was asked for")
        for arn in (runs, lost):
            assert house.task(arn)["lastStatus"] == "RUNNING"


def of_task(arn: str) -> list[str]:
    """The running containers of a task."""
    command = ["docker", "ps", "-q", "--no-trunc", "--filter", f"label=com.amazonaws.ecs.task-arn={arn}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def has_it_whole(data: Path, arn: str) -> bool:
    """Does the agent's journal hold a task as ECS asked for it, environment included, and not as labels tell of it?"""
    with closing(sqlite3.connect(f"file:{data / FILE_NAME}?mode=ro", uri=True)) as journal:
        found = journal.execute("SELECT row FROM tasks WHERE arn = ?", (arn,)).fetchone()
    return found is not None and not json.loads(found[0])["spec"].get("rebuilt") and '"WORD"' in found[0]
