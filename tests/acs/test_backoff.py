import pytest

from agent.acs.backoff import Ended, Pace

FAILED = Ended("refused")
CLEAN = Ended("1000", clean=True, lasted=30.0, opened=True)
QUICK = Ended("1000", clean=True, lasted=0.1, opened=True)


def waits(*ends: Ended, chance: float = 0.0, probation: float = 90.0) -> list[float]:
    pace, all_waits = Pace(), []
    for ended in ends:
        pace, wait = pace.after(ended, probation=probation, chance=chance)
        all_waits.append(wait)
    return all_waits


def test_each_failure_waits_half_as_long_again() -> None:
    assert waits(*[FAILED] * 4) == [0.25, 0.375, 0.5625, 0.84375]


def test_the_wait_ends_at_two_minutes() -> None:
    assert waits(*[FAILED] * 30)[-1] == 120.0


def test_chance_makes_a_wait_up_to_a_fifth_longer_even_at_the_end() -> None:
    assert waits(*[FAILED] * 30, chance=1.0)[0] == pytest.approx(0.3)
    assert waits(*[FAILED] * 30, chance=1.0)[-1] == pytest.approx(144.0)


def test_a_clean_end_is_followed_at_once_and_starts_over() -> None:
    assert waits(FAILED, FAILED, CLEAN, FAILED) == [0.25, 0.375, 0.0, 0.25]


def test_a_connection_that_outlived_its_probation_starts_over_however_it_ended() -> None:
    lived = Ended("reset", lasted=90.0, opened=True)
    died_young = Ended("reset", lasted=89.9, opened=True)

    assert waits(FAILED, FAILED, lived, FAILED) == [0.25, 0.375, 0.25, 0.375]
    assert waits(FAILED, FAILED, died_young, FAILED) == [0.25, 0.375, 0.5625, 0.84375]


def test_a_server_that_closes_whatever_opens_is_met_at_once_only_the_first_time() -> None:
    assert waits(*[QUICK] * 5) == [0.0, 0.25, 0.375, 0.5625, 0.84375]
    assert waits(QUICK, QUICK, CLEAN, QUICK) == [0.0, 0.25, 0.0, 0.0]


def test_an_inactive_instance_asks_once_an_hour_for_ever() -> None:
    inactive = Ended('answered 400: {"InactiveInstanceException":"gone"}')

    assert waits(FAILED, FAILED, inactive, inactive, FAILED, chance=1.0) == pytest.approx([0.3, 0.45, 3600, 3600, 0.3])


def test_the_word_in_a_clean_end_means_nothing() -> None:
    assert waits(Ended("1000 InactiveInstanceException", clean=True, lasted=5.0, opened=True)) == [0.0]
