"""Asks ECS about the protection of one task, with the keys of the task's own role. Fulfils `Protections`.

Keys are handed in with each call and let go with it.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.aws.ecs_client import EcsClient
from agent.aws.failures import EcsError
from agent.model.credentials import SigningKeys
from agent.model.protection import (
    NoTimelyAnswer,
    Protection,
    ProtectionAnswer,
    ProtectionFailure,
    ProtectionWish,
    ServiceRefused,
)
from agent.wire import ecs

DEADLINE = 4.0
"""Seconds for ECS's answer, repeats included: whoever asks us waits for five."""


@dataclass(frozen=True, slots=True)
class OneSet:
    """Keys that are what they are. Prints without them."""

    found: SigningKeys

    async def keys(self) -> SigningKeys:
        """The keys."""
        return self.found

    def forget(self) -> None:
        """There are no others to look for."""


class ProtectionClient:
    """Makes one call for each question."""

    def __init__(self, ecs_client: EcsClient, *, deadline: float = DEADLINE) -> None:
        self._ecs = ecs_client
        self._deadline = deadline

    async def protection(
        self, cluster: str, task: str, keys: SigningKeys, wish: ProtectionWish | None = None
    ) -> ProtectionAnswer:
        """How *task* is protected, after what it wishes, if anything. Raises ServiceRefused, NoTimelyAnswer."""
        client = self._ecs.signed_with(OneSet(keys))
        try:
            async with asyncio.timeout(self._deadline):
                return _read(await client.protection(cluster, task, wish))
        except TimeoutError as error:
            raise NoTimelyAnswer("ECS did not answer in time") from error
        except EcsError as error:
            raise ServiceRefused(error.code, error.message, error.status, error.request_id) from error
        except (ValueError, OverflowError, OSError) as error:
            raise ServiceRefused("", "cannot read when the protection ends") from error


def _read(answer: ecs.TaskProtectionAnswer) -> ProtectionAnswer:
    return ProtectionAnswer(
        tuple(
            Protection(one.task_arn or "", bool(one.protection_enabled), _moment(one.expiration_date))
            for one in answer.protected_tasks or ()
        ),
        tuple(ProtectionFailure(one.arn, one.reason, one.detail) for one in answer.failures or ()),
    )


def _moment(seconds: float | None) -> datetime | None:
    """ECS tells times to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC) if seconds is not None else None
