"""All images and containers of the engine, whoever made them: what there is to tidy up. Fulfils the images' `Shelf`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import aiodocker
from aiodocker.exceptions import DockerError

from agent.docker import inspected, labels, reasons, references
from agent.docker.engine_driver import DockerEngine
from agent.images.ports import HostContainer, HostImage
from agent.model.errors import GiveUp, TryAgain
from agent.model.names import DockerId, Image

CANNOT_REMOVE = "CannotRemoveImageError"

_LIST = 600.0
_INSPECT = 30.0
_REMOVE_IMAGE = 180.0
_REMOVE_CONTAINER = 300.0
_NOT_FOUND = 404
_NO_NAME = "<none>"
_LISTED = ("Id", "ImageID", "Labels", "State", "Created")
_OVER = frozenset({"exited", "dead", "created"})


class ShelfDriver:
    """Lists, and removes without force."""

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine

    def listed(self, image: Image) -> str:
        """The name under which Docker lists *image*; the image itself where it is no reference."""
        try:
            return references.read(image).listed
        except GiveUp:
            return image

    async def images(self) -> Sequence[HostImage]:
        """All images that are not only layers of others. Raises TryAgain."""
        async with self._asking("list images", _LIST) as client:
            found = await client.images.list()
        return [_image(raw) for raw in found]

    async def containers(self) -> Sequence[HostContainer]:
        """All containers, in whatever state. Raises TryAgain."""
        async with self._asking("list containers", _LIST) as client:
            found = await client.containers.list(all="true")
        return [_container({name: one[name] for name in _LISTED}) for one in found]

    async def finished_at(self, container: DockerId) -> datetime | None:
        """When an ended container ended; None if it never ran, or is gone. Raises TryAgain."""
        try:
            async with self._engine.call(_INSPECT, TryAgain) as client:
                raw = await client.containers.container(quote(container, safe="")).show()
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return None
            raise TryAgain(f"cannot inspect {container}: {error.message}") from error
        return inspected.moment(raw["State"]["FinishedAt"])

    async def remove_image(self, name: str) -> None:
        """Take a name, or an id, from an image. Absent is success; raises GiveUp where it is in use."""
        async with self._removing(CANNOT_REMOVE, _REMOVE_IMAGE) as client:
            await client.images.delete(name)

    async def remove_container(self, container: DockerId) -> None:
        """Remove a container that does not run. Absent is success; raises GiveUp where it runs."""
        async with self._removing(reasons.CANNOT_REMOVE, _REMOVE_CONTAINER) as client:
            await client.containers.container(quote(container, safe="")).delete(v=True)

    @asynccontextmanager
    async def _asking(self, what: str, bound: float) -> AsyncIterator[aiodocker.Docker]:
        try:
            async with self._engine.call(bound, TryAgain) as client:
                yield client
        except DockerError as error:
            raise TryAgain(f"cannot {what}: {error.message}") from error

    @asynccontextmanager
    async def _removing(self, name: str, bound: float) -> AsyncIterator[aiodocker.Docker]:
        try:
            async with self._engine.call(bound) as client:
                yield client
        except DockerError as error:
            if error.status != _NOT_FOUND:
                raise reasons.of_ending(name, error.status, error.message) from error


def _image(raw: Mapping[str, Any]) -> HostImage:
    return HostImage(
        id=raw["Id"],
        tags=_names(raw.get("RepoTags")),
        digests=_names(raw.get("RepoDigests")),
        created=_time(raw["Created"]),
        size=raw["Size"],
    )


def _names(listed: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name for name in listed or () if _NO_NAME not in name)


def _container(raw: Mapping[str, Any]) -> HostContainer:
    marks = raw["Labels"] or {}
    return HostContainer(
        id=DockerId(raw["Id"]),
        image_id=raw["ImageID"],
        is_of_ecs=labels.TASK in marks or labels.AGENT in marks,
        ended=raw["State"] in _OVER,
        created=_time(raw["Created"]),
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
