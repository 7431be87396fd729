import pytest

from agent.docker import references
from agent.docker.references import Reference
from agent.model.errors import GiveUp
from agent.model.names import Image

SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("busybox", Reference("busybox", "latest")),
        ("busybox:1.36", Reference("busybox", "1.36")),
        ("library/busybox:1_a.b-c", Reference("library/busybox", "1_a.b-c")),
        ("127.0.0.1:5000/app", Reference("127.0.0.1:5000/app", "latest")),
        ("127.0.0.1:5000/a/b__c.d-e:2", Reference("127.0.0.1:5000/a/b__c.d-e", "2")),
        ("Registry.Example:443/app:1", Reference("Registry.Example:443/app", "1")),
        ("[::1]:5000/app:1", Reference("[::1]:5000/app", "1")),
        (f"r.example/app@{SHA}", Reference("r.example/app", SHA, SHA)),
        (f"r.example/app:1@{SHA}", Reference("r.example/app", SHA, SHA)),
    ],
)
def test_references_are_read_as_docker_reads_them(image: str, reference: Reference) -> None:
    assert references.read(Image(image)) == reference


@pytest.mark.parametrize(
    ("image", "host", "path", "listed"),
    [
        ("busybox", "docker.io", "library/busybox", "busybox:latest"),
        ("library/busybox:1", "docker.io", "library/busybox", "busybox:1"),
        ("docker.io/busybox:1", "docker.io", "library/busybox", "busybox:1"),
        ("index.docker.io/library/busybox:1", "docker.io", "library/busybox", "busybox:1"),
        ("me/app:1", "docker.io", "me/app", "me/app:1"),
        ("docker.io/me/app:1", "docker.io", "me/app", "me/app:1"),
        ("localhost/app:1", "localhost", "app", "localhost/app:1"),
        ("r.example/app:1", "r.example", "app", "r.example/app:1"),
        ("host:5000/library/app", "host:5000", "library/app", "host:5000/library/app:latest"),
        ("[::1]:5000/app", "[::1]:5000", "app", "[::1]:5000/app:latest"),
        (f"docker.io/library/app:1@{SHA}", "docker.io", "library/app", f"app@{SHA}"),
    ],
)
def test_what_is_implied_on_docker_hub_is_known(image: str, host: str, path: str, listed: str) -> None:
    reference = references.read(Image(image))

    assert (reference.host, reference.path, reference.listed) == (host, path, listed)


@pytest.mark.parametrize(
    "image",
    [
        *("", "App", "a b", "app:", "app@sha256:12", "app/../etc", "app?x=1", "/app", "app:a:b"),
        *("ab" * 32, "a" * 256, f"app@md5:{'ab' * 16}", f"app@sha256:{'AB' * 32}", f"app@sha256:{'ab' * 33}"),
    ],
)
def test_what_docker_could_not_read_is_given_up(image: str) -> None:
    with pytest.raises(GiveUp, match="invalid reference format") as told:
        references.read(Image(image))

    assert told.value.name == "CannotPullContainerError"
