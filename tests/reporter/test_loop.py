import asyncio
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.decision import Decision
from agent.model.reports import TaskReport, Verdict
from agent.model.status import Status
from agent.model.task import Tombstone
from agent.reporter.loop import Reporter, wait_for
from agent.store.journal_driver import Journal
from tests.reporter.made_up import RUNNING, STOPPED, T0, a_report, arn, container
from tests.reporter.scene import Ears, Scene, a_reporter, a_scene


def aside_of(name: str, status: Status = RUNNING) -> TaskReport:
    return a_report(name, status, container("web", STOPPED, exit_code=3), moved=False)


async def is_empty(journal: Journal) -> bool:
    return await journal.unsent() == ()


def test_reports_leave_in_order_and_the_end_of_a_task_is_told_to_the_engine(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path, [a_report("a", RUNNING), a_report("a", STOPPED)]) as (journal, scene, _):
            await scene.until(lambda: bool(scene.told))
            assert scene.said() == [("a", "RUNNING"), ("a", "STOPPED")]
            assert scene.ended() == [{"a"}]
            assert await is_empty(journal)

    asyncio.run(main())


def test_a_report_that_is_committed_later_leaves_without_delay(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path) as (journal, scene, _):
            await scene.until(lambda: scene.asked_to_wait == 1)
            await journal.commit(Decision(reports=(a_report("a", RUNNING),)))
            await scene.until(lambda: scene.said() == [("a", "RUNNING")])
            assert scene.now == 1000.0

    asyncio.run(main())


def test_a_change_of_a_container_leaves_after_a_tenth_of_a_second(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path, [aside_of("a")]) as (_, scene, __):
            await scene.until(lambda: scene.alarm == pytest.approx(1000.1))
            assert scene.heard == []
            scene.advance(0.11)
            await scene.until(lambda: scene.heard == [aside_of("a")])

    asyncio.run(main())


def test_running_alone_is_no_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path, [a_report("a", RUNNING), a_report("b", STOPPED)]) as (_, scene, __):
            await scene.until(lambda: bool(scene.told) and len(scene.heard) == 2)
            assert scene.ended() == [{"b"}]

    asyncio.run(main())


def test_a_refused_report_is_logged_by_name_and_never_sent_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path) as (journal, scene, _):
            scene.verdicts = [Verdict.REFUSED]
            await journal.commit(Decision(reports=(a_report("a", STOPPED, container("web", STOPPED)),)))
            await scene.until(lambda: bool(scene.told))
            assert len(scene.heard) == 1
            assert await is_empty(journal)

    with structlog.testing.capture_logs() as logs:
        asyncio.run(main())

    (line,) = [line for line in logs if line["event"] == "report_refused"]
    assert (line["log_level"], line["task"], line["status"]) == ("error", "a", "STOPPED")
    assert line["containers"] == ["web STOPPED"]


def test_a_held_report_holds_back_its_task_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path) as (journal, scene, reporter):
            scene.verdicts = [Verdict.HELD]
            await journal.commit(Decision(reports=(a_report("a", RUNNING),)))
            await scene.until(lambda: scene.alarm == 1001.0)
            await journal.commit(Decision(reports=(a_report("b", RUNNING),)))
            await scene.until(lambda: len(scene.heard) == 2)
            assert scene.said() == [("a", "RUNNING"), ("b", "RUNNING")]
            reporter.flush()
            await scene.until(lambda: scene.alarm == 1001.0)
            scene.advance(1.0)
            await scene.until(lambda: scene.said()[2:] == [("a", "RUNNING")])

    asyncio.run(main())


