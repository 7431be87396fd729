"""Waits in the warm pool of an Auto Scaling group: an instance that is kept ready there is not to get tasks yet.

ECS must not hear of the instance before the group says that it is InService. What runs here already is looked after
meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable

from structlog import get_logger

from agent.config.settings import Settings
from agent.membership.ports import Notices
from agent.model.errors import NOT_WORTH_A_RESTART, Fatal, GiveUp, TryAgain

log = get_logger()

EACH = 60.0
"""Seconds between two looks."""
LOOKS = 120
"""How often a group is asked that says nothing at all, or does not answer; from its first word on there is no end."""
IN_SERVICE = "InService"
SETTING = "ECS_WARM_POOLS_CHECK"


async def in_service(
    settings: Settings, notices: Notices, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Return when the instance is to be InService, at once where it cannot be in a warm pool.

    Raises Fatal where nobody can say what it is.
    """
    if not settings.warm_pools_check or settings.external or settings.imds_disabled:
        return
    looks, last = 0, ""
    while True:
        try:
            state = await notices.target_lifecycle_state()
        except TryAgain as error:
            log.warning("lifecycle_state_unknown", error=str(error), next_look_in=EACH)
            state = ""
        except GiveUp as error:
            text = f"{SETTING}: it cannot be told whether this instance is {IN_SERVICE}: {error}"
            raise Fatal(text, NOT_WORTH_A_RESTART) from error
        if state == IN_SERVICE:
            return
        if state and state != last:
            log.info("waiting_in_warm_pool", state=state, until=IN_SERVICE, next_look_in=EACH)
        last = state or last
        looks += 1
        if not last and looks >= LOOKS:
            minutes = LOOKS * EACH / 60
            raise Fatal(
                f"{SETTING}: no Auto Scaling group has said a word in {minutes:.0f} minutes", NOT_WORTH_A_RESTART
            )
        await pause(EACH)
