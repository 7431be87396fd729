from typing import Any

import pytest

from agent.docker import portraits
from agent.model.errors import TryAgain
from agent.model.portrait import DockerNetwork, MountPoint, PublishedPort

NEVER = "0001-01-01T00:00:00Z"


def an_inspect() -> dict[str, Any]:
    return {
        "Id": "f" * 64,
        "Name": "/ecs-shop-3-web-1",
        "Created": "2024-05-01T12:00:00.512345678Z",
        "Image": "sha256:9d",
        "State": {"Pid": 77, "StartedAt": "2024-05-01T12:00:01.004Z", "FinishedAt": NEVER},
        "Config": {"Image": "nginx:1.27", "Labels": {"a": "b"}, "Env": ["TOKEN=hunter2-hunter2"]},
        "HostConfig": {"NetworkMode": "default", "LogConfig": {"Config": {"splunk-token": "tttt-tttt"}}},
        "NetworkSettings": {
            "Networks": {"bridge": {"IPAddress": "172.17.0.3", "GlobalIPv6Address": "2001:db8::3"}, "gone": None},
            "Ports": {
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32768"}],
                "81/tcp": None,
            },
        },
        "Mounts": [
            {"Type": "volume", "Name": "v1", "Source": "/var/lib/docker/volumes/v1/_data", "Destination": "/data"},
            {"Type": "bind", "Source": "/srv", "Destination": "/srv"},
        ],
    }


def test_all_that_metadata_are_made_of_is_read() -> None:
    found = portraits.portrait(an_inspect())

    assert (found.docker_id, found.name, found.pid) == ("f" * 64, "ecs-shop-3-web-1", 77)
    assert (found.image, found.image_id, found.labels) == ("nginx:1.27", "sha256:9d", {"a": "b"})
    assert (found.created_at, found.started_at) == ("2024-05-01T12:00:00.512345678Z", "2024-05-01T12:00:01.004Z")
    assert found.finished_at == ""
    assert found.network_mode == "default"
    assert found.networks == (DockerNetwork("bridge", "172.17.0.3", "2001:db8::3"),)
    assert found.addresses == ("172.17.0.3", "2001:db8::3")
    assert found.ports == (PublishedPort(80, "tcp", 32768, "0.0.0.0"), PublishedPort(80, "tcp", 32768, "::"))
    assert found.mounts == (MountPoint("/var/lib/docker/volumes/v1/_data", "/data", "v1"), MountPoint("/srv", "/srv"))


def test_the_private_values_of_a_container_are_not_in_it() -> None:
    shown = repr(portraits.portrait(an_inspect()))

    assert "hunter2" not in shown
    assert "tttt" not in shown


def test_one_that_has_hardly_begun_to_be_is_read_as_well() -> None:
    found = portraits.portrait({"Id": "f" * 64})

    assert (found.started_at, found.pid, found.networks, found.labels) == ("", 0, (), {})


def test_an_inspect_that_cannot_be_read_means_nothing() -> None:
    with pytest.raises(TryAgain, match="cannot be read"):
        portraits.portrait({"Id": 5})
