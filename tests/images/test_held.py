from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agent.images.held import Held
from agent.model.decision import Decision
from agent.model.names import Image
from tests.store.made_up import a_task, arn

HELD = frozenset({Image("busybox:1")})
T0 = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_task_holds_its_images_until_it_is_cleaned_up() -> None:
    held = Held([])

    assert held.hear(Decision(tasks=(a_task("a"), a_task("b")))) == {}
    assert held.images() == HELD
    assert held.hear(Decision(forgotten=(arn("a"),))).keys() == HELD
    assert held.images() == HELD
    assert held.hear(Decision(forgotten=(arn("b"),))).keys() == HELD
    assert held.images() == frozenset()


def test_tasks_of_an_earlier_process_hold_theirs() -> None:
    assert Held([a_task("a")]).images() == HELD


def test_a_task_that_is_forgotten_and_written_again_in_one_commit_holds_its_images() -> None:
    held = Held([a_task("a")])

    held.hear(Decision(tasks=(replace(a_task("a")),), forgotten=(arn("a"),)))

    assert held.images() == HELD


def test_a_task_found_by_its_labels_holds_the_images_of_which_a_payload_tells_later() -> None:
    whole = a_task("a")
    held = Held([])
    held.hear(Decision(tasks=(replace(whole, spec=replace(whole.spec, containers=()), containers=()),)))

    held.hear(Decision(tasks=(whole,)))

    assert held.images() == HELD


def test_tasks_that_were_never_known_let_nothing_go() -> None:
    assert Held([]).hear(Decision(forgotten=(arn("a"),))) == {}


def test_an_image_was_used_until_the_last_of_its_tasks_stopped_whenever_that_is_cleaned_up() -> None:
    first, last = (replace(a_task(name), stopped_at=T0 + timedelta(hours=n)) for n, name in enumerate("ab"))
    held = Held([a_task("a"), last])
    held.hear(Decision(tasks=(first,)))

    assert held.hear(Decision(forgotten=(arn("b"), arn("a")))) == {Image("busybox:1"): last.stopped_at}
