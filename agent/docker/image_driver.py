"""Docker's images: is one here, and fetch one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import structlog
from aiodocker.exceptions import DockerError

from agent.config.settings import Settings
from agent.docker import reasons, references, registry_logins
from agent.docker.engine_driver import DockerEngine
from agent.docker.manifest_driver import ManifestDriver
from agent.docker.pull_progress import PullProgress, Signs
from agent.docker.registry_logins import NO_LOGINS, RegistryLogins
from agent.model.credentials import RegistryLogin
from agent.model.errors import AgentError, GiveUp, TryAgain
from agent.model.names import Image
from agent.model.status import PullBehavior
from agent.model.task import ImageSource

log = structlog.get_logger()

_NOT_FOUND = 404
_INSPECT = 30.0
_TAG = 30.0
_DIGEST = "Digest: "


@dataclass(frozen=True, slots=True)
class PullBounds:
    """What ECS users set: silence before the first sign of a pull, silence after it, and the whole of it.

    The first two are worth another try; the last is not. `manifest` is the time for the question what a tag means.
    """

    first_sign: timedelta = timedelta(minutes=5)
    inactivity: timedelta = timedelta(minutes=1)
    whole: timedelta = timedelta(hours=2)
    manifest: timedelta = timedelta(minutes=1)


class ImageDriver:
    """Images of the engine. Fulfils the runner's `Images`.

    A pull first asks the registry which image a tag means, then fetches that very image, unless the tag means it here
    already, and names it by the tag: what ECS is told and what runs are the same. Where the registry cannot say, the
    tag is fetched as it is, unless *strict*.
    """

    def __init__(
        self,
        engine: DockerEngine,
        *,
        bounds: PullBounds | None = None,
        logins: RegistryLogins = NO_LOGINS,
        progress: PullProgress | None = None,
        strict: bool = False,
    ) -> None:
        self._engine = engine
        self._bounds = bounds or PullBounds()
        self._logins = logins
        self._progress = progress or PullProgress()
        self._strict = strict
        self._manifests = ManifestDriver(engine, patience=self._bounds.manifest)

    @classmethod
    def of(cls, engine: DockerEngine, settings: Settings, progress: PullProgress) -> Self:
        """Images as *settings* want them fetched. Raises BadInput where the logins make no sense."""
        return cls(
            engine,
            bounds=PullBounds(
                inactivity=settings.image_pull_inactivity_timeout,
                whole=settings.image_pull_timeout,
                manifest=settings.manifest_pull_timeout,
            ),
            logins=registry_logins.read(settings.engine_auth_type, settings.engine_auth_data),
            progress=progress,
            strict=settings.pull_behavior in (PullBehavior.ALWAYS, PullBehavior.ONCE),
        )

    async def has(self, image: Image) -> bool:
        """Is the image on the host? Raises TryAgain, or GiveUp where *image* is no reference."""
        references.read(image)
        return await self._inspect(image) is not None

    async def digest(self, image: Image) -> str:
        """The digest under which the host has the image, or ``""``."""
        reference = references.read(image)
        if reference.digest:
            return reference.digest
        found = await self._inspect(image)
        return "" if found is None else _digest_of(found, reference)

    async def pull(self, source: ImageSource, login: RegistryLogin | None, resolved: Callable[[str], None]) -> str:
        """Fetch the image; gives its digest, or ``""``. Cancelling the job closes the request, which ends the pull.

        Raises TryAgain or GiveUp for what the registry said, OutcomeUnknown where Docker's answer was lost.
        """
        reference = references.read(source.image)
        header = registry_logins.header(login or self._logins.login(reference))
        with self._progress.of(source) as signs:
            try:
                async with asyncio.timeout(self._bounds.whole.total_seconds()) as whole:
                    return await self._pull(_Pull(source.image, reference, header, signs), resolved)
            except TimeoutError as error:
                if not whole.expired():
                    raise
                text = reasons.waited_for("pulled", self._bounds.whole.total_seconds())
                raise GiveUp(reasons.TIMED_OUT, text) from error

    async def _pull(self, pull: "_Pull", resolved: Callable[[str], None]) -> str:
        reference = pull.reference
        if reference.digest:
            resolved(reference.digest)
            await self._fetch(pull, reference.digest)
            return reference.digest
        digest, said_nothing = await self._ask(pull)
        if digest:
            resolved(digest)
            if await self.digest(pull.image) != digest:  # else the registry would only say that it is here
                await self._fetch(pull, digest)
                await self._name(pull, digest)
            return digest
        told = await self._fetch(pull, reference.tag)
        if said_nothing:
            self._manifests.gave_none(reference)
        if told:
            return told
        found = await self._inspect(pull.image)
        if found is None:
            raise TryAgain(f"Docker said that {pull.image} was pulled, and does not have it", reasons.CANNOT_PULL)
        return _digest_of(found, reference)

    async def _ask(self, pull: "_Pull") -> tuple[str, bool]:
        """The digest, or ``""`` and whether asking failed. Fails only where nothing else may be run."""
        try:
            return await self._manifests.digest(pull.image, pull.reference, pull.header), False
        except (TryAgain, GiveUp) as error:
            if self._strict:
                raise
            log.info("digest_not_resolved", image=pull.image, error=_said(error))
            return "", True

    async def _fetch(self, pull: "_Pull", tag: str) -> str:
        """Fetch, and give the digest that the stream told. Raises TryAgain after silence."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._bounds.first_sign.total_seconds()) as quiet:
                digest = ""
                async for sign in self._signs(pull, tag):
                    quiet.reschedule(loop.time() + self._bounds.inactivity.total_seconds())
                    pull.signs.hear(sign)
                    status = sign.get("status")
                    if isinstance(status, str) and status.startswith(_DIGEST):
                        digest = status.removeprefix(_DIGEST).strip()
                return digest
        except TimeoutError as error:
            if not quiet.expired():
                raise
            raise TryAgain(f"the pull of {pull.image} made no progress", reasons.CANNOT_PULL) from error

    async def _signs(self, pull: "_Pull", tag: str) -> AsyncIterator[dict[str, Any]]:
        params = {"fromImage": pull.reference.name, "tag": tag}
        headers = {"X-Registry-Auth": pull.header}
        try:
            async with self._engine.stream("POST", "images/create", params, headers) as signs:
                async for sign in signs:
                    if "error" in sign or "errorDetail" in sign:
                        raise reasons.of_pull(pull.image, _text_of(sign))
                    yield sign
        except DockerError as error:
            raise reasons.of_pull(pull.image, error.message, error.status) from error

    async def _name(self, pull: "_Pull", digest: str) -> None:
        """Let the tag mean what was fetched. Repeated by doing it again."""
        exact = f"{pull.reference.name}@{digest}"
        try:
            async with self._engine.call(_TAG, TryAgain) as client:
                await client.images.tag(exact, pull.reference.name, tag=pull.reference.tag)
        except DockerError as error:
            raise TryAgain(f"cannot tag {exact} as {pull.image}: {error.message}", reasons.CANNOT_PULL) from error

    async def _inspect(self, image: Image) -> dict[str, Any] | None:
        try:
            async with self._engine.call(_INSPECT, TryAgain) as client:
                return await client.images.inspect(image)
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return None
            raise TryAgain(f"cannot inspect image {image}: {error.message}") from error


@dataclass(frozen=True, slots=True)
class _Pull:
    """One pull that goes on."""

    image: Image
    reference: references.Reference
    header: str
    signs: Signs


def _digest_of(found: dict[str, Any], reference: references.Reference) -> str:
    """The digest that an inspected image has under the name of *reference*."""
    known = [str(entry).partition("@") for entry in found.get("RepoDigests") or ()]
    return next((digest for name, _, digest in known if name == reference.familiar), "")


def _said(error: AgentError) -> str:
    return error.reason if isinstance(error, GiveUp) else str(error)


def _text_of(sign: dict[str, Any]) -> str:
    detail = sign.get("errorDetail")
    message = detail.get("message") if isinstance(detail, dict) else None
    return str(message or sign.get("error") or "the pull failed without a word")
