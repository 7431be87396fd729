import pytest

from agent.model.credentials import RoleCredentials
from agent.model.errors import BadInput
from agent.model.names import Image, TaskArn
from agent.model.task import ContainerSpec, PortMapping, TaskSpec, Transport
from agent.wire.acs_spec import is_stop, read_arn, read_roles, read_spec
from tests.wire.acs_samples import ARN, ROLE, a_task, a_task_with, raw


def test_a_task_is_read_as_it_was_asked_for() -> None:
    task = a_task(roleCredentials=ROLE, executionRoleCredentials={**ROLE, "credentialsId": "77aa-exec"})

    assert read_spec(raw(task)) == TaskSpec(
        arn=TaskArn(ARN),
        family="shop",
        version="7",
        cpu=0.5,
        memory=512,
        network_mode="bridge",
        task_credentials_id="b9c1-app",
        execution_credentials_id="77aa-exec",
        containers=(
            ContainerSpec(
                name="web",
                image=Image("nginx:1.27"),
                essential=True,
                cpu=256,
                memory=128,
                command=("nginx", "-g", "daemon off;"),
                entry_point=("/bin/sh",),
                environment={"MODE": "prod"},
                ports=(PortMapping(80, 0, Transport.TCP), PortMapping(53, 0, Transport.UDP)),
                stop_timeout=45.0,
                docker_config='{"User":"nobody"}',
                host_config='{"NetworkMode":"bridge"}',
                container_arn="arn:aws:ecs:us-west-2:111122223333:container/demo/1",
            ),
        ),
    )


def test_what_is_absent_has_the_protocols_defaults() -> None:
    spec = read_spec(raw({"arn": ARN, "containers": [{"name": "a", "image": "b"}, {"name": "c", "image": "b"}]}))

    assert spec == TaskSpec(
        TaskArn(ARN), "", "", (ContainerSpec("a", Image("b"), essential=False), ContainerSpec("c", Image("b")))
    )
    assert spec.network_mode == "bridge"
    assert spec.containers[0].stop_timeout is None


@pytest.mark.parametrize(
    ("overrides", "command"),
    [(None, "nginx"), ("{}", "nginx"), ("null", "nginx"), ('{"command":null}', "nginx"), ('{"command":["sh"]}', "sh")],
)
def test_overrides_may_replace_the_command(overrides: str | None, command: str) -> None:
    assert read_spec(raw(a_task_with(overrides=overrides))).containers[0].command[0] == command


def test_no_task_asks_for_more_processors_than_anybody_has() -> None:
    with pytest.raises(BadInput, match=r"cpu: must be a number of processors, 1048576 at most"):
        read_spec(raw(a_task(cpu=1e308)))


def test_a_stop_timeout_of_zero_leaves_it_to_the_agents_setting() -> None:
    assert read_spec(raw(a_task_with(stopTimeout=0))).containers[0].stop_timeout is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"overrides": ""}, "containers[0].overrides: is not JSON"),
        ({"overrides": "{"}, "containers[0].overrides: is not JSON"),
        ({"overrides": '{"cpu":1}'}, "containers[0].overrides: object contains unknown field `cpu`"),
        ({"overrides": {"command": ["sh"]}}, "containers[0].overrides: expected `str | null`, got `object`"),
        ({"name": ""}, "containers[0].name: must not be empty"),
        ({"name": 7}, "containers[0].name: expected `str | null`, got `int`"),
        ({"image": None}, "containers[0].image: must not be empty"),
        ({"cpu": -1}, "containers[0].cpu: expected `int` >= 0"),
        ({"memory": "128"}, "containers[0].memory: expected `int | null`, got `str`"),
        ({"portMappings": [{}]}, "containers[0].portMappings[0].containerPort: must be a port from 1 to 65535"),
        (
            {"portMappings": [{"containerPort": 65536}]},
            "containers[0].portMappings[0].containerPort: expected `int` <= 65535",
        ),
        (
            {"portMappings": [{"containerPort": 80, "protocol": "sctp"}]},
            "containers[0].portMappings[0].protocol: must be tcp or udp",
        ),
        ({"dockerConfig": {"config": "{"}}, "containers[0].dockerConfig.config: is not JSON"),
        ({"dockerConfig": {"hostConfig": "[]"}}, "containers[0].dockerConfig.hostConfig: must hold a JSON object"),
        (
            {"dockerConfig": {"hostConfig": {}}},
            "containers[0].dockerConfig.hostConfig: expected `str | null`, got `object`",
        ),
    ],
)
def test_a_wrong_container_is_refused_with_the_field_and_the_rule(changes: dict[str, object], error: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_spec(raw(a_task_with(**changes)))

    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"containers": []}, "containers: must name at least one container"),
        ({"containers": [{"name": "a", "image": "b"}] * 2}, "containers: two containers have the same name"),
        ({"networkMode": "mesh"}, "networkMode: must be one of awsvpc, bridge, host, none"),
        ({"version": 7}, "version: expected `str | null`, got `int`"),
        ({"memory": 2**64}, "memory: expected `int` <= 9223372036854775807"),
        ({"cpu": -0.5}, "cpu: expected `float` >= 0.0"),
        ({"roleCredentials": {"roleArn": "x"}}, "roleCredentials.credentialsId: must not be empty"),
        ({"executionRoleCredentials": {}}, "executionRoleCredentials.credentialsId: must not be empty"),
    ],
)
def test_a_wrong_task_is_refused_with_the_field_and_the_rule(changes: dict[str, object], error: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_spec(raw(a_task(**changes)))

    assert str(caught.value) == error


def test_the_name_of_a_task_is_read_whatever_else_is_wrong() -> None:
    assert read_arn(raw({"arn": ARN, "containers": 7, "desiredStatus": []})) == ARN


@pytest.mark.parametrize("task", [None, 7, {}, {"arn": None}, {"arn": ""}, {"arn": 7}])
def test_a_task_without_a_name_is_refused(task: object) -> None:
    with pytest.raises(BadInput):
        read_arn(raw(task))


@pytest.mark.parametrize(("word", "stop"), [("RUNNING", False), ("STOPPED", True), ("DEAD", True)])
def test_the_desired_status_says_run_or_stop(word: str, stop: bool) -> None:  # noqa: FBT001
    assert is_stop(raw({"desiredStatus": word})) is stop


@pytest.mark.parametrize("word", [None, "", "NONE", "UNKNOWN", "MANIFEST_PULLED", "CREATED", "running", 7, []])
def test_any_other_desired_status_is_refused(word: object) -> None:
    with pytest.raises(BadInput, match=r"^desiredStatus: "):
        is_stop(raw({"desiredStatus": word}))


def test_the_values_of_both_roles_are_read() -> None:
    task = {"roleCredentials": ROLE, "executionRoleCredentials": {"credentialsId": "77aa-exec"}}

    assert read_roles(raw(task)) == (
        RoleCredentials(
            "b9c1-app",
            "arn:aws:iam::111122223333:role/app",
            "TaskApplication",
            "2026-01-15T18:00:00Z",
            access_key_id="ASIAVISIBLE",
            secret_access_key="hush-secret",
            session_token="hush-token",
        ),
        RoleCredentials("77aa-exec", "", "TaskExecution", "", access_key_id="", secret_access_key="", session_token=""),
    )
