import json
from dataclasses import replace
from typing import Unpack

import pytest

from agent.docker import translate
from agent.model.errors import GiveUp
from agent.model.task import Lease, Transport
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


@pytest.mark.parametrize("mode", ["host", "none"])
def test_without_a_bridge_nothing_is_published(mode: str) -> None:
    body = translate.create_body(replace(an_act(), leases=(WEB,), network_mode=mode))

    assert body["HostConfig"]["NetworkMode"] == mode
    assert body["HostConfig"]["PortBindings"] == {}
    assert body["ExposedPorts"] == {}


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

    assert told.value.reason.startswith("HostConfigError: the host config of the container is no JSON")


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


def test_the_words_of_the_command_are_public() -> None:
    act = with_spec(an_act(), command=("run", "it"), entry_point=("/e",))

    assert translate.public_in(translate.create_body(act)) == {"run", "it", "/e"}
