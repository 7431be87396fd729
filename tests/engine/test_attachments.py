"""Things that ECS attaches to the host: told of once, in time, and across restarts."""

from datetime import datetime, timedelta

import pytest

from agent.engine import invariants
from agent.engine.engine import Engine
from agent.model.attachments import Attachment, AttachmentKind
from agent.model.decision import Decision
from agent.model.events import AttachmentAnnounced, AttachmentsFound, ClockStepped, DeadlinePassed, Event
from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.status import Status
from tests.engine.rows import ARN, RULES, T0, after, listed

MAC = "0a:1b:2c:3d:4e:5f"
KINDS = tuple(AttachmentKind)


class Scene:
    """An engine, and what it has decided."""

    def __init__(self, *attached: Attachment, heard: bool = True) -> None:
        self.engine = Engine(RULES, attached=attached)
        if heard:
            self.hear(listed())

    def hear(self, event: Event) -> Decision:
        before = self.engine.snapshot()
        decision = self.engine.decide(event)
        invariants.check(before, self.engine.snapshot(), decision)
        return decision

    def announce(
        self,
        arn: str = "a",
        key: str = MAC,
        *,
        kind: AttachmentKind = AttachmentKind.TASK_INTERFACE,
        wait_ms: int = 10_000,
        at: datetime = T0,
    ) -> Decision:
        task = ARN if kind is not AttachmentKind.INSTANCE_INTERFACE else TaskArn("")
        return self.hear(AttachmentAnnounced(arn, kind, key, wait_ms, at, task))

    def find(self, *keys: str, at: datetime = T0) -> list[str]:
        """Which attachments are told of."""
        decision = self.hear(AttachmentsFound(frozenset(keys), at))
        return [report.attachment for report in decision.reports]


@pytest.mark.parametrize(("kind", "task"), [(KINDS[0], ARN), (KINDS[1], ""), (KINDS[2], "")])
def test_what_is_there_in_time_is_told_of_as_a_change_of_its_task_or_by_itself(kind: AttachmentKind, task: str) -> None:
    scene = Scene()
    row = Attachment("a", kind, MAC, after(10), 10_000, ARN if kind is not KINDS[1] else TaskArn(""))
    assert scene.announce(kind=kind).attachments == (row,)

    decision = scene.hear(AttachmentsFound(frozenset({MAC, "other"}), after(1)))

    [told] = decision.reports
    assert told == TaskReport(TaskArn(task), Status.NONE, moved=True, at=after(1), attachment="a")
    assert told.subject == (task or "a")
    assert [one.told for one in decision.attachments] == [True], "the row and the report are committed together"


def test_it_is_told_of_once_however_often_it_is_seen_and_announced() -> None:
    scene = Scene()
    scene.announce()
    assert scene.find(MAC) == ["a"]
    assert scene.announce(at=after(1)).changes_nothing
    assert scene.find(MAC, at=after(2)) == []


def test_what_is_not_there_is_not_told_of() -> None:
    scene = Scene()
    scene.announce()
    assert scene.find("0a:00:00:00:00:00") == []


def test_word_that_comes_twice_gives_no_more_time() -> None:
    scene = Scene()
    scene.announce()
    scene.announce(at=after(9))
    assert scene.engine.next_deadline() == after(10)


def test_each_has_a_time_of_its_own_and_is_forgotten_when_it_is_up() -> None:
    scene = Scene()
    scene.announce("a", "aa", wait_ms=1000)
    scene.announce("b", "bb", wait_ms=3000)
    assert scene.engine.next_deadline() == after(1)

    assert scene.hear(DeadlinePassed(after(1))).detached == ("a",)
    assert scene.find("aa", "bb", at=after(2)) == ["b"]
    assert scene.hear(DeadlinePassed(after(3))).detached == ("b",)
    assert not scene.engine.attachments


def test_what_comes_when_its_time_is_up_is_not_told_of_though_no_deadline_was_heard() -> None:
    scene = Scene(heard=False)
    scene.announce()
    assert scene.find(MAC, at=after(10)) == []


def test_time_runs_out_while_docker_is_away_and_word_that_comes_after_that_is_new() -> None:
    scene = Scene(heard=False)
    scene.announce()
    assert scene.engine.next_deadline() == after(10)
    assert scene.hear(DeadlinePassed(after(10))).detached == ("a",)
    assert scene.engine.next_deadline() is None
    assert [one.expires_at for one in scene.announce(at=after(20)).attachments] == [after(30)]


@pytest.mark.parametrize("wait_ms", [0, -1])
def test_what_has_no_time_at_all_is_not_looked_out_for(wait_ms: int) -> None:
    assert Scene().announce(wait_ms=wait_ms).changes_nothing


def test_a_link_that_is_attached_under_a_new_name_is_told_of_by_that_name() -> None:
    scene = Scene()
    scene.announce("a")
    scene.find(MAC)
    decision = scene.announce("b", at=after(1))
    assert (decision.detached, [one.arn for one in decision.attachments]) == (("a",), ["b"])
    assert scene.find(MAC, at=after(2)) == ["b"]


def test_a_link_and_a_disk_are_not_the_same_though_they_are_called_the_same() -> None:
    scene = Scene()
    scene.announce("a", "x")
    scene.announce("b", "x", kind=AttachmentKind.VOLUME)
    assert scene.find("x") == ["a", "b"]


def test_after_a_restart_the_rest_of_the_time_is_left_and_what_was_told_stays_told() -> None:
    before = Scene()
    before.announce("a", "aa")
    before.announce("b", "bb")
    before.find("aa")

    again = Scene(*before.engine.attachments.values())

    assert again.engine.next_deadline() == after(10)
    assert again.find("aa", "bb", at=after(9)) == ["b"]


def test_a_clock_that_is_set_gives_and_takes_no_time() -> None:
    for by in (timedelta(hours=1), timedelta(hours=-1)):
        scene = Scene()
        scene.announce()
        decision = scene.hear(ClockStepped(by, T0 + by))
        assert [one.expires_at for one in decision.attachments] == [after(10) + by]
        assert scene.engine.next_deadline() == after(10) + by


def test_a_clock_that_was_set_back_while_the_agent_was_down_gives_no_more_than_the_whole_time() -> None:
    row = Attachment("a", AttachmentKind.VOLUME, "vol1", after(3600), 10_000)
    assert Scene(row).engine.next_deadline() == after(10)


def test_decisions_of_one_batch_leave_one_row_of_each() -> None:
    scene = Scene()
    first = scene.announce("a", "aa")
    told = scene.hear(AttachmentsFound(frozenset({"aa"}), T0))
    gone = scene.hear(DeadlinePassed(after(10)))
    anew = scene.announce("a", "aa", at=after(11))

    assert [one.told for one in first.then(told).attachments] == [True]
    assert (first.then(told).then(gone).attachments, first.then(told).then(gone).detached) == ((), ("a",))
    whole = first.then(told).then(gone).then(anew)
    assert ([one.expires_at for one in whole.attachments], whole.detached) == ([after(21)], ())