def test_a_failure_pauses_everything_and_each_further_one_longer(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path) as (journal, scene, _):
            scene.verdicts = [Verdict.LATER] * 3
            await journal.commit(Decision(reports=(a_report("a", RUNNING),)))
            await scene.until(lambda: scene.alarm == 1001.0)
            waits = scene.asked_to_wait
            await journal.commit(Decision(reports=(a_report("b", RUNNING),)))
            await scene.until(lambda: scene.asked_to_wait > waits)
            assert scene.said() == [("a", "RUNNING")]
            assert scene.alarm == 1001.0
            scene.advance(1.0)
            await scene.until(lambda: len(scene.heard) == 3 and scene.alarm == pytest.approx(1002.3))
            assert sorted(scene.said()[1:]) == [("a", "RUNNING"), ("b", "RUNNING")]

    asyncio.run(main())


def test_when_ecs_answers_again_everything_leaves_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path) as (journal, scene, reporter):
            scene.verdicts = [Verdict.LATER] * 4
            await journal.commit(Decision(reports=(a_report("a", RUNNING),)))
            for alarm in (1001.0, 1002.3, 1003.99):
                await scene.until(lambda alarm=alarm: scene.alarm == pytest.approx(alarm))  # type: ignore[misc]
                scene.advance(alarm - scene.now)
            await scene.until(lambda: scene.alarm == pytest.approx(1003.99 + 2.197))
            await journal.commit(Decision(reports=(a_report("b", RUNNING),)))
            scene.advance(1.5)
            reporter.flush()
            await scene.until(lambda: sorted(scene.said()[4:]) == [("a", "RUNNING"), ("b", "RUNNING")])
            assert scene.now < 1006

    asyncio.run(main())


def test_one_tasks_success_ends_the_pause_that_anothers_failure_began(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path) as (journal, scene, _):
            scene.verdicts = [Verdict.LATER, Verdict.SETTLED]
            scene.open.clear()
            await journal.commit(Decision(reports=(a_report("a", RUNNING), a_report("b", RUNNING))))
            await scene.until(lambda: len(scene.in_flight) == 2)
            scene.open.set()
            await scene.until(lambda: scene.settled == [arn("b")])
            await journal.commit(Decision(reports=(a_report("c", RUNNING),)))
            await scene.until(lambda: scene.said()[2:] == [("c", "RUNNING")])
            assert scene.now == 1000.0

    asyncio.run(main())


def test_ten_calls_are_in_flight_at_most_and_the_others_follow(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path) as (journal, scene, _):
            scene.open.clear()
            await journal.commit(Decision(reports=tuple(a_report(f"{number}", STOPPED) for number in range(25))))
            await scene.until(lambda: len(scene.in_flight) == 10)
            scene.open.set()
            await scene.until(lambda: len(scene.heard) == 25 and not scene.in_flight)
            assert scene.most_in_flight == 10

    asyncio.run(main())


