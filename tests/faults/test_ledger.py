"""The ledger finds what it is there to find."""

import json

import pytest

from tests.faults.ledger import Entry, Fate, wrong_about

ARN = "arn:aws:ecs:us-east-1:123456789012:task/default/0123456789abcdef"


def calls(*told: tuple[str, str, Fate]) -> list[Entry]:
    """One call a second: the task's state, that of its container called app ("" for none), and what became of it."""
    entries = []
    for place, (status, app, fate) in enumerate(told):
        parts = [{"containerName": "app", "status": app}] if app else []
        body = {"task": ARN, "status": status, "containers": parts}
        entries.append(Entry(place + 1, body, json.dumps(body), float(place), place + 0.1, fate))
    return entries


UP, DOWN = ("RUNNING", "RUNNING"), ("STOPPED", "STOPPED")
TAKEN, LOST, UNHEARD, REFUSED = Fate.TAKEN, Fate.LOST, Fate.UNHEARD, Fate.REFUSED


def test_a_life_in_order_is_right_and_so_are_repeats_of_what_was_lost() -> None:
    assert wrong_about(calls((*UP, TAKEN), (*DOWN, TAKEN))) == []
    assert wrong_about(calls((*UP, LOST), (*UP, REFUSED), (*UP, UNHEARD), (*UP, TAKEN), (*DOWN, TAKEN))) == []


def test_a_kill_before_the_answer_was_noted_excuses_a_repeat() -> None:
    repeated = calls((*UP, TAKEN), (*UP, TAKEN), (*DOWN, TAKEN))
    assert wrong_about(repeated, kills=[0.5]) == []
    assert "repeats" in wrong_about(repeated, kills=[1.5])[0]


@pytest.mark.parametrize(
    ("entries", "wrong"),
    [
        (calls((*UP, TAKEN), (*UP, TAKEN)), "repeats"),
        (calls((*UP, LOST), (*DOWN, TAKEN)), "was not taken"),
        (calls((*UP, LOST), (*DOWN, TAKEN), (*UP, TAKEN)), "comes again after others"),
        (calls(("RUNNING", "RUNNING", TAKEN), ("STOPPED", "RUNNING", TAKEN)), "once more"),
        (calls((*DOWN, TAKEN), ("STOPPED", "", TAKEN)), "once more"),
        (calls((*UP, TAKEN), ("RUNNING", "", TAKEN)), "nothing new"),
        (calls((*DOWN, TAKEN), ("RUNNING", "", TAKEN)), "after STOPPED"),
    ],
)
def test_what_is_wrong_is_named(entries: list[Entry], wrong: str) -> None:
    assert any(wrong in text for text in wrong_about(entries))


def test_two_calls_at_once_about_one_task_are_wrong() -> None:
    one, other = calls((*UP, TAKEN), (*DOWN, TAKEN))
    one.ended = 1.05
    assert "before" in wrong_about([one, other])[0]
