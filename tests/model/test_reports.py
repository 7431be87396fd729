import pytest

from agent.model.reports import REASON_LIMIT, shortened


def test_a_reason_that_is_too_long_keeps_the_name_of_the_error_and_the_cause() -> None:
    reason = "CannotPullContainerError: " + "failed to do request: " * 100 + "no route to host"

    short = shortened(reason)

    assert len(short) == REASON_LIMIT
    assert short.startswith("CannotPullContainerError: failed")
    assert short.endswith("failed to do request: no route to host")
    assert "..." in short


def test_a_reason_that_is_as_long_as_may_be_is_left_alone() -> None:
    assert shortened("x" * REASON_LIMIT) == "x" * REASON_LIMIT
    assert len(shortened("x" * (REASON_LIMIT + 1))) == REASON_LIMIT


@pytest.mark.parametrize("limit", [255, 254, 253, REASON_LIMIT])
@pytest.mark.parametrize("letter", ["x", "é", "🚢", "x🚢"])
def test_no_character_is_split(letter: str, limit: int) -> None:
    short = shortened(letter * 2000, limit)

    assert limit - 8 < len(short.encode()) <= limit
    assert set(short) == {*letter, "."}


def test_a_reason_that_is_no_text_can_still_be_told() -> None:
    assert shortened("bad \udcff byte") == "bad ? byte"
