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
    "image", ["", "App", "a b", "app:", "app@sha256:12", "app/../etc", "app?x=1", "/app", "app:a:b"]
)
def test_what_docker_could_not_read_is_given_up(image: str) -> None:
    with pytest.raises(GiveUp, match="invalid reference format") as told:
        references.read(Image(image))

    assert told.value.name == "CannotPullContainerError"
