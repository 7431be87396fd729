import json

import pytest

from agent.docker import facts
from agent.model.errors import TryAgain


def a_version(api: str = "1.41", oldest: str = "1.12", version: str = "20.10.24+dfsg1") -> bytes:
    return json.dumps({"Version": version, "ApiVersion": api, "MinAPIVersion": oldest, "Os": "linux"}).encode()


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [("1.41", "1.12", "v1.41"), ("1.44", "1.24", "v1.44"), ("1.52", "1.44", "v1.44"), ("1.60", "1.50", "v1.50")],
)
def test_the_newest_api_version_that_both_know_is_spoken(newest: str, oldest: str, spoken: str) -> None:
    assert facts.api_version_for(a_version(newest, oldest)) == spoken


@pytest.mark.parametrize(("oldest", "mode"), [("1.12", "shareable"), ("1.24", "shareable"), ("1.44", "")])
def test_an_engine_that_answers_old_requests_is_known_for_shareable_namespaces(oldest: str, mode: str) -> None:
    assert facts.ipc_mode_before_it_was_private(oldest) == mode


def test_versions_are_told_without_build_metadata() -> None:
    assert facts.version_of(a_version()) == "20.10.24"
    assert facts.version_of(a_version(version="28.0.0-rc.1")) == "28.0.0-rc.1"


def test_facts_are_read_from_version_and_info() -> None:
    info = {
        "Plugins": {"Log": ["awslogs", "json-file"], "Volume": ["local"], "Network": None},
        "Runtimes": {"runc": {"path": "runc"}, "nvidia": {}},
        "SecurityOptions": ["name=seccomp,profile=default", "apparmor"],
        "CgroupVersion": "2",
        "CgroupDriver": "systemd",
        "MemTotal": 1 << 30,
        "NCPU": 2,
        "Architecture": "x86_64",
        "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
        "DockerRootDir": "/srv/docker",
    }

    told = facts.read(a_version(), info)

    assert told.logging_drivers == ("awslogs", "json-file")
    assert told.volume_drivers == ("local",)
    assert told.runtimes == ("nvidia", "runc")
    assert told.security_options == ("seccomp", "apparmor")
    assert (told.version, told.api_version, told.oldest_api_version) == ("20.10.24", "1.41", "1.12")
    assert (told.cgroup_driver, told.root_dir) == ("systemd", "/srv/docker")
    assert (told.cgroup_version, told.memory, told.processors) == ("2", 1 << 30, 2)


def test_an_engine_that_says_little_leaves_the_rest_empty() -> None:
    told = facts.read(a_version(), {"SecurityOptions": None, "Runtimes": None, "Plugins": {"Log": None}})

    assert (told.logging_drivers, told.security_options, told.memory) == ((), (), 0)


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"Version": 3}', a_version(api="new")])
def test_a_version_that_cannot_be_read_is_asked_again(answer: bytes) -> None:
    with pytest.raises(TryAgain, match="Docker's"):
        facts.api_version_for(answer)


def test_refusals_are_told_in_dockers_words_or_as_they_came() -> None:
    assert facts.message_of(b'{"message": "no such thing"}') == "no such thing"
    assert facts.message_of(b"<html>502</html>\n") == "<html>502</html>"
    assert facts.message_of(b'{"error": 1}') == '{"error": 1}'
