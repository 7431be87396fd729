"""Whatever happens, in whatever order, the engine keeps its promises.

The quick form plays some three thousand histories. A long form: ``DOCKWORKER_HISTORIES=200000 pytest
tests/engine/test_histories.py --timeout=0``.
"""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.history import History

EXAMPLES = int(os.environ.get("DOCKWORKER_HISTORIES", "3000"))

tapes = st.binary(min_size=30, max_size=240)


def histories(share: float) -> settings:
    return settings(
        max_examples=max(1, int(EXAMPLES * share)),
        deadline=None,
        database=None,
        derandomize="DOCKWORKER_HISTORIES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )


@histories(0.6)
@given(tapes)
def test_whatever_happens_the_promises_are_kept(choices: bytes) -> None:
    History(choices).run()


@histories(0.15)
@given(tapes)
def test_a_user_who_meddles_with_containers_confuses_nobody_for_long(choices: bytes) -> None:
    History(choices, meddling=True).run()


@histories(0.15)
@given(tapes)
def test_containers_that_fall_and_start_again_all_the_time_keep_the_promises_too(choices: bytes) -> None:
    History(choices, restless=True).run()


@histories(0.15)
@given(tapes)
def test_a_journal_that_is_lost_is_rebuilt_from_labels(choices: bytes) -> None:
    History(choices, amnesia=True).run()


@histories(0.1)
@given(tapes)
def test_what_another_agent_ran_is_taken_over_and_nothing_is_started_twice(choices: bytes) -> None:
    History(choices, taken=True).run()
