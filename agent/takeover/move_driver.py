"""``dockworker takeover``: this machine changes from another agent to this one, and its tasks run on.

The other agent is asked who it is and what it runs; Docker is asked about the containers. All of it is written into the
data directory, the tasks in one file that is there whole or not at all. Nothing is stopped, and nothing is told to ECS.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from uuid import uuid4

from agent.aws.imds_client import ImdsClient
from agent.config.settings import Settings
from agent.docker.engine_driver import DockerEngine
from agent.docker.foreign_driver import ForeignDriver
from agent.host.introspection import Neighbour, ToldTask
from agent.host.introspection_client import IntrospectionClient
from agent.membership.decisions import is_same_cluster
from agent.model.clock import utc_now
from agent.model.errors import NOT_WORTH_A_RESTART, WORTH_A_RESTART, AgentError, Fatal, NoAnswer, TryAgain
from agent.model.identity import Identity
from agent.model.takeover import Takeover
from agent.opening import IDENTITY, heed_user_data, imds_settings, membership_settings, take_place
from agent.store.identity_driver import IdentityFile
from agent.store.journal_driver import FILE_NAME
from agent.store.takeover_driver import TakeoverFile
from agent.takeover import joining
from agent.takeover.adoption_driver import TAKEOVER

Say = Callable[[str], None]
LOOK_AGAIN = 1.0
HOW_TO_GO_ON = """
Now stop that agent; its containers run on. On a host of Amazon's packages:
  systemctl disable --now ecs
and where it runs as a container by itself:
  docker update --restart=no ecs-agent && docker stop ecs-agent
Then start this one:
  systemctl enable --now dockworker"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    agent_url: str
    stop_pending: bool = False
    """Take over also tasks that do not run yet; they are stopped."""
    follow: bool = False
    """Stay, and write down what changes, until the other agent has gone."""


async def take_over(settings: Settings, wish: Wish, say: Say) -> int:
    """Write down what the other agent has. Gives the exit code: 0 where that is done, 1 and 5 as the daemon's."""
    try:
        async with AsyncExitStack() as stack:
            return await _take_over(stack, settings, wish, say)
    except Fatal as fatal:
        say(str(fatal))
        return fatal.exit_code
    except (AgentError, OSError) as error:
        say(f"That did not work: {error}. Nothing was stopped; the command can be given again.")
        return WORTH_A_RESTART


async def _take_over(stack: AsyncExitStack, settings: Settings, wish: Wish, say: Say) -> int:
    other = await stack.enter_async_context(IntrospectionClient.open(wish.agent_url))
    neighbour = await other.metadata()
    metadata = await stack.enter_async_context(ImdsClient.open(imds_settings(settings)))
    settings = await heed_user_data(settings, metadata)  # it may name the cluster
    _check(settings, neighbour, wish.agent_url)
    data_dir = await asyncio.to_thread(take_place, stack, settings)
    identity = await _identity(IdentityFile(data_dir / IDENTITY, journal=data_dir / FILE_NAME), neighbour, settings)
    docker = ForeignDriver(await stack.enter_async_context(DockerEngine.connect(settings.docker_host)))
    move = _Move(wish, other, docker, TakeoverFile(data_dir / TAKEOVER), identity)
    scene = await move.scene()
    if pending := [one.arn for one in scene.told if joining.is_pending(one)]:
        if not wish.stop_pending:
            raise Fatal(
                f"Tasks are still on their way to run: {', '.join(pending)}. Only the agent that began them can bring "
                "them there: try again when they run, or say --stop-pending to have them stopped"
            )
        say(f"These do not run yet and will be stopped: {', '.join(pending)}.")
    taken = await move.save(scene)
    await IdentityFile(data_dir / IDENTITY).write(identity)
    say(f"{neighbour.version} looks after {neighbour.instance_arn} in cluster {neighbour.cluster!r}.")
    _tell(taken, scene, say)
    say(f"Written to {data_dir}.")
    say(HOW_TO_GO_ON)
    if wish.follow:
        await _follow(move, scene, say)
    return 0


def _check(settings: Settings, neighbour: Neighbour, url: str) -> None:
    if not neighbour.instance_arn:
        raise Fatal(f"The agent at {url} has not registered this machine yet; try again when it has")
    told = Identity("", neighbour.cluster, neighbour.instance_arn)
    if not is_same_cluster(told, membership_settings(settings, settings.data_dir)):
        ours = repr(settings.cluster) if settings.cluster else "not set, which means 'default'"
        raise Fatal(
            f"ECS_CLUSTER is {ours}, and the agent at {url} is in {neighbour.cluster!r}: "
            f"set ECS_CLUSTER={neighbour.cluster}",
            NOT_WORTH_A_RESTART,
        )


