import json
from dataclasses import replace
from typing import Unpack

import pytest

from agent.docker import overlay, translate
from agent.docker.surroundings import Surroundings
from agent.model.acts import Wiring
from agent.model.credentials import ContainerValues
from agent.model.errors import GiveUp
from agent.model.task import Lease, PortMapping, Transport
from tests.docker.making import Changes, an_act, with_spec

WEB = Lease(container_port=80, host_port=8080)
DNS = Lease(container_port=53, host_port=5353, transport=Transport.UDP)


def test_the_fields_of_a_container_fill_the_body() -> None:
    act = with_spec(
        an_act(), command=("a", "b"), entry_point=("/e",), environment={"B": "2", "A": "1"}, cpu=256, memory=64
    )

    body = translate.create_body(act)

    assert body["Image"] == "dockworker.invalid/test:1"
    assert body["Cmd"] == ["a", "b"]
    assert body["Entrypoint"] == ["/e"]
    assert body["Env"] == ["A=1", "B=2"]
    assert body["HostConfig"]["CpuShares"] == 256
    assert body["HostConfig"]["Memory"] == 64 * 1024 * 1024
    assert body["HostConfig"]["NetworkMode"] == "bridge"


def test_without_command_and_entry_point_the_image_decides() -> None:
    body = translate.create_body(with_spec(an_act(), command=()))

    assert "Cmd" not in body
    assert "Entrypoint" not in body


@pytest.mark.parametrize(("asked", "given"), [(0, 2), (1, 2), (2, 2), (1024, 1024), (999_999, 262_144)])
def test_cpu_shares_stay_within_what_the_kernel_takes(asked: int, given: int) -> None:
    assert translate.create_body(with_spec(an_act(), cpu=asked))["HostConfig"]["CpuShares"] == given


@pytest.mark.parametrize(("asked", "given"), [(0, 0), (1, 6 << 20), (6, 6 << 20), (7, 7 << 20)])
def test_memory_is_raised_to_what_docker_takes(asked: int, given: int) -> None:
    assert translate.create_body(with_spec(an_act(), memory=asked))["HostConfig"]["Memory"] == given


def test_leases_are_published_for_every_address() -> None:
    body = translate.create_body(replace(an_act(), leases=(WEB, DNS)))

    assert body["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert body["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "", "HostPort": "5353"}],
    }


def test_one_container_port_may_have_two_host_ports() -> None:
    body = translate.create_body(replace(an_act(), leases=(WEB, replace(WEB, host_port=8081))))

    assert [b["HostPort"] for b in body["HostConfig"]["PortBindings"]["80/tcp"]] == ["8080", "8081"]


def test_a_range_is_published_port_by_port() -> None:
    body = translate.create_body(replace(an_act(), leases=(Lease(8000, 9000, count=3),)))

    assert body["ExposedPorts"] == {"8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}}
    assert {port: entry[0]["HostPort"] for port, entry in body["HostConfig"]["PortBindings"].items()} == {
        "8000/tcp": "9000",
        "8001/tcp": "9001",
        "8002/tcp": "9002",
    }


def test_what_a_container_shares_with_its_task_is_said_in_dockers_words() -> None:
    wiring = Wiring(
        links=("ecs-shop-3-db-1:db",),
        binds=("/srv:/data:ro",),
        volumes_from=("ecs-shop-3-files-1:ro",),
        pid_mode="host",
        ipc_mode="none",
        cgroup_parent="/ecs/abc",
    )

    host = translate.create_body(replace(an_act(), wiring=wiring))["HostConfig"]

    assert host["Links"] == ["ecs-shop-3-db-1:db"]
    assert host["Binds"] == ["/srv:/data:ro"]
    assert host["VolumesFrom"] == ["ecs-shop-3-files-1:ro"]
    assert (host["PidMode"], host["IpcMode"], host["CgroupParent"]) == ("host", "none", "/ecs/abc")


def test_what_is_the_tasks_wins_over_the_text_and_lists_of_the_text_win_over_ours() -> None:
    wiring = Wiring(binds=("/srv:/data",), pid_mode="host", ipc_mode="host", cgroup_parent="/ecs/abc")
    text = {"binds": ["/x:/y"], "cgroupparent": "/mine", "pidMode": "", "IPCMODE": "private"}

    host = translate.create_body(with_spec(replace(an_act(), wiring=wiring), host_config=json.dumps(text)))[
        "HostConfig"
    ]

    assert host["Binds"] == ["/x:/y"]
    assert (host["PidMode"], host["IpcMode"], host["CgroupParent"]) == ("host", "host", "/ecs/abc")
    assert len({key.lower() for key in host}) == len(host)


@pytest.mark.parametrize(("own", "of_task", "given"), [(0, 512, 512 << 20), (64, 512, 64 << 20), (0, 0, 0)])
def test_a_container_without_a_limit_shows_the_tasks_where_asked(own: int, of_task: int, given: int) -> None:
    act = with_spec(replace(an_act(), wiring=Wiring(task_memory=of_task)), memory=own)

    assert translate.create_body(act)["HostConfig"]["Memory"] == given


def test_a_host_may_run_all_containers_by_another_runtime_and_the_text_may_say_otherwise() -> None:
    host = Surroundings(runtime="runsc")

    def runtime_of(text: str) -> object:
        return translate.create_body(an_act(host_config=text), host=host)["HostConfig"]["Runtime"]

    assert "Runtime" not in translate.create_body(an_act())["HostConfig"]
    assert runtime_of("") == "runsc"
    assert runtime_of('{"runtime": "kata"}') == "kata"


@pytest.mark.parametrize(
    ("environment", "gpus", "host", "runtime"),
    [
        ({}, ("GPU-1", "GPU-2"), Surroundings(), "nvidia"),
        ({}, ("GPU-1",), Surroundings(nvidia_runtime="nv", runtime="runsc"), "nv"),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, (), Surroundings(), "nvidia"),
        ({}, (), Surroundings(), None),
        ({}, ("GPU-1",), Surroundings(external=True), None),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, (), Surroundings(external=True), None),
        ({"AWS_NEURON_VISIBLE_DEVICES": "ALL"}, (), Surroundings(inferentia=True), "neuron"),
        ({"AWS_NEURON_VISIBLE_DEVICES": "ALL"}, (), Surroundings(), None),
    ],
)
def test_devices_bring_their_runtime(
    environment: dict[str, str], gpus: tuple[str, ...], host: Surroundings, runtime: str | None
) -> None:
    act = replace(an_act(environment=environment, gpus=gpus), wiring=Wiring(has_gpus=True))

    assert translate.create_body(act, host=host)["HostConfig"].get("Runtime") == runtime


