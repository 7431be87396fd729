from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.docker import inspected, labels
from agent.docker.bindings import ONLY_IPV4
from agent.docker.bindings import untold as untold_by
from agent.model.errors import TryAgain
from agent.model.identity import Identity
from agent.model.names import DockerId
from agent.model.seen import Phase, Seen, Summary
from agent.model.status import Health, Status
from agent.model.task import Binding, PortMapping, Transport
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


def seen(raw: dict[str, Any], *, untold: frozenset[str] = ONLY_IPV4) -> Seen:
    found = inspected.seen(raw, OURS, untold=untold)
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


@pytest.mark.parametrize("code", [0, 143])
def test_one_that_ended_as_it_should_was_not_killed_for_its_memory_whatever_else_was(code: int) -> None:
    found = seen(an_inspect(Status="exited", ExitCode=code, OOMKilled=True, StartedAt=STARTED, FinishedAt=FINISHED))

    assert (found.oom_killed, found.exit_code) == (False, code)


def test_one_that_still_runs_was_not_killed() -> None:
    assert not seen(an_inspect(Status="running", Running=True, OOMKilled=True, StartedAt=STARTED)).oom_killed


@pytest.mark.parametrize(
    ("members", "phase"),
    [
        ({"Running": True, "StartedAt": STARTED}, Phase.RUNNING),
        ({"Running": True, "Paused": True, "StartedAt": STARTED}, Phase.PAUSED),
        ({"Dead": True, "StartedAt": STARTED}, Phase.DEAD),
        ({"StartedAt": STARTED, "FinishedAt": FINISHED}, Phase.EXITED),
        ({}, Phase.CREATED),
    ],
)
def test_a_new_word_for_a_phase_is_understood_from_what_stands_beside_it(
    members: dict[str, object], phase: Phase
) -> None:
    assert seen(an_inspect(Status="levitating", **members)).phase is phase


@pytest.mark.parametrize(
    ("health", "told"),
    [
        (None, None),
        ({"Status": "none"}, None),
        ({"Status": "starting", "Log": None}, Health.UNKNOWN),
        ({"Status": "healthy", "Log": []}, Health.HEALTHY),
        ({"Status": "unhealthy"}, Health.UNHEALTHY),
        ({"Status": "dizzy"}, Health.UNKNOWN),
    ],
)
def test_health_is_told_in_the_words_of_ecs(health: object, told: Health | None) -> None:
    found = seen(an_inspect(Status="running", Running=True, StartedAt=STARTED, Health=health))

    assert (found.health, found.health_output) == (told, "")


def test_the_last_output_of_a_health_check_is_kept_from_its_end_without_private_values() -> None:
    wrote = "\u00e9" * 2000 + "refused: hunter2-hunter2"
    health = {"Status": "unhealthy", "Log": [{"Output": "older"}, {"Output": wrote, "ExitCode": 1}]}

    told = seen(an_inspect(Health=health)).health_output

    assert told.endswith("\u00e9refused: ***")
    assert 1022 <= len(told.encode()) <= 1024
    assert set(told.removesuffix("refused: ***")) == {"\u00e9"}


def with_ports(*asked: PortMapping) -> dict[str, Any]:
    raw = an_inspect(Status="running", Running=True, StartedAt=STARTED)
    ours = labels.of_act(replace(ACT, spec=replace(ACT.spec, ports=asked)), OURS, "d1")
    raw["Config"]["Labels"] = labels.write(ours, "tests")
    return raw


def test_a_range_that_was_asked_for_is_one_binding() -> None:
    raw = with_ports(PortMapping(80), PortMapping(8000, count=3))
    ports = {"80/tcp": 79, "8000/tcp": 9000, "8001/tcp": 9001, "8002/tcp": 9002, "8003/tcp": 9003, "8001/udp": 9001}
    raw["NetworkSettings"]["Ports"] = {
        port: [{"HostIp": "0.0.0.0", "HostPort": str(host)}, {"HostIp": "::", "HostPort": str(host)}]
        for port, host in ports.items()
    }

    assert seen(raw).bindings == (
        Binding(80, 79, Transport.TCP, "0.0.0.0"),
        Binding(8000, 9000, Transport.TCP, "0.0.0.0", count=3),
        Binding(8001, 9001, Transport.UDP, "0.0.0.0"),
        Binding(8003, 9003, Transport.TCP, "0.0.0.0"),
    )
    assert [b.bind_ip for b in seen(raw, untold=frozenset()).bindings if b.count == 3] == ["0.0.0.0", "::"]