async def _identity(file: IdentityFile, neighbour: Neighbour, settings: Settings) -> Identity:
    """Who we are from now on: the agent that has its data here, if it is registered nowhere else. Raises Fatal."""
    saved = await file.read()
    if saved is not None and saved.instance_arn not in ("", neighbour.instance_arn):
        raise Fatal(
            f"{settings.data_dir} holds the data of an agent that looks after {saved.instance_arn}: leave that "
            "instance first (`dockworker leave`), or name another ECS_DATADIR",
            NOT_WORTH_A_RESTART,
        )
    if saved is not None and saved.instance_arn:
        return replace(saved, cluster=neighbour.cluster)
    return Identity(saved.agent_id if saved else uuid4().hex, neighbour.cluster, neighbour.instance_arn)


@dataclass(frozen=True, slots=True)
class _Move:
    """Whom to ask, and where to write."""

    wish: Wish
    other: IntrospectionClient
    docker: ForeignDriver
    file: TakeoverFile
    identity: Identity

    async def scene(self) -> joining.Scene:
        """What is there now."""
        return await self.scene_of(await self.other.tasks())

    async def scene_of(self, told: Sequence[ToldTask]) -> joining.Scene:
        """What Docker shows of these tasks."""
        shown = await self.docker.containers()
        looks = {one: look for one in joining.to_look_at(told, shown) if (look := await self.docker.look(one))}
        return joining.Scene(told, shown, looks)

    async def save(self, scene: joining.Scene) -> Takeover:
        """Write it down. What was taken over once before stays ours as long as a container of it is there."""
        tasks = {one.arn: one for one in joining.joined(scene)}
        before = await self.file.read()
        if before is not None and before.agent_id == self.identity.agent_id:
            there = {one.docker_id for one in scene.shown}
            kept = (one for one in before.tasks if there & {c.docker_id for c in one.containers})
            tasks = {one.arn: one for one in kept} | tasks
        taken = Takeover(
            agent_id=self.identity.agent_id,
            cluster=self.identity.cluster,
            instance_arn=self.identity.instance_arn,
            agent_url=self.other.url,
            at=utc_now(),
            tasks=tuple(tasks.values()),
        )
        await self.file.write(taken)
        return taken


def _tell(taken: Takeover, scene: joining.Scene, say: Say) -> None:
    say(f"Taken over: tasks {len(taken.tasks)}, containers {sum(len(one.containers) for one in taken.tasks)}.")
    for task in taken.tasks:
        names = ", ".join(f"{one.name} {one.known.name}" for one in task.containers)
        state = " stopping" if task.stopping else ""
        say(f"  {task.arn} ({task.family}:{task.version}){state}: {names or 'nothing yet'}")
    if others := joining.strangers(scene.told, scene.shown):
        listed = ", ".join(f"{one.name} of {one.task or 'no task'}" for one in others)
        say(f"Left alone, for that agent does not know their tasks: {listed}.")
    fetching = sorted({one.docker_id for one in scene.looks.values() if one.fetches_credentials})
    if fetching:
        say(
            "These containers fetch credentials of their task from the agent, "
            "and get none from its end until Dockworker runs: "
            f"{', '.join(one[:12] for one in fetching)}."
        )


async def _follow(move: _Move, scene: joining.Scene, say: Say) -> None:
    say(
        "\nStaying until that agent has gone; what it begins meanwhile is taken over, too. "
        "Dockworker can start once this command has ended."
    )
    trouble = ""
    while True:
        await asyncio.sleep(LOOK_AGAIN)
        try:
            told = await move.other.tasks()
        except NoAnswer:
            say("That agent has gone.")
            return
        except TryAgain as error:
            trouble = _say_once(say, trouble, error)
            continue
        try:
            now = await move.scene_of(told)
        except TryAgain as error:  # Docker's word, which says nothing of that agent
            trouble = _say_once(say, trouble, error)
            continue
        trouble = ""
        if joining.joined(now) != joining.joined(scene):
            taken = await move.save(now)
            say(f"Tasks now: {len(taken.tasks)}.")
        scene = now


def _say_once(say: Say, before: str, error: TryAgain) -> str:
    """Say what is in the way, unless it was said *before*; gives the words."""
    if str(error) != before:
        say(f"Trying again: {error}.")
    return str(error)
