"""What the daemon makes of a takeover: an identity, containers that are ours by their ids, and tasks in the journal.

The tasks are told to the engine once. The file stays beside the journal as long as one of its containers is there: if
the journal is lost, these tasks are rebuilt from it as others are from labels.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from structlog import get_logger

from agent.docker.engine_driver import DockerEngine
from agent.docker.foreign_driver import ForeignDriver
from agent.docker.labels import NOTHING_TAKEN, Taken
from agent.host.introspection_client import IntrospectionClient
from agent.model.clock import utc_now
from agent.model.errors import AgentError, Fatal, TryAgain
from agent.model.events import Event, TasksTaken
from agent.model.identity import Identity
from agent.model.takeover import Takeover
from agent.opening import IDENTITY
from agent.store.identity_driver import IdentityFile
from agent.store.journal_driver import FILE_NAME
from agent.store.takeover_driver import TakeoverFile
from agent.takeover.joining import labels_of

log = get_logger()

TAKEOVER = "takeover.json"


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was taken over here; nothing, mostly."""

    file: TakeoverFile
    takeover: Takeover | None = None
    taken: Taken = field(default_factory=lambda: NOTHING_TAKEN)

    def tell(self, post: Callable[[Event], None]) -> None:
        """Have the engine hear, before anything else, of tasks that it does not know."""
        if self.takeover is not None and not self.takeover.is_heard:
            post(TasksTaken(self.takeover.tasks, utc_now()))

    async def settle(self, save: Callable[[], Awaitable[None]], docker: DockerEngine) -> None:
        """Note that the journal has the tasks, once *save* has returned; later, forget what is not there any more."""
        if self.takeover is None:
            return
        try:
            if not self.takeover.is_heard:
                await save()
                await self.file.write(replace(self.takeover, is_heard=True))
                log.info("tasks_taken_over", tasks=len(self.takeover.tasks), containers=len(self.taken))
            elif not {one.docker_id for one in await ForeignDriver(docker).containers()} & self.taken.keys():
                await self.file.remove()
                log.info("takeover_completed", path=str(self.file.path))
        except (OSError, TryAgain) as error:  # the next start does it
            log.warning("takeover_not_noted", path=str(self.file.path), error=str(error))


async def read_adoption(data_dir: Path) -> Adoption:
    """What was taken over into *data_dir*. The lock of the directory must be held."""
    file = TakeoverFile(data_dir / TAKEOVER)
    try:
        takeover = await file.read()
    except OSError as error:
        raise Fatal(f"cannot read {file.path}: {error}") from error
    return Adoption(file) if takeover is None else Adoption(file, takeover, labels_of(takeover))


async def adopt(data_dir: Path) -> Adoption:
    """The same for a daemon that begins; its identity is on the disk afterwards. Raises Fatal.

    Also where the agent before us still runs: two of them would look after the same tasks.
    """
    adoption = await read_adoption(data_dir)
    takeover = adoption.takeover
    if takeover is None:
        return adoption
    identities = IdentityFile(data_dir / IDENTITY, journal=data_dir / FILE_NAME)
    try:
        identity = await identities.read()
        if identity is not None and identity.agent_id != takeover.agent_id:
            log.warning("takeover_of_another_agent", path=str(adoption.file.path), agent=takeover.agent_id)
            return Adoption(adoption.file)
        if takeover.is_heard:
            return adoption
        await must_be_gone(takeover)
        if identity is None or not identity.instance_arn:
            await identities.write(Identity(takeover.agent_id, takeover.cluster, takeover.instance_arn))
    except OSError as error:
        raise Fatal(f"cannot keep the identity in {identities.path}: {error}") from error
    return adoption


async def must_be_gone(takeover: Takeover) -> None:
    """Raises Fatal where the agent still answers that *takeover* is from."""
    try:
        async with IntrospectionClient.open(takeover.agent_url) as other:
            neighbour = await other.metadata()
    except AgentError:
        return
    if neighbour.instance_arn == takeover.instance_arn:
        raise Fatal(
            f"the agent whose tasks were taken over still answers at {takeover.agent_url}: stop it first "
            "(systemctl disable --now ecs, or docker stop ecs-agent)"
        )