def test_ports_that_do_not_follow_each_other_are_no_range() -> None:
    raw = with_ports(PortMapping(8000, count=2))
    raw["NetworkSettings"]["Ports"] = {
        "8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9000"}],
        "8001/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9005"}],
    }

    assert [(b.container_port, b.host_port, b.count) for b in seen(raw).bindings] == [(8000, 9000, 1), (8001, 9005, 1)]


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
    assert seen(raw, untold=frozenset()).bindings == (udp, tcp, Binding(80, 8080, Transport.TCP, "::"))


@pytest.mark.parametrize(
    ("excludes_ipv6", "ipv6_only", "told"),
    [(True, False, ["0.0.0.0"]), (False, False, ["0.0.0.0", "::"]), (True, True, ["::"]), (False, True, ["::"])],
)
def test_ecs_is_told_of_addresses_that_somebody_can_reach(
    *, excludes_ipv6: bool, ipv6_only: bool, told: list[str]
) -> None:
    raw = an_inspect()
    raw["NetworkSettings"]["Ports"] = {"80/tcp": [{"HostIp": ip, "HostPort": "8080"} for ip in ("0.0.0.0", "::")]}

    found = seen(raw, untold=untold_by(excludes_ipv6=excludes_ipv6, ipv6_only=ipv6_only))
    assert [binding.bind_ip for binding in found.bindings] == told


def with_variables(*variables: str) -> Seen:
    raw = an_inspect()
    raw["Config"]["Env"] = ["PATH=/bin", *variables]
    return seen(raw)


def test_the_ids_by_which_a_container_asks_for_what_is_its_own_are_shown_and_not_printed() -> None:
    metadata_id = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
    for variable in ("ECS_CONTAINER_METADATA_URI", "ECS_CONTAINER_METADATA_URI_V4"):
        version = "v4" if variable.endswith("V4") else "v3"
        found = with_variables(
            f"{variable}=http://169.254.170.2/{version}/{metadata_id}",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/role-1",
        )
        assert (found.metadata_id, found.task_credentials_id) == (metadata_id, "role-1")
        assert metadata_id not in repr(found)
        assert "role-1" not in repr(found)


@pytest.mark.parametrize(
    "variable",
    [
        "ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/../v4",
        "ECS_CONTAINER_METADATA_URI_V4=http://elsewhere/v4/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "MY_ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/elsewhere",
    ],
)
def test_what_is_no_id_of_ours_is_none(variable: str) -> None:
    found = with_variables(variable)
    assert (found.metadata_id, found.task_credentials_id) == ("", "")


def test_what_is_not_ours_is_not_seen() -> None:
    raw = an_inspect()

    assert inspected.seen(raw, Identity(agent_id="b", cluster="tests", instance_arn="arn:instance/2")) is None
    assert inspected.seen(raw, Identity(agent_id="b", cluster="tests", instance_arn="arn:instance/1")) is not None
    raw["Config"]["Labels"] = None
    assert inspected.seen(raw, OURS) is None


def test_an_inspect_that_cannot_be_read_means_nothing() -> None:
    for broken in (an_inspect(Status=None), an_inspect(StartedAt="yesterday"), {"Id": 7}):
        with pytest.raises(TryAgain, match="Docker's"):
            inspected.seen(broken, OURS)


def test_a_host_port_is_shown_though_a_variable_has_the_same_value() -> None:
    raw = an_inspect(Error="port 8080 of eu-west-1 is taken")
    raw["Config"]["Env"] += ["PORT=8080", "AWS_REGION=eu-west-1"]

    assert seen(raw).error == "port 8080 of eu-west-1 is taken"


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


def test_a_listing_leaves_out_a_phase_it_does_not_know() -> None:
    assert inspected.summary({"Id": "f" * 64, "State": "levitating", "Labels": LABELS}, OURS) is None


def test_a_listing_that_cannot_be_read_means_nothing() -> None:
    with pytest.raises(TryAgain):
        inspected.summary({"Id": "f" * 64, "State": 7, "Labels": LABELS}, OURS)


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
