"""Watches whether EC2 will take this instance away, and has ECS place nothing on it any more and move its services.

Each second a notice is looked for. Once ECS has set the instance DRAINING, nothing more is to be done, and nothing
takes it back: EC2 does not take back its notice either. One that this agent registers anew after that is drained, too.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from structlog import get_logger

from agent.config.settings import Settings
from agent.membership.leave_loop import ASKED_WITHIN, DRAINING, Owner
from agent.membership.ports import InstanceState, Notices
from agent.model.errors import AgentError, GiveUp, TryAgain

log = get_logger()

EACH = 1.0
"""Seconds between two looks, and between two attempts to tell ECS."""
TAKES_AWAY = frozenset({"terminate", "stop", "hibernate"})
NO_SERVICE = "NoInstanceMetadata"
"""The name of the failure where nobody ever tells any notice."""
RECOMMENDED = "EC2 recommends to rebalance: this spot instance is more likely to be interrupted than it was"


class _SpotAction(msgspec.Struct, frozen=True):
    action: str
    time: str = ""


def spot_reason(text: str) -> str:
    """What the notice *text* announces; ``""`` for none. Raises ValueError where it says nothing that we know."""
    if not text:
        return ""
    try:
        said = msgspec.json.decode(text, type=_SpotAction)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the notice cannot be read: {error}") from error
    if said.action not in TAKES_AWAY:
        raise ValueError(f"the action {said.action!r} is not one of {', '.join(sorted(TAKES_AWAY))}")
    return f"EC2 will {said.action} this spot instance at {said.time or 'a time that it does not tell'}"


def _trouble(error: Exception) -> str:
    """What hides a notice for the moment. Raises GiveUp where there is no service.

    One that refuses to answer may be switched on again, and what it says of one notice says nothing of another.
    """
    if isinstance(error, GiveUp) and error.name == NO_SERVICE:
        raise error
    return str(error)


class Interruptions:
    """The watch over one instance, whoever it is to ECS at the moment."""

    def __init__(
        self,
        settings: Settings,
        notices: Notices,
        state: InstanceState,
        owner: Owner,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._notices = notices
        self._state = state
        self._owner = owner
        self._spot = settings.spot_instance_draining and not settings.external
        self._rebalance = settings.rebalance_draining and not settings.external
        self._pause = pause
        self._renews = settings.reregister_when_inactive
        self._trouble = ""
        self._done = ""
        """Who is DRAINING by us."""

    async def run(self) -> None:
        """Return when there is nothing to watch, or when ECS has set the last instance that there will be DRAINING."""
        if not (self._spot or self._rebalance):
            return
        try:
            while True:
                if self._owner.identity.instance_arn != self._done:
                    why = await self._why()
                    if why and await self._drained(why) and not self._renews:
                        return
                await self._pause(EACH)
        except GiveUp as error:
            log.warning("interruptions_not_watched", error=str(error))

    async def _why(self) -> str:
        """Why the instance is to be drained; ``""`` while nobody says so. Raises GiveUp where nobody ever will."""
        trouble = why = ""
        try:
            if self._spot:
                why = spot_reason(await self._notices.spot_action())
        except (TryAgain, GiveUp, ValueError) as error:
            trouble = _trouble(error)
        try:
            if self._rebalance and not why and await self._notices.rebalance_recommendation():
                why = RECOMMENDED
        except (TryAgain, GiveUp) as error:
            trouble = trouble or _trouble(error)
        if trouble and trouble != self._trouble:
            log.error("interruption_notice_unknown", error=trouble, next_look_in=EACH)
        self._trouble = trouble
        return why

    async def _drained(self, why: str) -> bool:
        identity = self._owner.identity
        log.warning("interruption_announced", instance=identity.instance_arn, reason=why)
        try:
            async with asyncio.timeout(ASKED_WITHIN):
                refusal = await self._state.set_state(identity.cluster, identity.instance_arn, DRAINING)
        except (AgentError, TimeoutError) as error:
            refusal = str(error) or "no answer in time"
        if refusal:
            log.warning("instance_not_drained", instance=identity.instance_arn, reason=refusal, next_try_in=EACH)
            return False
        self._done = identity.instance_arn
        log.info("instance_draining", instance=identity.instance_arn, by="this agent, for good", reason=why)
        return True
