import pytest

from agent.reporter.pause import Pause


def lengths(count: int, draw: float) -> list[float]:
    pause, found = Pause(), []
    for _ in range(count):
        pause = pause.longer(100.0, draw)
        found.append(pause.until - 100.0)
    return found


def test_pauses_begin_at_a_second_and_grow_by_three_tenths() -> None:
    assert lengths(4, draw=0.0) == pytest.approx([1.0, 1.3, 1.69, 2.197])


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_no_pause_is_longer_than_thirty_seconds_however_often_it_fails(draw: float) -> None:
    found = lengths(5000, draw)

    assert max(found) <= 30.0
    assert found[-1] >= 25.0


def test_chance_spreads_pauses_by_up_to_a_fifth() -> None:
    assert lengths(1, draw=1.0) == pytest.approx([1.2])
    assert lengths(40, draw=1.0)[-1] > lengths(40, draw=0.0)[-1]
