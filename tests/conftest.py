"""What tests of several rooms share: a Docker Engine, an image to run, an installation of one's own."""

import asyncio
import secrets
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from agent.docker import labels
from agent.docker.engine_driver import DEFAULT_HOST
from agent.model.identity import Identity
from agent.model.names import Image
from tests import planted
from tests import sample_image as sample
from tests.blocking import watch


def pytest_configure(config: pytest.Config) -> None:
    """Watch the agent's event loops, here and in every program that a test starts."""
    folder = tempfile.TemporaryDirectory(prefix="blocked-")
    config.add_cleanup(folder.cleanup)
    watch.hand_down(Path(folder.name) / "notes")
    config.add_cleanup(watch.begin().deactivate)


@pytest.fixture(autouse=True)
def nothing_blocks() -> Iterator[None]:
    """Fail the test during which something blocked an event loop of the agent."""
    yield
    if (notes := watch.notes()).exists():
        told = notes.read_text()
        notes.unlink()
        pytest.fail(told, pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_a_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the session in which a secret that some test handed out came to stand in a log."""
    yield
    if found := planted.leaks(tmp_path_factory.getbasetemp()):
        pytest.fail("secrets in logs:\n" + "\n".join(found), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test wrote is looked through too: parts of the agent log within it."""
    report = yield
    for name, text in report.sections:
        planted.heard(f"{item.nodeid}, {name}", text)
    return report


@pytest.fixture(scope="session")
def docker_host() -> str:
    """The engine of the tests. A test that asks for it fails where there is none."""
    return DEFAULT_HOST


@pytest.fixture(scope="session")
def sample_image(docker_host: str) -> Iterator[Image]:
    """Busybox as ``dockworker.invalid/test:1``."""
    with sample.sample_image(docker_host) as image:
        yield image


@pytest.fixture
def owner(docker_host: str) -> Iterator[Identity]:
    """An installation that no other test knows. What is left of it at the end is removed, and what has `a_mark`."""
    agent = secrets.token_hex(8)
    arn = f"arn:aws:ecs:us-east-1:123456789012:container-instance/tests/{secrets.token_hex(16)}"
    identity = Identity(agent_id=agent, cluster="tests", instance_arn=arn)
    yield identity
    asyncio.run(sample.remove_containers(docker_host, f"{labels.AGENT}={agent}"))
    asyncio.run(sample.remove_containers(docker_host, a_mark(identity)))
    asyncio.run(sample.remove_volumes(docker_host, f"{labels.AGENT}={agent}"))


def a_mark(owner: Identity) -> str:
    """The label of a container that a test makes without the agent."""
    return f"dockworker.test={owner.agent_id}"
