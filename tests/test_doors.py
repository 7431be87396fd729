"""Those who watch what happens."""

from structlog.testing import capture_logs

from agent.doors import Witness
from agent.model.clock import utc_now
from agent.model.decision import Decision
from agent.model.events import ClockStepped, Event
from agent.operator.chronicle import Chronicle
from agent.operator.meter import Meter


class Broken(Meter):
    """Figures with a bug."""

    def note(self, event: Event, decision: Decision) -> None:
        super().note(event, decision)
        raise KeyError("PLANTED")


class Torn(Chronicle):
    """Stories with a bug."""

    def note(self, event: Event, decision: Decision) -> None:
        raise KeyError("PLANTED")


def test_a_bug_in_what_watches_is_told_and_ends_nothing() -> None:
    meter = Broken(lambda: 0.0)
    witness = Witness(Torn(), meter)
    now = utc_now()

    with capture_logs() as lines:
        witness.note(ClockStepped(now - now, now), Decision())

    assert meter.events["clock_stepped"] == 1
    assert [(one["event"], one["log_level"]) for one in lines] == [("witness_broke", "error")] * 2
    assert "PLANTED" not in repr([line["bug"] for line in lines])
