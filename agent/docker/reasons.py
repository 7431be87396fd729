"""What Docker's error answers ask the caller to do, in the words that ECS users know.

Texts are Docker's own, because that is what users search for, but without values of environment and log options and
without the queries of signed URLs.
"""

import re
from collections.abc import Collection

from agent.model.errors import AgentError, GiveUp, OutcomeUnknown, TryAgain

CANNOT_PULL = "CannotPullContainerError"
CANNOT_RESOLVE = "CannotPullImageManifestError"
CANNOT_CREATE = "CannotCreateContainerError"
CANNOT_START = "CannotStartContainerError"
CANNOT_STOP = "CannotStopContainerError"
CANNOT_REMOVE = "CannotRemoveContainerError"
CANNOT_CREATE_VOLUME = "CannotCreateVolumeError"
CANNOT_REMOVE_VOLUME = "CannotRemoveVolumeError"
BAD_VOLUME = "VolumeError"
TIMED_OUT = "DockerTimeoutError"

_BUSY = frozenset({429, 502, 503, 504})
_SERVER_ERROR = 500

_SHORTEST_SECRET = 4
"""Shorter values stand in too many words to be taken out."""

_DYING = (
    "context canceled",
    "context deadline exceeded",
    "daemon is shutting down",
    "transport is closing",
    "error while dialing",
    "containerd.sock",
)
"""Docker says these when it goes down, or loses containerd, while it works on the call."""

_PORT_IN_USE = ("port is already allocated", "address already in use")
_PORT = re.compile(r":(\d{1,5})(?![\d.])")

_NO_SUCH_IMAGE = (
    "manifest unknown",
    "name unknown",
    "no matching manifest",
    "not found",
    "denied",
    "unauthorized",
    "no basic auth credentials",
    "repository does not exist",
    "invalid reference format",
    "x509:",
)
"""What registries say that will not change by itself."""
_REGISTRY_TROUBLE = re.compile(
    r"time(?:d )?-?out|\beof\b|connection re(?:fused|set)|broken pipe|no such host|dial tcp|server misbehaving"
    r"|too ?many ?requests|request canceled|temporary failure|tls handshake|\b5\d\d\b|service unavailable|bad gateway"
    r"|context canceled|context deadline exceeded|unreachable",
)
"""What they, and the network before them, say while something is wrong for a while."""

_CANNOT = "The task can\u2019t pull the image."
_ADVICE = (
    (
        re.compile(r"not authorized to perform:? ?ecr:|ecr:BatchGetImage|ecr:GetDownloadUrlForLayer", re.IGNORECASE),
        "Check that the role with which the image is pulled may read from this Amazon ECR repository.",
    ),
    (
        re.compile(r"requested access to the resource is denied|pull access denied"),
        "Check that the image exists under this name, and that the login may read it.",
    ),
    (
        re.compile(r"request canceled while waiting for connection|i/o timeout|no such host|connection refused"),
        "Check that this host can reach the registry: its name, the routes, the proxy, the firewall.",
    ),
    (
        re.compile(r"toomanyrequests|too many requests", re.IGNORECASE),
        "The registry limits how often it is asked: log in, wait, or pull from a mirror.",
    ),
    (
        re.compile(r"no basic auth credentials|unauthorized|incorrect username or password"),
        "Check the login for this registry.",
    ),
    (
        re.compile(r"no matching manifest for"),
        "The image was not built for this host's operating system and processor.",
    ),
    (
        re.compile(r"no space left on device"),
        "The disk on which Docker keeps its images is full.",
    ),
)

_LAYER_URL = re.compile(r"[\"']?https?://[^\s\"']*starport[^\s\"']*[\"']?")
_QUERY = re.compile(r"(https?://[^\s\"'?]+)\?[^\s\"']+")


def scrubbed(text: str, private: Collection[str], public: Collection[str] = ()) -> str:
    """The text without the *private* values; those that are *public* as well, such as a word of the command, stay."""
    hidden = {value for value in private if len(value) >= _SHORTEST_SECRET} - set(public)
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, "***")
    return text


def of_making(name: str, status: int, text: str) -> AgentError:
    """What a refused create or start asks for: nobody will do better with the same container."""
    if _is_dying(text):
        return OutcomeUnknown(text)
    return TryAgain(text, name) if status in _BUSY else GiveUp(name, text)


def of_ending(name: str, status: int, text: str) -> AgentError:
    """What a refused stop, kill or remove asks for: what runs on is not given up for trouble of Docker's."""
    if _is_dying(text):
        return OutcomeUnknown(text)
    return TryAgain(text, name) if status >= _SERVER_ERROR or status in _BUSY else GiveUp(name, text)


def of_pull(image: str, text: str, status: int = 0, name: str = CANNOT_PULL) -> AgentError:
    """What a failed pull asks for. *status* is 0 where Docker told the failure within the stream."""
    told = _QUERY.sub(r"\1", _LAYER_URL.sub(f"REDACTED ECR URL related to {image}", text))
    told = _advised(told) if name == CANNOT_PULL else told
    lowered = text.lower()
    if _REGISTRY_TROUBLE.search(_QUERY.sub(r"\1", lowered).replace(image.lower(), "")):
        return TryAgain(told, name)
    if any(words in lowered for words in _NO_SUCH_IMAGE) or (status and status < _SERVER_ERROR):
        return GiveUp(name, told)
    return TryAgain(told, name)


def _advised(text: str) -> str:
    """The text behind a sentence that says what to look at, where the text alone has sent people the wrong way."""
    for sign, advice in _ADVICE:
        if sign.search(text):
            return f"{_CANNOT} {advice} {text}"
    return text


def timed_out(what: str, seconds: float) -> str:
    """That Docker did not bring a container to *what* in time, as ECS users know it."""
    return f"{TIMED_OUT}: {waited_for(what, seconds)}"


def waited_for(what: str, seconds: float) -> str:
    """The same without the error's name; durations as Go writes them."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    waited = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"Could not transition to {what}; timed out after waiting {waited}{rest:g}s"


def taken_port(text: str, published: Collection[int]) -> int | None:
    """The host port of *published* that a failed start names as taken by somebody else; None if it tells no such thing.

    Docker's words for it have changed with nearly every release; address, colon and number have not.
    """
    if not any(words in text for words in _PORT_IN_USE):
        return None
    return next((port for port in map(int, _PORT.findall(text)) if port in published), None)


def _is_dying(text: str) -> bool:
    return any(words in text for words in _DYING)
