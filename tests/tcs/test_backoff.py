from agent.tcs.backoff import Ended, Pace


def waits(*ends: Ended, chance: float = 0.0) -> list[float]:
    pace, found = Pace(), []
    for end in ends:
        pace, wait = pace.after(end, chance=chance)
        found.append(wait)
    return found


BROKEN, CLEAN = Ended("reset", lasted=1800), Ended("1000", clean=True, lasted=1800)


def test_waits_double_up_to_a_minute() -> None:
    assert waits(*[BROKEN] * 8) == [1, 2, 4, 8, 16, 32, 60, 60]


def test_chance_adds_a_fifth_at_most() -> None:
    assert waits(BROKEN, BROKEN, chance=1.0) == [1.2, 2.4]


def test_a_clean_end_is_followed_by_no_wait_and_starts_over() -> None:
    assert waits(BROKEN, BROKEN, CLEAN, BROKEN, CLEAN, CLEAN) == [1, 2, 0, 1, 0, 0]


def test_a_server_that_ends_whatever_begins_is_met_at_once_only_the_first_time() -> None:
    quick = Ended("1000", clean=True, lasted=0.1)

    assert waits(quick, quick, quick, CLEAN, quick) == [0, 1, 2, 0, 0]
