from datetime import UTC, datetime
from typing import Any

import pytest

from agent.docker import inspected, labels
from agent.model.errors import TryAgain
from agent.model.identity import Identity
from agent.model.names import DockerId
from agent.model.seen import Phase, Seen, Summary
from agent.model.status import Status
from agent.model.task import Binding, Transport
from tests.docker.making import an_act

OURS = Identity(agent_id="a1", cluster="tests", instance_arn="arn:instance/1")
ACT = an_act()
LABELS = labels.write(labels.of_act(ACT, OURS, "d1"), "tests")
NEVER = "0001-01-01T00:00:00Z"
STARTED, FINISHED = "2024-05-01T10:00:00.123456789Z", "2024-05-01T12:00:01+02:00"


def an_inspect(**state: object) -> dict[str, Any]:
    said = {"Status": "created", "Running": False, "ExitCode": 0, "Error": "", "OOMKilled": False}
    return {
        "Id": "f" * 64,
        "Name": "/ecs-shop-3-web-1",
        "Created": "2024-05-01T09:59:59Z",
        "State": said | {"StartedAt": NEVER, "FinishedAt": NEVER} | state,
        "Config": {"Labels": LABELS, "Env": ["TOKEN=hunter2-hunter2"], "Cmd": ["sleep"], "Entrypoint": None},
        "HostConfig": {
            "LogConfig": {"Type": "splunk", "Config": {"splunk-token": "tttt-tttt"}},
            "PortBindings": {
                "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
                "81/tcp": [{"HostIp": "", "HostPort": ""}],
            },
        },
        "NetworkSettings": {"Ports": {}},
    }


def seen(raw: dict[str, Any], *, with_ipv6: bool = False) -> Seen:
    found = inspected.seen(raw, OURS, with_ipv6=with_ipv6)
    assert found is not None
    return found


def test_a_created_container_has_no_exit_code_and_no_times() -> None:
    found = seen(an_inspect())

    assert found.name == "ecs-shop-3-web-1"
    assert found.docker_id == "f" * 64
    assert (found.phase, found.status) == (Phase.CREATED, Status.CREATED)
    assert (found.exit_code, found.started_at, found.finished_at) == (None, None, None)
    assert found.created_at == datetime(2024, 5, 1, 9, 59, 59, tzinfo=UTC)
    assert found.labels == labels.read(LABELS)


def test_an_exited_container_has_an_exit_code_and_times_in_utc() -> None:
    found = seen(an_inspect(Status="exited", ExitCode=7, StartedAt=STARTED, FinishedAt=FINISHED))

    assert (found.status, found.exit_code) == (Status.STOPPED, 7)
    assert found.started_at == datetime(2024, 5, 1, 10, 0, 0, 123456, tzinfo=UTC)
    assert found.finished_at == datetime(2024, 5, 1, 10, 0, 1, tzinfo=UTC)


def test_a_container_that_runs_again_has_no_exit_code() -> None:
    found = seen(an_inspect(Status="running", Running=True, ExitCode=0, StartedAt=STARTED, FinishedAt=FINISHED))

    assert (found.status, found.exit_code) == (Status.RUNNING, None)


def test_one_that_failed_to_start_has_stopped_without_exit_code() -> None:
    found = seen(an_inspect(Status="created", ExitCode=127, Error="exec failed"))

    assert (found.status, found.exit_code, found.error) == (Status.STOPPED, None, "exec failed")


def test_an_out_of_memory_kill_is_shown() -> None:
    found = seen(an_inspect(Status="exited", ExitCode=137, OOMKilled=True, StartedAt=STARTED, FinishedAt=FINISHED))

    assert (found.oom_killed, found.exit_code) == (True, 137)


def test_errors_are_shown_without_the_values_of_environment_and_log_options() -> None:
    found = seen(an_inspect(Error="cannot log to splunk with tttt-tttt as hunter2-hunter2: sleep"))

    assert found.error == "cannot log to splunk with *** as ***: sleep"
    assert "hunter2" not in repr(found)
    assert "tttt" not in repr(found)


def test_bindings_are_those_of_ipv4_unless_told_otherwise() -> None:
    raw = an_inspect(Status="running", Running=True, StartedAt=STARTED)
    both = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
    raw["NetworkSettings"]["Ports"] = {
        "80/tcp": both,
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
        "81/tcp": None,
        "82/sctp": [{"HostIp": "0.0.0.0", "HostPort": "82"}],
    }

    udp, tcp = Binding(53, 53, Transport.UDP, "127.0.0.1"), Binding(80, 8080, Transport.TCP, "0.0.0.0")
    assert seen(raw).bindings == (udp, tcp)
    assert seen(raw, with_ipv6=True).bindings == (udp, tcp, Binding(80, 8080, Transport.TCP, "::"))


def test_what_is_not_ours_is_not_seen() -> None:
    raw = an_inspect()

    assert inspected.seen(raw, Identity(agent_id="b", cluster="tests", instance_arn="arn:instance/2")) is None
    assert inspected.seen(raw, Identity(agent_id="b", cluster="tests", instance_arn="arn:instance/1")) is not None
    raw["Config"]["Labels"] = None
    assert inspected.seen(raw, OURS) is None


def test_an_inspect_that_cannot_be_read_means_nothing() -> None:
    for broken in (an_inspect(Status="levitating"), an_inspect(StartedAt="yesterday"), {"Id": 7}):
        with pytest.raises(TryAgain, match="Docker's"):
            inspected.seen(broken, OURS)


def test_what_is_held_names_ports_and_shows_no_value() -> None:
    held = inspected.held(an_inspect())

    assert held.published == {8080}
    assert held.scrubbed("sleep with hunter2-hunter2") == "sleep with ***"
    assert "hunter2" not in repr(held)


def test_a_line_of_a_listing_is_summed_up() -> None:
    line = {"Id": "f" * 64, "State": "exited", "Labels": LABELS}

    assert inspected.summary(line, OURS) == Summary(DockerId("f" * 64), Phase.EXITED, ACT.task, "web")
    assert inspected.summary(line, Identity(agent_id="b", cluster="tests")) is None
    assert inspected.summary(line | {"Labels": None}, OURS) is None


def test_a_listing_that_cannot_be_read_means_nothing() -> None:
    with pytest.raises(TryAgain):
        inspected.summary({"Id": "f" * 64, "State": "levitating", "Labels": LABELS}, OURS)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", None),
        (NEVER, None),
        ("2024-05-01T10:00:00Z", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01T10:00:00.5Z", datetime(2024, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2024-05-01T10:00:00.999999999Z", datetime(2024, 5, 1, 10, 0, 0, 999_999, tzinfo=UTC)),
    ],
)
def test_times_are_whole_microseconds_in_utc(text: str, moment: datetime | None) -> None:
    assert inspected.moment(text) == moment
