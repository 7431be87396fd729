"""Which lines pass when many say the same."""

from agent.cli.sieve import MOST_GRAVE, MOST_KEPT, MOST_OTHERS, MOST_SAME, WINDOW, Kind, LeftOut, Sieve

ERROR, INFO = Kind("act_broke", "error"), Kind("decided", "info")


def passed(sieve: Sieve, kind: Kind, lines: range, now: float = 0.0) -> int:
    return sum(sieve.passes(kind, line, now) for line in lines)


def test_of_the_very_same_line_a_few_pass() -> None:
    sieve = Sieve()
    assert sum(sieve.passes(INFO, 7, 0.0) for _ in range(1000)) == MOST_SAME
    assert sieve.passes(INFO, 8, 0.0)


def test_of_errors_of_one_name_a_hundred_pass_whatever_they_say() -> None:
    sieve = Sieve()
    assert passed(sieve, ERROR, range(10_000)) == MOST_GRAVE
    assert passed(sieve, INFO, range(10_000)) == MOST_OTHERS


def test_what_was_left_out_is_counted_once_the_window_is_over() -> None:
    sieve = Sieve()
    passed(sieve, ERROR, range(1000))
    assert sieve.close(WINDOW - 0.1) == []
    assert sieve.close(WINDOW) == [LeftOut(ERROR, 1000 - MOST_GRAVE, WINDOW)]
    assert sieve.close(3 * WINDOW) == []
    assert passed(sieve, ERROR, range(1000), WINDOW) == MOST_GRAVE
    assert sieve.close(WINDOW + 1, all_of_them=True) == [LeftOut(ERROR, 1000 - MOST_GRAVE, 1.0)]


def test_a_kind_that_was_never_met_is_told_once_and_passes_in_the_middle_of_a_storm() -> None:
    sieve = Sieve()
    passed(sieve, ERROR, range(1000))
    new = Kind("something_else", "error")
    assert sieve.is_new(new)
    assert sieve.passes(new, 1, 0.0)
    assert not sieve.is_new(new)


def test_endless_names_and_endless_lines_fill_no_memory() -> None:
    sieve = Sieve()
    passed(sieve, INFO, range(3 * MOST_KEPT))
    for number in range(3 * MOST_KEPT):
        sieve.is_new(Kind(f"e{number}", "info"))
    assert len(sieve._windows[INFO].same) == MOST_KEPT
    assert len(sieve._met) == MOST_KEPT