def test_a_variable_alone_brings_no_runtime_to_a_task_without_gpus() -> None:
    body = translate.create_body(an_act(environment={"NVIDIA_VISIBLE_DEVICES": "all"}))

    assert "Runtime" not in body["HostConfig"]


def test_outside_aws_gpus_are_asked_of_docker() -> None:
    host = Surroundings(external=True)

    body = translate.create_body(an_act(gpus=("GPU-1",)), host=host)

    assert body["HostConfig"]["DeviceRequests"] == [{"Capabilities": [["gpu"]], "DeviceIDs": ["GPU-1"]}]
    assert body["Env"] == []
    assert "DeviceRequests" not in translate.create_body(an_act(), host=Surroundings(external=True))["HostConfig"]


def test_an_empty_ipc_mode_means_what_the_host_is_known_for_unless_something_is_said() -> None:
    host = Surroundings(ipc_mode="shareable")
    of_task = replace(an_act(), wiring=Wiring(ipc_mode="host"))

    assert translate.create_body(an_act(), host=host)["HostConfig"]["IpcMode"] == "shareable"
    said = translate.create_body(an_act(host_config='{"IpcMode": "private"}'), host=host)
    assert said["HostConfig"]["IpcMode"] == "private"
    assert translate.create_body(of_task, host=host)["HostConfig"]["IpcMode"] == "host"


def test_health_that_is_to_be_kept_needs_a_check() -> None:
    with pytest.raises(GiveUp, match="no Healthcheck") as told:
        translate.create_body(an_act(health_check=True))
    body = translate.create_body(an_act(health_check=True, docker_config='{"healthcheck": {"test": ["CMD", "true"]}}'))

    assert told.value.name == "DockerClientConfigError"
    assert body["Healthcheck"] == {"Test": ["CMD", "true"]}


@pytest.mark.parametrize("mode", ["host", "none"])
def test_without_a_bridge_ports_are_named_and_not_published(mode: str) -> None:
    act = replace(an_act(ports=(PortMapping(80), PortMapping(8000, count=2))), leases=(WEB,), network_mode=mode)

    body = translate.create_body(act)

    assert body["HostConfig"]["NetworkMode"] == mode
    assert body["HostConfig"]["PortBindings"] == {}
    assert body["ExposedPorts"] == {"80/tcp": {}, "8000/tcp": {}, "8001/tcp": {}}


