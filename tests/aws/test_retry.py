import pytest

from agent.aws.failures import RETRIED_CODES, EcsError
from agent.aws.retry import COST, COST_AFTER_SILENCE, QUOTA, STANDARD, Quota, attempts_of, wait_after
from agent.model.errors import BadInput

AWAY = EcsError("ServerException", "no", 500)
SILENT = EcsError("", "no answer in time", was_silence=True)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        *((EcsError(code, "no", 400), True) for code in sorted(RETRIED_CODES)),
        *((EcsError("", "no", status), True) for status in (500, 502, 503, 504)),
        (EcsError("", "no connection"), True),
        (EcsError("ServerException", "no", 400), False),
        (EcsError("ClientException", "no", 400), False),
        (EcsError("", "no", 501), False),
    ],
)
def test_what_may_pass_is_tried_again(error: EcsError, *, again: bool) -> None:
    assert (wait_after(1, STANDARD, error, 0.5) is not None) is again


def test_waits_double_up_to_twenty_seconds_and_attempts_end() -> None:
    assert [wait_after(n, 9, AWAY, 0.5) for n in range(1, 9)] == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0]
    assert wait_after(STANDARD, STANDARD, AWAY, 0.5) is None


def test_the_quota_of_repeats_runs_out_and_comes_back_with_calls_that_work() -> None:
    quota = Quota()
    assert [quota.take(SILENT), quota.take(AWAY)] == [COST_AFTER_SILENCE, COST] == [10, 5]
    quota.refund(COST)
    assert quota.left == QUOTA - 10
    assert all(quota.take(AWAY) for _ in range(98))
    assert quota.take(AWAY) is None
    for _ in range(5):
        quota.refund(0)
    assert quota.take(SILENT) is None
    assert quota.take(AWAY) == COST


def test_the_quota_never_grows_beyond_its_beginning() -> None:
    quota = Quota()
    quota.refund(0)
    assert quota.left == QUOTA == 500


@pytest.mark.parametrize(("said", "meant"), [("", 3), ("1", 1), (" 10 ", 10)])
def test_the_operator_says_how_many_attempts_there_are(said: str, meant: int) -> None:
    assert attempts_of({"AWS_MAX_ATTEMPTS": said}) == meant


@pytest.mark.parametrize("said", ["0", "-1", "many", "1.5"])
def test_what_is_no_number_of_attempts_is_refused(said: str) -> None:
    with pytest.raises(BadInput, match="AWS_MAX_ATTEMPTS: must be a whole number of at least 1"):
        attempts_of({"AWS_MAX_ATTEMPTS": said})
