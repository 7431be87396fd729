"""When an image is fetched, and when the one on the host will do (``ECS_IMAGE_PULL_BEHAVIOR``).

What a failed fetch means for the container is the engine's to say; here is said only who is asked.
"""

from collections.abc import Awaitable, Callable

import structlog

from agent.model.acts import PullImage
from agent.model.clock import Clock
from agent.model.events import Event, ImagePulled, ImageResolved
from agent.model.names import Image
from agent.model.status import PullBehavior
from agent.model.task import ImageSource
from agent.runner.ports import Images, PullMemory

log = structlog.get_logger()

Fetch = Callable[[ImageSource], Awaitable[ImagePulled]]


def exact(image: Image, digest: str) -> Image:
    """The name of the very image that *image* (which has no digest) means now."""
    folder, slash, last = image.rpartition("/")
    return Image(f"{folder}{slash}{last.partition(':')[0]}@{digest}")


class Forgetful:
    """A memory that holds nothing: every image is new to it. Fulfils `PullMemory`."""

    async def has_pulled(self, image: Image) -> bool:  # noqa: ARG002 -- the port's
        """No."""
        return False

    async def note_pull(self, image: Image) -> None:
        """Do nothing."""


FORGETFUL = Forgetful()


class Pulling:
    """Knows whom to ask. `tell` takes the digest of an image that is not fetched; a fetch tells its own."""

    def __init__(self, images: Images, memory: PullMemory, *, clock: Clock, tell: Callable[[Event], None]) -> None:
        self._images = images
        self._memory = memory
        self._clock = clock
        self._tell = tell

    async def pull(self, act: PullImage, fetch: Fetch) -> ImagePulled:
        """See that the image is there, by *fetch* if it must be. Raises what *fetch* and the images raise."""
        image = act.source.image
        if await self._asks_host(image, act.behavior) and (digest := await self._here(image)) is not None:
            if digest:
                self._tell(ImageResolved(act.source, digest, self._clock(), "cache"))
            return ImagePulled(act.source, self._clock(), digest, "cache")
        pulled = await fetch(act.source)
        await self._note(image)
        if pulled.digest and "@" not in image:
            await self._note(exact(image, pulled.digest))
        return pulled

    async def _asks_host(self, image: Image, behavior: PullBehavior) -> bool:
        if behavior is PullBehavior.ONCE:  # an image that came with the machine's disk does not count
            return await self._remembers(image)
        return behavior is PullBehavior.PREFER_CACHED

    async def _here(self, image: Image) -> str | None:
        """The digest that the host knows, ``""`` if it knows none, None if it does not have the image."""
        digest = await self._images.digest(image)
        is_known_to_the_host = bool(digest) and "@" not in image  # a name with a digest says it of itself
        return digest if is_known_to_the_host or await self._images.has(image) else None

    async def _remembers(self, image: Image) -> bool:
        try:
            return await self._memory.has_pulled(image)
        except OSError as error:
            log.warning("pull_memory_not_read", image=image, error=str(error))
            return False

    async def _note(self, image: Image) -> None:
        """Remember; a disk that is full costs another fetch, and not the container."""
        try:
            await self._memory.note_pull(image)
        except OSError as error:
            log.warning("pull_not_remembered", image=image, error=str(error))
