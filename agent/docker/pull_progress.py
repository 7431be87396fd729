"""How far pulls have come, for people who wait for them. Kept in memory only."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.model.clock import Clock, utc_now
from agent.model.names import Image
from agent.model.task import ImageSource

_ANNOUNCED = ("Pulling fs layer", "Waiting")
_FETCHED = ("Download complete", "Verifying Checksum", "Extracting")
_DONE = ("Pull complete", "Already exists")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where one pull stands. Bytes are those of layers whose size is known by now: the total grows at first."""

    since: datetime
    layers_done: int = 0
    layers: int = 0
    bytes_done: int = 0
    bytes_total: int = 0


@dataclass(slots=True)
class _Layer:
    done: bool = False
    current: int = 0
    total: int = 0


@dataclass(slots=True)
class Signs:
    """What the stream of one pull has told so far."""

    since: datetime
    _layers: dict[str, _Layer] = field(default_factory=dict)

    def hear(self, sign: Mapping[str, Any]) -> None:
        """Take one document of the stream. What is of no layer changes nothing."""
        status, name = sign.get("status"), sign.get("id")
        if not isinstance(status, str) or not isinstance(name, str):
            return
        if status in _DONE:
            layer = self._layers.setdefault(name, _Layer())
            layer.done, layer.current = True, layer.total
        elif status == "Downloading":
            layer = self._layers.setdefault(name, _Layer())
            detail = sign.get("progressDetail")
            if isinstance(detail, dict):
                layer.current, layer.total = _count(detail, "current"), _count(detail, "total") or layer.total
        elif status in _FETCHED:
            layer = self._layers.setdefault(name, _Layer())
            layer.current = layer.total
        elif status in _ANNOUNCED:
            self._layers.setdefault(name, _Layer())

    def progress(self) -> Progress:
        """The sum of the layers."""
        layers = self._layers.values()
        return Progress(
            self.since,
            sum(layer.done for layer in layers),
            len(layers),
            sum(layer.current for layer in layers),
            sum(max(layer.total, layer.current) for layer in layers),
        )


class PullProgress:
    """All pulls that go on now."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._pulls: dict[int, tuple[ImageSource, Signs]] = {}
        self._next = 0

    @contextmanager
    def of(self, source: ImageSource) -> Iterator[Signs]:
        """Show a pull from here to the end of the block."""
        self._next = number = self._next + 1
        signs = Signs(self._clock())
        self._pulls[number] = source, signs
        try:
            yield signs
        finally:
            del self._pulls[number]

    def images(self) -> frozenset[Image]:
        """The images that are being pulled."""
        return frozenset(source.image for source, _ in self._pulls.values())

    def snapshot(self) -> Mapping[str, Progress]:
        """By image. Of several pulls of one image, with different logins, the one that began first is shown."""
        return {str(source.image): signs.progress() for source, signs in reversed(self._pulls.values())}


def _count(detail: Mapping[str, Any], name: str) -> int:
    value = detail.get(name)
    return value if isinstance(value, int) and value > 0 else 0
