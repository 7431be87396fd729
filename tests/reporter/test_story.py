"""From the journal to an ECS over HTTP and back: the real outbox, reporter and client."""

import asyncio
from pathlib import Path

from agent.aws.ecs_client import EcsClient, EcsSettings, TaskReports
from agent.model.decision import Decision
from agent.model.events import Event, ReportsSettled
from agent.reporter.loop import Reporter
from agent.store.journal_driver import Journal
from tests.aws.peers import REGION, Call, FixedKeys, an_ecs, run
from tests.reporter.made_up import RUNNING, STOPPED, a_report, arn, container


class Ears:
    """The engine: hears which tasks' ends are told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Event] = asyncio.Queue()

    async def submit(self, *events: Event) -> None:
        for event in events:
            self.heard.put_nowait(event)


class Calls(list[Call]):
    """The calls of a peer, which say when the first has come."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def append(self, call: Call) -> None:
        super().append(call)
        self.came.set()


def test_a_tasks_life_is_told_over_http_and_a_refusal_ends_it_too(tmp_path: Path) -> None:
    up, down = container("web", RUNNING), container("web", STOPPED, exit_code=7)
    life = (
        a_report("a", RUNNING, up, moved=False),
        a_report("a", RUNNING),
        a_report("a", STOPPED, down),
        a_report("b", STOPPED),
    )

    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal, an_ecs() as ecs:
            await journal.commit(Decision(reports=life[:3]))
            ecs.will({"acknowledgment": "ok"})
            ears = Ears()
            settings = EcsSettings(REGION, "dockworker/test", ecs.url)
            async with EcsClient.open(settings, FixedKeys()) as client:
                job = asyncio.create_task(Reporter(journal, TaskReports(client, "demo"), ears).run())
                first = await ears.heard.get()
                ecs.replies.clear()
                ecs.fails("InvalidParameterException")
                await journal.commit(Decision(reports=life[3:]))
                second = await ears.heard.get()
                job.cancel()
                await asyncio.wait([job])
            assert isinstance(first, ReportsSettled)
            assert isinstance(second, ReportsSettled)
            assert (set(first.tasks), set(second.tasks)) == ({arn("a")}, {arn("b")})
            assert await journal.unsent() == ()
            assert all(call.signed for call in ecs.calls)
            assert [(call.body["task"][-1], call.body["status"]) for call in ecs.calls] == [
                ("a", "RUNNING"),
                ("a", "STOPPED"),
                ("b", "STOPPED"),
            ]
            running, stopped, _ = (call.body for call in ecs.calls)
            assert [one["status"] for one in running["containers"]] == ["RUNNING"]
            assert [(one["status"], one["exitCode"]) for one in stopped["containers"]] == [("STOPPED", 7)]

    run(main())


def test_a_call_whose_answer_was_lost_says_the_same_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal, an_ecs() as ecs:
            await journal.commit(Decision(reports=(a_report("a", RUNNING, container("web", RUNNING)),)))
            ecs.will({})
            ecs.calls = calls = Calls()
            ecs.hangs = True
            settings = EcsSettings(REGION, "dockworker/test", ecs.url)
            async with EcsClient.open(settings, FixedKeys()) as client:
                job = asyncio.create_task(Reporter(journal, TaskReports(client, "demo"), Ears()).run())
                await calls.came.wait()
                job.cancel()
                await asyncio.wait([job])

                ecs.hangs = False
                ears = Ears()
                await journal.commit(Decision(reports=(a_report("a", STOPPED),)))
                job = asyncio.create_task(Reporter(journal, TaskReports(client, "demo"), ears).run())
                await ears.heard.get()
                job.cancel()
                await asyncio.wait([job])
            lost, again, stopped = (call.body for call in ecs.calls)
            assert lost == again
            assert stopped["status"] == "STOPPED"

    run(main())
