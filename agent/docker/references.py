"""Image references, read as Docker reads them."""

import re
from dataclasses import dataclass

from agent.docker.reasons import CANNOT_PULL
from agent.model.errors import GiveUp
from agent.model.names import Image

_REFERENCE = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.-]+(?::[0-9]+)?/|\[[0-9A-Fa-f:]+\](?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}))?",
)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name with its registry, and the tag or digest to fetch."""

    name: str
    tag: str
    """A tag, or a digest such as ``sha256:…``: where a reference has both, the digest says which image is meant."""
    digest: str = ""


def read(image: Image) -> Reference:
    """The parts of *image*; a missing tag is ``latest``. Raises GiveUp where Docker could not read it either."""
    match = _REFERENCE.fullmatch(image)
    if match is None:
        raise GiveUp(CANNOT_PULL, f"invalid reference format: {image!r}")
    digest = match["digest"] or ""
    return Reference(name=match["name"], tag=digest or match["tag"] or "latest", digest=digest)
