"""Asking a registry which image a tag means now, through Docker."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiodocker.exceptions import DockerError

from agent.docker import reasons, references
from agent.docker.engine_driver import DockerEngine
from agent.model.errors import TryAgain
from agent.model.names import Image

AT_ONCE = 10
SILENT_FOR = 600.0
"""Seconds for which a registry is not asked again that could not say what a tag means, and then gave the image."""

_NO_SUCH_CALL = "page not found"
"""What an engine says whose API is too old for the question."""

_FIRST_FORM = frozenset(
    {
        "application/json",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
"""Media types of the first form of manifests: their digests name nothing that can be pulled."""


class ManifestDriver:
    """Digests of tags. One question a pull, a few at once; the engine's own tries are the only ones."""

    def __init__(self, engine: DockerEngine, *, patience: timedelta = timedelta(minutes=1)) -> None:
        self._engine = engine
        self._patience = patience
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._silent: dict[str, float] = {}

    async def digest(self, image: Image, reference: references.Reference, login: str) -> str:
        """The digest of *image*, or ``""`` where there is none to be had. *login* is a header's value.

        Raises TryAgain or GiveUp, named CannotPullImageManifestError, for what the registry said.
        """
        if self._silent.get(reference.host, 0.0) > asyncio.get_running_loop().time():
            return ""
        async with self._turns:
            try:
                async with asyncio.timeout(self._patience.total_seconds()):
                    told = await self._ask(reference, login)
            except TimeoutError as error:
                text = reasons.waited_for("MANIFEST_PULLED", self._patience.total_seconds())
                raise TryAgain(text, reasons.TIMED_OUT) from error
            except DockerError as error:
                if _NO_SUCH_CALL in error.message:
                    return ""
                raise reasons.of_pull(image, error.message, error.status, reasons.CANNOT_RESOLVE) from error
        return _digest_in(told)

    def gave_none(self, reference: references.Reference) -> None:
        """Ask this registry no more for a while: it gives images, but not the digests of their tags."""
        self._silent[reference.host] = asyncio.get_running_loop().time() + SILENT_FOR

    async def _ask(self, reference: references.Reference, login: str) -> dict[str, Any]:
        path = f"distribution/{reference.name}:{reference.tag}/json"
        headers = {"X-Registry-Auth": login}
        async with self._engine.stream("GET", path, {}, headers, TryAgain) as answers:
            async for answer in answers:
                return answer
        return {}


def _digest_in(told: Mapping[str, Any]) -> str:
    descriptor = told.get("Descriptor")
    if not isinstance(descriptor, dict) or descriptor.get("mediaType") in _FIRST_FORM:
        return ""
    digest = descriptor.get("digest")
    return digest if isinstance(digest, str) else ""
