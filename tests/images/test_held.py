from dataclasses import replace

from agent.images.held import Held
from agent.model.decision import Decision
from tests.store.made_up import a_task, arn

HELD = frozenset({"busybox:1"})


def test_a_task_holds_its_images_until_it_is_cleaned_up() -> None:
    held = Held([])

    assert held.hear(Decision(tasks=(a_task("a"), a_task("b")))) == frozenset()
    assert held.images() == HELD
    assert held.hear(Decision(forgotten=(arn("a"),))) == HELD
    assert held.images() == HELD
    assert held.hear(Decision(forgotten=(arn("b"),))) == HELD
    assert held.images() == frozenset()


def test_tasks_of_an_earlier_process_hold_theirs() -> None:
    assert Held([a_task("a")]).images() == HELD


def test_a_task_that_is_forgotten_and_written_again_in_one_commit_holds_its_images() -> None:
    held = Held([a_task("a")])

    held.hear(Decision(tasks=(replace(a_task("a")),), forgotten=(arn("a"),)))

    assert held.images() == HELD


def test_tasks_that_were_never_known_let_nothing_go() -> None:
    assert Held([]).hear(Decision(forgotten=(arn("a"),))) == frozenset()
