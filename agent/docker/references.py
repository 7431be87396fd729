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
_LONGEST_NAME = 255
_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
"""How long digests are, by algorithm; Docker knows no others."""
_ID = re.compile(r"[0-9a-f]{64}")

HUB = "docker.io"
_OLD_HUB = "index.docker.io"
_OFFICIAL = "library/"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name with its registry, and the tag or digest to fetch."""

    name: str
    tag: str
    """A tag, or a digest such as ``sha256:…``: where a reference has both, the digest says which image is meant."""
    digest: str = ""

    @property
    def host(self) -> str:
        """The registry, with its port if it has one. A name without a registry means Docker Hub."""
        return _split(self.name)[0]

    @property
    def path(self) -> str:
        """The repository within its registry."""
        return _split(self.name)[1]

    @property
    def familiar(self) -> str:
        """The name as Docker lists it: without the parts that are implied on Docker Hub."""
        host, path = _split(self.name)
        return path.removeprefix(_OFFICIAL) if host == HUB else f"{host}/{path}"

    @property
    def listed(self) -> str:
        """The whole reference as Docker lists it."""
        return f"{self.familiar}@{self.digest}" if self.digest else f"{self.familiar}:{self.tag}"


def read(image: Image) -> Reference:
    """The parts of *image*; a missing tag is ``latest``. Raises GiveUp where Docker could not read it either."""
    match = _REFERENCE.fullmatch(image)
    if match is None:
        raise GiveUp(CANNOT_PULL, f"invalid reference format: {image!r}")
    name, digest = match["name"], match["digest"] or ""
    if len(name) > _LONGEST_NAME:
        raise GiveUp(CANNOT_PULL, f"invalid reference format: {image!r}: the name is longer than {_LONGEST_NAME}")
    if _ID.fullmatch(name):
        raise GiveUp(CANNOT_PULL, f"invalid reference format: {image!r}: a name cannot be 64 hexadecimal digits")
    if digest:
        _check_digest(image, digest)
    return Reference(name=name, tag=digest or match["tag"] or "latest", digest=digest)


def _check_digest(image: Image, digest: str) -> None:
    algorithm, _, digits = digest.partition(":")
    if _DIGITS.get(algorithm) != len(digits) or digits != digits.lower():
        raise GiveUp(CANNOT_PULL, f"invalid reference format: {image!r}: that is no digest")


def _split(name: str) -> tuple[str, str]:
    """Registry and repository. What stands before the first slash is a registry only if it looks like a host."""
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:[") & set(first) or first == "localhost"):
        host, path = HUB, name
    else:
        host, path = (HUB if first == _OLD_HUB else first), rest
    return host, _OFFICIAL + path if host == HUB and "/" not in path else path
