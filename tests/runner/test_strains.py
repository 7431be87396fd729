from datetime import UTC, datetime

from agent.model.events import Event, Strained
from agent.runner.strains import Strains

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_first_reason_is_heard_and_each_change_of_it_once() -> None:
    heard: list[Event] = []
    strains = Strains(heard.append, lambda: T0)

    for source, reason in (
        ("disk", ""),
        ("journal", "DiskFull: no"),
        ("disk", "DiskPressure: 97 %"),
        ("disk", "DiskPressure: 97 %"),
        ("journal", "DiskFull: no"),
        ("journal", ""),
        ("disk", ""),
        ("disk", ""),
    ):
        strains.say(source, reason)

    assert [event.reason for event in heard if isinstance(event, Strained)] == [
        "DiskFull: no",
        "DiskPressure: 97 %",
        "",
    ]
    assert strains.reason == ""
