import pytest

from agent.aws.failures import EcsError, verdict_on
from agent.aws.retry import ONCE, STANDARD, wait_after
from agent.model.reports import Verdict

THROTTLED = EcsError("ThrottlingException", "slow down", 400)
REFUSED = EcsError("ClientException", "no", 400)
AWAY = EcsError("", "cannot reach ECS")
BROKEN = EcsError("ServerException", "oops", 500)
POLITE = EcsError("ServerException", "oops", 400)


@pytest.mark.parametrize(
    ("error", "waits"), [(THROTTLED, True), (AWAY, True), (BROKEN, True), (REFUSED, False), (POLITE, False)]
)
def test_only_failures_that_may_pass_are_repeated(error: EcsError, *, waits: bool) -> None:
    assert (wait_after(1, STANDARD, error, 0.5) is not None) is waits


def test_a_call_is_made_three_times_in_all() -> None:
    assert [wait_after(n, STANDARD, AWAY, 0.5) for n in (1, 2, 3)] == [1.0, 2.0, None]
    assert wait_after(1, ONCE, AWAY, 0.5) is None


def test_no_wait_is_longer_than_twenty_seconds() -> None:
    assert wait_after(9, 10, AWAY, 0.99) == 20.0


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("InvalidParameterException", Verdict.REFUSED),
        ("ClientException", Verdict.HELD),
        ("AccessDeniedException", Verdict.HELD),
        ("ClusterNotFoundException", Verdict.HELD),
        ("ServerException", Verdict.LATER),
        ("ThrottlingException", Verdict.LATER),
        ("UnrecognizedClientException", Verdict.LATER),
        ("", Verdict.LATER),
    ],
)
def test_each_answer_to_a_report_has_its_verdict(code: str, verdict: Verdict) -> None:
    assert verdict_on(EcsError(code, "text", 400)) is verdict


def test_inactivity_is_heard_wherever_it_is_said() -> None:
    assert EcsError("InactiveInstanceException", "gone", 400).says_inactive
    assert EcsError("ClientException", "InactiveInstanceException: gone", 400).says_inactive
    assert not REFUSED.says_inactive
