"""Frames that are malformed, truncated, oversized, wrongly typed, nested too deeply, or no UTF-8.

Their tables are frames.py and bad_tasks.py.

Promised of each: the connection lives, and answers the heartbeat that follows; the log names the rule. Of a task that
cannot be run: the good ones of its payload run, and it is reported STOPPED once, with a reason that names the field,
however often the payload comes. One agent, a process of its own before real Docker, hears them all.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.faults.bad_tasks import BAD, Bad
from tests.faults.frames import ODD, Odd, frame, of_payload
from tests.faults.hand import Ground, Session, a_ground, new_arn, payload, sleeper, stop

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

MOST_GROWTH = 64.0
"""MiB by which the agent may have grown while it heard all of them, 64 MiB at once among them."""
MARK = '"the bad one"'
ASKS_FOR_A_CONTAINER = ("memory as a text", "an image that is no UTF-8", "a field nested 5,000 deep")


@dataclass
class Stage:
    """The agent that hears every frame, and one loop in which all stories are played."""

    runner: asyncio.Runner
    ground: Ground
    session: Session
    process: psutil.Process
    at_first: float
    refused: dict[str, bytes] = field(default_factory=dict)

    def send(self, octets: bytes) -> None:
        self.session.transport.write(octets)

    async def beat(self) -> None:
        """The same connection of the same process answers."""
        await self.ground.ecs.beat(self.session)
        assert self.ground.ecs.sessions == [self.session], "the agent has connected anew"
        assert not self.session.over
        assert self.process.is_running()


def memory_peak(process: psutil.Process) -> float:
    """The most that a process has ever held, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            ground = runner.run(stack.enter_async_context(a_ground(tmp_path_factory.mktemp("frames"))))
            assert ground.agent.process is not None
            process = psutil.Process(ground.agent.process.pid)
            yield Stage(runner, ground, ground.ecs.sessions[0], process, memory_peak(process))
        finally:
            runner.run(stack.aclose())


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name.replace(" ", "-"))
def test_the_connection_lives_through(stage: Stage, odd: Odd) -> None:
    async def story() -> None:
        before = len(stage.ground.lines(odd.line))
        answers = len([kind for kind, said in stage.session.heard if said.get("messageId") == "odd"])

        stage.send(odd.octets)
        await stage.beat()

        if odd.rule or odd.line != "acs_frame_dropped":
            await stage.ground.until_line(odd.line, lambda line: odd.rule in str(line.get("error", "")), before)
        else:
            await stage.ground.ecs.answer(stage.session, "HeartbeatAckRequest", "odd", answers + 1)
        assert not stage.ground.ecs.reports or odd.rule not in {report.reason for report in stage.ground.ecs.reports}

    stage.runner.run(story())


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name.replace(" ", "-"))
def test_one_bad_task_does_not_sink_the_good_ones(stage: Stage, bad: Bad) -> None:
    async def story() -> None:
        ecs, arn, good = stage.ground.ecs, new_arn(), new_arn()
        first, last = stop(new_arn()), sleeper(good, "true") if bad.name in ASKS_FOR_A_CONTAINER else stop(good)
        before = len(stage.ground.lines("acs_task_without_name_dropped"))
        text = bad.spoil(arn)
        octets = text.encode() if isinstance(text, str) else text
        whole = of_payload(**payload(arn, first, "the bad one", last)).encode().replace(MARK.encode(), octets)

        stage.send(frame(whole))
        await stage.beat()

        for one in (first["arn"], good):
            report = await ecs.until_told(one, "STOPPED")
            assert not report.reason or "UnrecogniedTaskError" not in report.reason
        if good == last["arn"] and "containers" in last:
            assert report.containers["app"]["exitCode"] == 0, report
        if bad.rule:
            dropped = "acs_task_without_name_dropped"
            await stage.ground.until_line(dropped, lambda line: bad.rule in str(line["error"]), before)
            return
        stage.refused[bad.name] = whole
        line = await stage.ground.until_line("acs_task_refused", lambda one: str(one["task"]).startswith(arn))
        report = await ecs.until_told(line["task"], "STOPPED")
        assert report.reason.startswith("UnrecogniedTaskError: Error loading task - "), report.reason
        assert bad.reason in report.reason, report.reason
        assert not any(said.get("messageId") == arn for _, said in stage.session.heard), "it is never acknowledged"

    stage.runner.run(story())


def test_refused_payloads_that_come_again_tell_nothing_twice_and_the_agent_has_not_grown(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    async def story() -> None:
        before = stage.ground.rows_made()
        for whole in stage.refused.values():
            stage.send(frame(whole))
        await stage.beat()
        marker = new_arn()
        await stage.session.say("PayloadMessage", **payload("marker", stop(marker)))
        await stage.ground.ecs.until_told(marker, "STOPPED")

        assert stage.ground.rows_made() == before + 1, "the marker alone is new"
        stopped = [report.task for report in stage.ground.ecs.reports if report.status == "STOPPED"]
        assert len(stopped) == len(set(stopped)), "each task is told STOPPED once"
        growth = memory_peak(stage.process) - stage.at_first
        record_property("peak of the agent's memory above its start, MiB", round(growth, 1))
        record_property("frames", len(ODD))
        record_property("bad tasks", len(BAD))
        assert growth <= MOST_GROWTH, f"the agent has grown by {growth:.0f} MiB at its peak"

    stage.runner.run(story())
