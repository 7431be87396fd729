"""How images are joined: the hands that fetch and remove them, what is remembered of them, the room that decides."""

import asyncio
from dataclasses import dataclass
from typing import Self

from agent.config.settings import Settings
from agent.docker.engine_driver import DockerEngine
from agent.docker.image_driver import ImageDriver
from agent.docker.pull_progress import PullProgress
from agent.docker.shelf_driver import ShelfDriver
from agent.engine.engine import Engine
from agent.host.disk_driver import DiskDriver, root_of
from agent.images import rules
from agent.images.held import Held
from agent.images.loop import Cleaner, ImagesLoop
from agent.images.pressure_loop import DiskWatch, Making
from agent.model.acts import PullImage
from agent.model.clock import utc_now
from agent.model.decision import Decision
from agent.model.errors import NOT_WORTH_A_RESTART, BadInput, Fatal
from agent.model.events import ImagePulled
from agent.model.names import Image
from agent.model.seen import EngineFacts
from agent.model.task import ImageSource
from agent.runner.loop import Runner
from agent.runner.pulling import Pulling
from agent.runner.strains import Strains
from agent.store.journal_driver import Journal


@dataclass(frozen=True, slots=True)
class Shelves:
    """The images of one agent."""

    settings: Settings
    journal: Journal
    progress: PullProgress
    images: ImageDriver
    held: Held
    cleaner: Cleaner

    @classmethod
    def of(cls, settings: Settings, docker: DockerEngine, journal: Journal, held: Held) -> Self:
        """Those that *docker* keeps; *held* are in use. Raises Fatal."""
        progress, shelf = PullProgress(), ShelfDriver(docker)
        try:
            images = ImageDriver.of(docker, settings, progress)
        except BadInput as error:
            raise Fatal(str(error), NOT_WORTH_A_RESTART) from error
        cleaner = Cleaner(
            shelf,
            journal.images,
            rules.rules(settings, shelf.listed),
            clock=utc_now,
            wanted=held.images,
            pulling=progress.images,
        )
        return cls(settings, journal, progress, images, held, cleaner)

    def hear(self, decided: Decision) -> None:
        """Images that nobody holds any more may go."""
        self.cleaner.dropped(self.held.hear(decided))

    def disks(self, facts: EngineFacts, engine: Engine, runner: Runner, strains: Strains) -> DiskWatch:
        """The watch over the disks that images fill."""
        root = root_of(self.settings.docker_host, facts.root_dir)
        return DiskWatch(
            DiskDriver(self.settings.data_dir, root),
            rules.marks(self.settings),
            Making(engine, runner.submit, self.cleaner, utc_now),
            strain=lambda reason: strains.say("disk", reason),
            pause=asyncio.sleep,
        )

    def loop(self) -> ImagesLoop:
        """Fetches what the operator wants to be there, and cleans."""
        behavior = self.settings.pull_behavior
        pulling = Pulling(self.images, self.journal.images, clock=utc_now, tell=lambda _: None)

        async def from_registry(source: ImageSource) -> ImagePulled:
            digest = await self.images.pull(source, None, lambda _: None)
            return ImagePulled(source, utc_now(), digest, "prepull")

        async def fetch(image: Image) -> None:
            await pulling.pull(PullImage(ImageSource(image), behavior), from_registry)

        return ImagesLoop(
            fetch,
            self.cleaner,
            prepull=tuple(map(Image, self.settings.prepull_images)),
            interval=rules.interval(self.settings),
            pause=asyncio.sleep,
        )