def test_ecs_texts_are_laid_over_as_go_would_read_them() -> None:
    config: dict[str, object] = {
        "user": "1000",
        "env": ["ONLY=this"],
        "exposedPORTS": {"9/tcp": {}},
        "Cmd": None,
        "image": None,
    }
    host = {"memory": 99, "PortBindings": {"9/tcp": [{"HostPort": "9"}]}, "CapAdd": ["NET_ADMIN"], "CpuShares": None}
    act = replace(an_act(), leases=(WEB,))
    act = with_spec(act, cpu=7, environment={"A": "1"}, docker_config=json.dumps(config), host_config=json.dumps(host))

    body = translate.create_body(act)

    assert body["user"] == "1000"
    assert "env" not in body
    assert body["Env"] == ["ONLY=this"]
    assert body["ExposedPorts"] == {"80/tcp": {}, "9/tcp": {}}
    assert body["Cmd"] == []
    assert body["Image"] == act.spec.image
    assert body["HostConfig"]["Memory"] == 99
    assert body["HostConfig"]["CpuShares"] == 7
    assert set(body["HostConfig"]["PortBindings"]) == {"80/tcp", "9/tcp"}
    assert body["HostConfig"]["CapAdd"] == ["NET_ADMIN"]


def test_a_config_cannot_bring_a_host_config_of_its_own() -> None:
    smuggled = '{"hostConfig": {"Privileged": true}, "NetworkingConfig": {"EndpointsConfig": {}}}'

    body = translate.create_body(with_spec(an_act(), docker_config=smuggled))

    assert "hostConfig" not in body
    assert "NetworkingConfig" not in body
    assert "Privileged" not in body["HostConfig"]


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"Labels": ["a"]}', '{"Env": "A=1"}'])
def test_a_bad_config_text_names_itself_and_shows_nothing_of_its_values(text: str) -> None:
    with pytest.raises(GiveUp, match="docker config") as told:
        translate.create_body(with_spec(an_act(), docker_config=text))

    assert told.value.name == "DockerClientConfigError"
    assert "A=1" not in str(told.value)


def test_a_bad_host_config_text_has_its_own_name() -> None:
    with pytest.raises(GiveUp) as told:
        translate.create_body(with_spec(an_act(), host_config="nonsense"))

    assert told.value.reason.startswith("HostConfigError: Unable to decode given host config: it is no JSON")


def test_our_labels_win_over_the_users_and_theirs_stay() -> None:
    body = translate.create_body(
        with_spec(an_act(), docker_config='{"Labels": {"team": "a", "dockworker.agent": "x"}}')
    )

    labelled = translate.labelled(body, {"dockworker.agent": "ours"})

    assert labelled["Labels"] == {"team": "a", "dockworker.agent": "ours"}


def test_the_digest_tells_bodies_apart_but_not_their_secrets() -> None:
    act = replace(an_act(), leases=(WEB,))
    log = '{"LogConfig": {"Type": "splunk", "Config": {"splunk-token": "%s"}}}'

    def digest_of(**changes: Unpack[Changes]) -> str:
        return translate.digest(translate.create_body(with_spec(act, **changes)))

    assert digest_of() == digest_of()
    assert digest_of(cpu=512) != digest_of()
    assert digest_of(environment={"A": "1"}) == digest_of(environment={"A": "2"})
    assert digest_of(environment={"A": "1"}) != digest_of(environment={"B": "1"})
    assert digest_of(host_config=log % "one") == digest_of(host_config=log % "two")
    assert digest_of(host_config=log % "one") != digest_of()
    moved = replace(act, leases=(replace(WEB, host_port=8081),))
    assert translate.digest(translate.create_body(moved)) != digest_of()


def test_private_values_are_those_of_environment_and_log_options() -> None:
    log = '{"logconfig": {"type": "splunk", "config": {"splunk-token": "tttt"}}}'
    act = with_spec(an_act(), environment={"A": "x=y"}, host_config=log)

    assert translate.private_in(translate.create_body(act)) == {"x=y", "tttt"}


def test_the_name_of_a_region_is_not_private() -> None:
    body = translate.create_body(an_act(), host=Surroundings(region="eu-west-1"))

    assert "AWS_REGION=eu-west-1" in body["Env"]
    assert translate.private_in(body) == frozenset()


def test_host_ports_are_public_however_oddly_they_are_written() -> None:
    text = json.dumps(
        {"PortBindings": {"81/tcp": None, "82/tcp": ["x"], "83/tcp": [{"HostPort": "83"}], "84/tcp": "x"}}
    )
    body = translate.create_body(with_spec(replace(an_act("sh"), leases=(WEB,)), host_config=text))

    assert translate.public_in(body) == {"sh", "8080", "83"}


def test_values_that_were_fetched_are_private_and_change_no_digest() -> None:
    def with_secret(value: str) -> overlay.Body:
        values = ContainerValues({"TOKEN": value}, {"splunk-token": f"{value}-option"})
        return translate.create_body(an_act("sh", host_config='{"LogConfig": {"Type": "splunk"}}'), values)

    assert translate.private_in(with_secret("hunter2")) == {"hunter2", "hunter2-option"}
    assert translate.digest(with_secret("hunter2")) == translate.digest(with_secret("other"))


def test_the_words_of_the_command_are_public() -> None:
    act = with_spec(an_act(), command=("run", "it"), entry_point=("/e",))

    assert translate.public_in(translate.create_body(act)) == {"run", "it", "/e"}
