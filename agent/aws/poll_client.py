"""Where ACS and TCS are, as ECS tells it. Asked once in twelve hours (wire protocol, DiscoverPollEndpoint).

An operator may pin either: a pinned one is never asked for, so a network where only that one is reachable will do.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from structlog import get_logger

from agent.aws.ecs_client import EcsClient
from agent.aws.endpoints import is_http_url
from agent.aws.failures import EcsError
from agent.config.settings import Settings
from agent.model.errors import InactiveInstance, TryAgain
from agent.wire.ecs import DiscoverPollEndpointAnswer

log = get_logger()

KEPT_FOR = 12 * 3600.0
"""Seconds for which an answer is taken as fresh."""
PATIENCE = 126.0
"""Seconds for one question, its repeats included."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, when it came, and whether it is still good enough not to ask again."""

    answer: DiscoverPollEndpointAnswer
    at: float
    fresh: bool = True


class PollEndpointsClient:
    """Asks DiscoverPollEndpoint, keeps the answer per instance, and falls back on an old one while ECS is away."""

    def __init__(
        self,
        ecs: EcsClient,
        cluster: str,
        *,
        pinned_acs: str = "",
        pinned_telemetry: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ecs = ecs
        self._cluster = cluster
        self._pinned_acs = pinned_acs
        self._pinned_telemetry = pinned_telemetry
        self._monotonic = monotonic
        self._kept: dict[str, Kept] = {}
        self._one_question = asyncio.Lock()

    @classmethod
    def of(cls, ecs: EcsClient, cluster: str, settings: Settings) -> Self:
        """One with the pins of *settings*."""
        return cls(ecs, cluster, pinned_acs=settings.agent_endpoint, pinned_telemetry=settings.telemetry_endpoint)

    async def acs_endpoint(self, instance_arn: str) -> str:
        """The http(s) base URL of ACS. Raises TryAgain; InactiveInstance where ECS says so."""
        if self._pinned_acs:
            return self._pinned_acs
        return _checked("endpoint", (await self._answer(instance_arn)).endpoint)

    async def telemetry_endpoint(self, instance_arn: str) -> str:
        """The http(s) base URL of TCS. Raises TryAgain; InactiveInstance where ECS says so."""
        if self._pinned_telemetry:
            return self._pinned_telemetry
        return _checked("telemetryEndpoint", (await self._answer(instance_arn)).telemetry_endpoint)

    def forget(self) -> None:
        """Ask afresh next time. The old answers still serve if ECS does not answer either."""
        self._kept = {arn: Kept(kept.answer, kept.at, fresh=False) for arn, kept in self._kept.items()}

    async def _answer(self, instance_arn: str) -> DiscoverPollEndpointAnswer:
        async with self._one_question:
            kept = self._kept.get(instance_arn)
            if kept is not None and kept.fresh and self._monotonic() - kept.at < KEPT_FOR:
                return kept.answer
            try:
                answer = await self._ask(instance_arn)
            except TryAgain as error:
                if kept is None:
                    raise
                log.warning("poll_endpoint_kept", error=str(error))
                return kept.answer
            self._kept[instance_arn] = Kept(answer, self._monotonic())
            return answer

    async def _ask(self, instance_arn: str) -> DiscoverPollEndpointAnswer:
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._ecs.discover(self._cluster, instance_arn)
        except TimeoutError as error:
            raise TryAgain("DiscoverPollEndpoint was not answered in time") from error
        except EcsError as error:
            if error.says_inactive:
                raise InactiveInstance(str(error)) from error
            raise TryAgain(f"cannot discover where ACS is: {error}", error.code) from error
        _checked("endpoint", answer.endpoint)
        return answer


def _checked(name: str, url: str | None) -> str:
    """*url* if a connection can be opened to it. ECS answers with http or https; ws and wss are not endpoints."""
    if not url:
        raise TryAgain(f"DiscoverPollEndpoint gave no {name}")
    if not is_http_url(url):
        raise TryAgain(f"DiscoverPollEndpoint gave {url!r} for {name}, which is neither an http nor an https URL")
    return url
