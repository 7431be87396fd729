"""Files of metadata from before a container is created until its task is forgotten, on a real disk."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.endpoints import metadata_file
from agent.endpoints.metadata_file import Here
from agent.endpoints.metadata_files_loop import MOST_TRIES, MetadataFiles
from agent.endpoints.ports import FileState
from agent.host.metadata_file_driver import NAME, MetadataFileDriver
from agent.model.acts import CreateContainer
from agent.model.decision import Decision
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import Task
from tests.endpoints.metadata_scene import INSTANCE, Docker, Rows, bridge, docker_id

HERE = Here("blue", INSTANCE, "eu-west-1b", "10.0.1.10", "203.0.113.9")
FIRST = f"""{{
\t"Cluster": "blue",
\t"ContainerInstanceARN": "{INSTANCE}",
\t"TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/blue/bridge",
\t"TaskDefinitionFamily": "shop",
\t"TaskDefinitionRevision": "7",
\t"ContainerName": "web",
\t"AvailabilityZone": "eu-west-1b",
\t"HostPrivateIPv4Address": "10.0.1.10",
\t"HostPublicIPv4Address": "203.0.113.9"
}}"""
FULL = f"""{{
\t"Cluster": "blue",
\t"ContainerInstanceARN": "{INSTANCE}",
\t"TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/blue/bridge",
\t"TaskDefinitionFamily": "shop",
\t"TaskDefinitionRevision": "7",
\t"ContainerID": "{docker_id("a")}",
\t"ContainerName": "web",
\t"DockerContainerName": "/ecs-shop-7-web-a2f4e8d0c1b3a5960100",
\t"ImageID": "sha256:9d",
\t"ImageName": "web:1.27",
\t"PortMappings": [
\t\t{{
\t\t\t"ContainerPort": 80,
\t\t\t"ContainerPortRange": "",
\t\t\t"HostPort": 32768,
\t\t\t"BindIp": "0.0.0.0",
\t\t\t"Protocol": "tcp"
\t\t}},
\t\t{{
\t\t\t"ContainerPort": 80,
\t\t\t"ContainerPortRange": "",
\t\t\t"HostPort": 32768,
\t\t\t"BindIp": "::",
\t\t\t"Protocol": "tcp"
\t\t}}
\t],
\t"Networks": [
\t\t{{
\t\t\t"NetworkMode": "bridge",
\t\t\t"IPv4Addresses": [
\t\t\t\t"172.17.0.3"
\t\t\t],
\t\t\t"IPv6Addresses": [
\t\t\t\t"fd00::3"
\t\t\t]
\t\t}}
\t],
\t"MetadataFileStatus": "READY",
\t"AvailabilityZone": "eu-west-1b",
\t"HostPrivateIPv4Address": "10.0.1.10",
\t"HostPublicIPv4Address": "203.0.113.9"
}}"""


async def here() -> Here:
    return HERE


@dataclass
class Shelf(MetadataFileDriver):
    """The real one, which says when it has been asked, and fails as often as it is told to."""

    folder: Path
    failures: int = 0
    completed: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    async def complete(self, task: TaskArn, container: str, text: bytes) -> None:
        try:
            if self.failures:
                self.failures -= 1
                raise OSError("disk full")
            await super().complete(task, container, text)
        finally:
            self.completed.append(container)
            self.news.set()

    async def remove(self, task: TaskArn) -> None:
        await super().remove(task)
        self.news.set()


@dataclass
class Story:
    folder: Path
    rows: dict[TaskArn, Task] = field(default_factory=lambda: {bridge()[0].arn: bridge()[0]})
    docker: Docker = field(default_factory=lambda: Docker({one.docker_id: one for one in bridge()[1]}))
    enabled: bool = True
    selinux: bool = False
    shelf: Shelf = field(init=False)
    files: MetadataFiles = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.folder)
        self.restart()

    def restart(self) -> None:
        """The next process."""
        self.shelf.news = asyncio.Event()
        self.files = MetadataFiles(
            self.shelf,
            Rows(self.rows),
            self.docker,
            here,
            enabled=self.enabled,
            selinux=self.selinux,
            again_after=0.0,
        )

    def text(self) -> str:
        return (self.folder / "metadata" / "blue" / "bridge" / "web" / NAME).read_text()

    def decide(self, task: Task) -> None:
        self.rows[task.arn] = task
        self.files.hear(Decision(tasks=(task,)))

    async def until(self, question: Callable[[], bool]) -> None:
        while not question():
            await self.shelf.news.wait()
            self.shelf.news.clear()


def act() -> CreateContainer:
    task = bridge()[0]
    spec = replace(task.asked("web"), environment={"A": "1"})
    return CreateContainer(task.arn, "web", 1, "name", "shop", "7", spec)


def told(story: Story, play: Callable[[Story], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(5), asyncio.TaskGroup() as jobs:
            job = jobs.create_task(story.files.run())
            await play(story)
            job.cancel()

    asyncio.run(whole())


def test_a_container_is_created_with_the_folder_of_its_file_and_told_where_it_is(tmp_path: Path) -> None:
    story = Story(tmp_path)

    given = asyncio.run(story.files.prepare(act()))
    again = asyncio.run(story.files.prepare(act()))

    where = metadata_file.inside(act().task, "web")
    assert given == again, "a second attempt asks for the same container"
    assert given.wiring.binds == (f"{tmp_path}/metadata/blue/bridge/web:{where}",)
    assert given.spec.environment == {"A": "1", "ECS_CONTAINER_METADATA_FILE": f"{where}/ecs-container-metadata.json"}
    assert where.startswith("/opt/ecs/metadata/")
    assert story.text() == FIRST


def test_where_docker_knows_selinux_the_folder_is_labelled_for_the_container(tmp_path: Path) -> None:
    [bind] = asyncio.run(Story(tmp_path, selinux=True).files.prepare(act())).wiring.binds

    assert bind.endswith(":Z")


def test_a_container_goes_without_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "metadata").write_text("in the way")

    with capture_logs() as logs:
        given = asyncio.run(Story(tmp_path).files.prepare(act()))

    assert given == act()
    assert [line["event"] for line in logs] == ["metadata_file_not_written"]


def test_a_file_is_completed_once_its_container_runs(tmp_path: Path) -> None:
    async def play(story: Story) -> None:
        await story.files.prepare(act())
        task = bridge()[0]
        created = task.having(replace(task["web"], known=Status.CREATED))
        story.decide(created)
        story.decide(task)
        await story.until(lambda: "READY" in story.text())

    story = Story(tmp_path)
    told(story, play)

    assert story.text() == FULL
    assert story.shelf.completed == ["web"], "its neighbours have no file, and get none"


def test_a_file_that_was_not_completed_is_after_the_next_start_of_the_agent(tmp_path: Path) -> None:
    async def play(story: Story) -> None:
        await story.until(lambda: "READY" in story.text())

    story = Story(tmp_path)
    asyncio.run(story.files.prepare(act()))
    told(story, play)
    story.restart()

    async def nothing(story: Story) -> None:
        story.files.hear(Decision(forgotten=(TaskArn("arn:task/of/another"),)))
        story.shelf.news.clear()
        await story.shelf.news.wait()

    told(story, nothing)
    assert story.shelf.completed == ["web"], "what is complete is left as it is"


def test_a_restart_by_policy_is_told_anew(tmp_path: Path) -> None:
    async def play(story: Story) -> None:
        await story.files.prepare(act())
        task = bridge()[0]
        story.decide(task)
        await story.until(lambda: "READY" in story.text())
        story.decide(task.having(replace(task["web"], run=2)))
        await story.until(lambda: len(story.shelf.completed) == 2)

    told(Story(tmp_path), play)


@pytest.mark.parametrize(("failures", "tries"), [(2, 3), (MOST_TRIES, MOST_TRIES)])
def test_what_fails_is_tried_again_but_not_for_ever(tmp_path: Path, failures: int, tries: int) -> None:
    async def play(story: Story) -> None:
        await story.files.prepare(act())
        story.decide(bridge()[0])
        await story.until(
            lambda: len(story.shelf.completed) == tries and (tries > failures) == ("READY" in story.text())
        )
        for _ in range(3):  # rounds of the loop, in each of which it would try again
            story.shelf.news.clear()
            story.files.hear(Decision(forgotten=(TaskArn("arn:task/of/another"),)))
            await story.shelf.news.wait()

    story = Story(tmp_path)
    story.shelf.failures = failures
    with capture_logs() as logs:
        told(story, play)

    assert len(story.shelf.completed) == tries
    assert [line["event"] for line in logs] == ["metadata_file_not_completed"] * failures


def test_a_task_that_is_forgotten_takes_its_files_with_it(tmp_path: Path) -> None:
    async def play(story: Story) -> None:
        await story.files.prepare(act())
        del story.rows[bridge()[0].arn]
        story.files.hear(Decision(forgotten=(bridge()[0].arn,)))
        await story.shelf.news.wait()

    told(Story(tmp_path), play)

    assert list((tmp_path / "metadata").iterdir()) == []


def test_what_a_crash_left_of_forgotten_tasks_is_removed_at_the_next_start(tmp_path: Path) -> None:
    story = Story(tmp_path)
    asyncio.run(story.files.prepare(act()))
    asyncio.run(MetadataFileDriver(tmp_path).begin(TaskArn("arn:task/blue/gone"), "web", b"{}"))

    async def play(story: Story) -> None:
        await story.until(lambda: "READY" in story.text())

    told(story, play)

    assert [path.name for path in (tmp_path / "metadata" / "blue").iterdir()] == ["bridge"]


def test_where_there_are_no_files_and_will_be_none_nothing_is_done(tmp_path: Path) -> None:
    story = Story(tmp_path, enabled=False)

    async def ends() -> None:
        async with asyncio.timeout(5):
            await story.files.run()

    asyncio.run(ends())
    assert asyncio.run(story.shelf.state(bridge()[0].arn, "web")) is FileState.ABSENT
    assert story.docker.asked == 0


@pytest.mark.parametrize(("here", "lines"), [(Here("blue", ipv6="2001:db8::1"), ["Cluster", "HostIPv6Address"])])
def test_what_is_not_known_of_the_instance_is_left_out(here: Here, lines: list[str]) -> None:
    text = metadata_file.first_form(metadata_file.Subject(TaskArn(""), "", "", ""), here).decode()

    assert [line.split('"')[1] for line in text.splitlines() if '"' in line] == lines
