"""A secret on its way: from where it is kept into one container of real Docker, and into nothing else."""

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from agent.docker.image_driver import ImageDriver
from agent.docker.volume_driver import VolumeDriver
from agent.engine.engine import Engine
from agent.host.cgroup_driver import CgroupDriver
from agent.host.ports_driver import PortProbe
from agent.model.acts import FetchValues
from agent.model.clock import utc_now
from agent.model.credentials import ContainerValues, RegistryLogin, TaskValues
from agent.model.events import CredentialsArrived, Listed, TaskAssigned, TaskStopRequested
from agent.model.identity import Identity
from agent.model.names import Image, Step, TaskArn
from agent.model.parts import Secret
from agent.model.rules import Rules
from agent.model.status import PullBehavior, Status
from agent.model.task import ContainerSpec, ImageSource, TaskSpec
from agent.operator.chronicle import Chronicle
from agent.runner.loop import Runner
from agent.runner.perform import Hands, Performer
from agent.runner.vault import Vault
from agent.store.journal_driver import Journal
from tests.docker.making import Room, a_room, an_act

VALUE, FROM_FILE = "PLANTED-SECRET", "PLANTED-FILE"


class Kept:
    """Where the values are kept, as a test has it."""

    def __init__(self) -> None:
        self.asked: list[TaskArn] = []

    async def fetch(self, act: FetchValues) -> TaskValues:
        self.asked.append(act.task)
        found = ContainerValues({"PASSWORD": VALUE}, files=({"PASSWORD": "loses", "OTHER": FROM_FILE},))
        return TaskValues({"app": found})

    async def login(self, source: ImageSource) -> RegistryLogin:
        raise AssertionError(f"nobody asked for a login to {source.image}")


def a_task(arn: TaskArn, image: Image) -> TaskSpec:
    command = ("sh", "-c", 'trap "exit 0" TERM; sleep 600 & wait')
    secrets = (Secret("PASSWORD", "arn:aws:ssm:us-east-1:123456789012:parameter/password"),)
    app = ContainerSpec("app", image, essential=True, command=command, secrets=secrets)
    return TaskSpec(
        arn, "secret", "1", (app, ContainerSpec("side", image, command=command)), execution_credentials_id="r"
    )


async def environment(room: Room, docker_id: str) -> list[str]:
    async with room.engine.call(10) as docker:
        return (await docker.containers.container(docker_id).show())["Config"]["Env"] or []


def test_a_secret_reaches_its_container_and_no_row_no_log_and_no_story(
    owner: Identity, sample_image: Image, tmp_path: Path
) -> None:
    spec = a_task(an_act().task, sample_image)
    kept, vault, chronicle = Kept(), Vault(list), Chronicle()

    async def play(room: Room, journal: Journal) -> None:
        engine = Engine(Rules(pull_behavior=PullBehavior.PREFER_CACHED, agent=owner.agent_id))
        changed = asyncio.Event()

        def committed(decided: object) -> None:
            vault.settle(engine.tasks.values())
            changed.set()

        async def until(status: Status) -> None:
            while engine.tasks[spec.arn].known is not status:
                changed.clear()
                await changed.wait()

        runner = Runner(engine, journal, clock=utc_now, after_commit=committed, note=chronicle.note)
        volumes = VolumeDriver(room.engine, lambda: owner)
        hands = Hands(room.containers, ImageDriver(room.engine), PortProbe(), volumes, CgroupDriver(), kept)
        performer = Performer(
            hands, vault, clock=utc_now, post=runner.post, list_soon=lambda: None, pause=asyncio.sleep
        )
        running = asyncio.create_task(runner.run(performer))
        try:
            async with asyncio.timeout(60):
                listed = Listed((), frozenset(), frozenset(), Step(0), utc_now())
                await runner.submit(listed, TaskAssigned(spec, utc_now(), "d" * 40))
                assert kept.asked == []  # who asks without the role's credentials is refused
                await runner.submit(CredentialsArrived("r", utc_now()))
                await until(Status.RUNNING)
                app, side = engine.tasks[spec.arn].containers
                shown = await environment(room, app.docker_id)
                assert {f"PASSWORD={VALUE}", f"OTHER={FROM_FILE}"} <= set(shown)
                assert "PLANTED" not in str(await environment(room, side.docker_id))
                assert vault.values(spec.arn, "app") is None
                await runner.submit(TaskStopRequested(spec.arn, utc_now()))
                await until(Status.STOPPED)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert kept.asked == [spec.arn]
        assert "PLANTED" not in repr((engine.tasks, chronicle.of(spec.arn), vault))

    async def whole() -> None:
        async with a_room(owner) as room, Journal.open(tmp_path / "agent.db") as journal:
            await play(room, journal)

    with capture_logs() as logs:
        asyncio.run(whole())
    assert "PLANTED" not in repr(logs)
    assert chronicle.of(spec.arn)
    for file in tmp_path.iterdir():
        assert b"PLANTED" not in file.read_bytes()