def test_ends_that_come_while_the_engine_is_busy_are_told_together(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_scene(tmp_path) as (journal, scene, _):
            scene.engine_listens.clear()
            await journal.commit(Decision(reports=(a_report("a", STOPPED),)))
            await scene.until(lambda: scene.engine_asked == 1)
            await journal.commit(Decision(reports=(a_report("b", STOPPED), a_report("c", STOPPED))))
            await scene.until(lambda: {"b", "c"} == {task.rpartition("/")[2] for task in scene.settled[1:]})
            scene.engine_listens.set()
            await scene.until(lambda: scene.ended() == [{"a"}, {"b", "c"}])

    asyncio.run(main())


def test_a_call_that_is_cut_off_is_repeated_word_for_word_after_the_next_start(tmp_path: Path) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.commit(Decision(reports=(aside_of("a"), a_report("a", RUNNING))))
            before, after = Scene(), Scene()
            before.verdicts = [None]
            async with a_reporter(journal, before):
                await before.until(lambda: len(before.heard) == 1)
            await journal.commit(Decision(reports=(aside_of("a"), a_report("a", STOPPED))))

            async with a_reporter(journal, after):
                await after.until(lambda: bool(after.told))
            assert after.heard[0] == before.heard[0]
            assert after.said() == [("a", "RUNNING"), ("a", "STOPPED")]

    asyncio.run(main())


def test_an_end_that_was_settled_before_a_crash_is_told_to_the_engine_after_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            stone = Tombstone(arn=arn("a"), at=T0)
            await journal.commit(Decision(tombstones=(stone,), reports=(a_report("a", STOPPED),)))
            before, after = Scene(), Scene()
            before.engine_listens.clear()
            async with a_reporter(journal, before):
                await before.until(lambda: before.engine_asked == 1)
            assert before.told == []

            async with a_reporter(journal, after):
                await after.until(lambda: after.ended() == [{"a"}])

    asyncio.run(main())


def test_a_call_without_an_answer_is_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.commit(Decision(reports=(a_report("a", RUNNING),)))
            scene = Scene()
            scene.verdicts = [None]
            async with a_reporter(journal, scene, answer_within=0.01):
                await scene.until(lambda: scene.alarm == 1001.0)
                scene.advance(1.0)
                await scene.until(lambda: len(scene.heard) == 2)

    asyncio.run(main())


@pytest.mark.parametrize(("failing", "times"), [("unsent", 1), ("all_told", 1), ("freeze", 1), ("settle", 2)])
def test_a_disk_that_fails_delays_a_report_and_loses_none(tmp_path: Path, failing: str, times: int) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.commit(Decision(reports=(a_report("a", RUNNING, moved=False), a_report("a", STOPPED))))
            await journal.changed()  # nothing but the reporter's own patience leads to a second look
            scene = Scene()
            scene.disk_fails = {failing}
            async with a_reporter(journal, scene):
                await scene.until(lambda: scene.alarm == 1001.0)
                scene.advance(1.0)
                await scene.until(lambda: scene.ended() == [{"a"}])
            assert scene.said() == [("a", "STOPPED")] * times

    asyncio.run(main())


def test_a_bug_in_a_call_ends_the_reporter(tmp_path: Path) -> None:
    class Broken:
        async def submit(self, report: TaskReport) -> Verdict:
            raise ZeroDivisionError(report.task)

    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal, asyncio.timeout(10):
            await journal.commit(Decision(reports=(a_report("a", STOPPED),)))
            await Reporter(journal, Broken(), Ears(Scene())).run()

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert caught.group_contains(ZeroDivisionError)


def test_waiting_ends_with_the_news_or_with_the_time() -> None:
    async def main() -> None:
        news = asyncio.Event()
        await wait_for(news, 0.0)
        assert not news.is_set()
        news.set()
        async with asyncio.timeout(10):
            await wait_for(news, None)
            await wait_for(news, 3600.0)

    asyncio.run(main())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_through_failures_and_crashes_every_report_arrives_in_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    tasks = data.draw(st.integers(1, 5))
    reports = [
        report
        for name in map(str, range(tasks))
        for report in (a_report(name, RUNNING), aside_of(name), a_report(name, STOPPED))
    ]
    lives = data.draw(st.lists(st.lists(st.sampled_from(Verdict), max_size=6), max_size=4))

    async def main(folder: Path) -> list[TaskReport]:
        heard: list[TaskReport] = []
        async with Journal.open(folder / "agent.db") as journal:
            await journal.commit(Decision(reports=tuple(reports)))
            for verdicts in lives:
                heard += await live(journal, [*verdicts, None])
            heard += await live(journal, [])
            assert await is_empty(journal)
        return heard

    heard = asyncio.run(main(tmp_path_factory.mktemp("life")))
    for name in map(str, range(tasks)):
        said = list(dict.fromkeys(report.status for report in heard if report.task == arn(name)))
        assert said == [RUNNING, STOPPED]


async def live(journal: Journal, verdicts: list[Verdict | None]) -> list[TaskReport]:
    """One life of the process: it ends with a call that is never answered, or when every end is told."""
    scene = Scene()
    scene.hurries = True
    scene.verdicts = list(verdicts)
    untold = {row.report.task for row in await journal.unsent()}
    async with a_reporter(journal, scene):
        await scene.until(
            lambda: (
                (None in verdicts and None not in scene.verdicts)
                or untold <= {task for event in scene.told for task in event.tasks}
            )
        )
    return scene.heard
