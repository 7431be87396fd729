"""Docker's images: is one here, and fetch one."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

from aiodocker.exceptions import DockerError

from agent.docker import reasons, references
from agent.docker.engine_driver import DockerEngine
from agent.model.credentials import RegistryLogin
from agent.model.errors import GiveUp, TryAgain
from agent.model.names import Image
from agent.model.task import ImageSource

_NOT_FOUND = 404
_INSPECT = 30.0
_NO_LOGIN = base64.urlsafe_b64encode(b"{}").decode()
"""What Docker's own client sends for a registry without a login."""
_DIGEST = "Digest: "


class ImageDriver:
    """Images of the engine. Fulfils the runner's `Images`.

    The three bounds are those that ECS users set: silence before the first sign of a pull, silence after it, and the
    whole of it. The first two are worth another try; the last is not.
    """

    def __init__(
        self,
        engine: DockerEngine,
        *,
        first_sign: timedelta = timedelta(minutes=5),
        inactivity: timedelta = timedelta(minutes=1),
        whole: timedelta = timedelta(hours=2),
    ) -> None:
        self._engine = engine
        self._first_sign = first_sign
        self._inactivity = inactivity
        self._whole = whole

    async def has(self, image: Image) -> bool:
        """Is the image on the host? Raises TryAgain, or GiveUp where *image* is no reference."""
        references.read(image)
        return await self._inspect(image) is not None

    async def digest(self, image: Image) -> str:
        """The digest under which the host has the image, or ``""``."""
        reference = references.read(image)
        return reference.digest or await self._known_digest(image, reference)

    async def pull(self, source: ImageSource, login: RegistryLogin | None, resolved: Callable[[str], None]) -> str:  # noqa: ARG002 -- soon
        """Fetch the image; gives its digest, or ``""``. Cancelling the job closes the request, which ends the pull.

        Raises TryAgain or GiveUp for what the registry said, OutcomeUnknown where Docker's answer was lost.
        """
        image = source.image
        reference = references.read(image)
        try:
            async with asyncio.timeout(self._whole.total_seconds()) as whole:
                digest = await self._fetch(image, reference)
        except TimeoutError as error:
            if not whole.expired():
                raise
            text = f"Could not transition to pulled; timed out after waiting {self._whole}"
            raise GiveUp(reasons.TIMED_OUT, text) from error
        return digest or reference.digest or await self._known_digest(image, reference)

    async def _fetch(self, image: Image, reference: references.Reference) -> str:
        """Fetch, and give the digest that the stream told. Raises TryAgain after silence."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._first_sign.total_seconds()) as quiet:
                digest = ""
                async for sign in self._progress(image, reference):
                    quiet.reschedule(loop.time() + self._inactivity.total_seconds())
                    status = sign.get("status")
                    if isinstance(status, str) and status.startswith(_DIGEST):
                        digest = status.removeprefix(_DIGEST).strip()
                return digest
        except TimeoutError as error:
            if not quiet.expired():
                raise
            raise TryAgain(f"the pull of {image} made no progress", reasons.CANNOT_PULL) from error

    async def _progress(self, image: Image, reference: references.Reference) -> AsyncIterator[dict[str, Any]]:
        params = {"fromImage": reference.name, "tag": reference.tag}
        try:
            async with self._engine.stream("POST", "images/create", params, {"X-Registry-Auth": _NO_LOGIN}) as signs:
                async for sign in signs:
                    if "error" in sign or "errorDetail" in sign:
                        raise reasons.of_pull(image, _text_of(sign))
                    yield sign
        except DockerError as error:
            raise reasons.of_pull(image, error.message, error.status) from error

    async def _known_digest(self, image: Image, reference: references.Reference) -> str:
        """The digest under which the host knows the image, for an engine whose stream did not tell it."""
        found = await self._inspect(image)
        if found is None:
            raise TryAgain(f"Docker said that {image} was pulled, and does not have it", reasons.CANNOT_PULL)
        known = [str(entry).partition("@") for entry in found.get("RepoDigests") or ()]
        return next((digest for name, _, digest in known if name == reference.name), "")

    async def _inspect(self, image: Image) -> dict[str, Any] | None:
        try:
            async with self._engine.call(_INSPECT, TryAgain) as client:
                return await client.images.inspect(image)
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return None
            raise TryAgain(f"cannot inspect image {image}: {error.message}") from error


def _text_of(sign: dict[str, Any]) -> str:
    detail = sign.get("errorDetail")
    message = detail.get("message") if isinstance(detail, dict) else None
    return str(message or sign.get("error") or "the pull failed without a word")
