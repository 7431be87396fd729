"""This EC2 instance, to whoever registers it: what proves which one it is, its tags, and what EC2 announces for it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from structlog import get_logger

from agent.aws.ec2_client import Ec2Client, Tags
from agent.aws.imds_client import DOCUMENT, LIFECYCLE, REBALANCE, SPOT_ACTION, ImdsClient, Unanswered, Whereabouts
from agent.model.errors import TryAgain

log = get_logger()

SIGNATURE = "dynamic/instance-identity/signature"
FIRST_WAIT, LONGEST_WAIT, JITTER = 0.1, 5.0, 0.2
SWITCHED_OFF = 403
ADDRESSES_WITHIN = 1.0
"""Seconds for which the creation of a container may wait to be told them."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where this machine is reached, as far as EC2 says so. IPv6 counts where there is nothing else."""

    private_ipv4: str = ""
    public_ipv4: str = ""
    ipv6: str = ""


class InstanceClient:
    """This machine. One that is to prove nothing (*proves*) sends empty texts. `place` is known once it was opened.

    *forget* drops the keys that calls are signed with: a role that came late may be why there is no document yet.
    """

    def __init__(
        self,
        imds: ImdsClient,
        ec2: Ec2Client | None = None,
        *,
        proves: bool = True,
        forget: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.place = Whereabouts()
        self._imds = imds
        self._ec2 = ec2
        self._tags: Tags | None = None
        self._addresses: Addresses | None = None
        self._proves = proves
        self._forget = forget
        self._monotonic = monotonic
        self._sleep = sleep
        self._draw = draw

    @classmethod
    async def open(cls, imds: ImdsClient, ec2: Ec2Client | None, *, proves: bool, forget: Callable[[], None]) -> Self:
        """An instance of which it is known where it stands."""
        instance = cls(imds, ec2, proves=proves, forget=forget)
        instance.place = place = await imds.whereabouts()
        log.info(
            "instance_placed",
            zone_id=place.zone_id,
            vpc=place.interface.vpc_id,
            subnet=place.interface.subnet_id,
            outpost=place.outpost_arn,
        )
        return instance

    async def instance_id(self) -> str:
        """The EC2 instance's id; ``""`` where there is none."""
        return await self._imds.instance_id()

    async def identity_document(self) -> tuple[str, str]:
        """The signed document that proves which instance this is, and its signature, both verbatim.

        They are read afresh each time, and each is asked for as long as the instance metadata service has patience.
        """
        if not self._proves:
            return "", ""
        document = await self._insist(DOCUMENT, self._forget)
        return (document, await self._insist(SIGNATURE, lambda: None)) if document else ("", "")

    async def tags(self) -> Tags:
        """The tags that the owner of the EC2 instance gave it; none without *ec2*. Raises TryAgain.

        They are asked for until EC2 has answered once.
        """
        if self._ec2 is None:
            return ()
        if self._tags is None:
            instance = await self._imds.instance_id()
            if not instance:
                text = "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM: nobody says which EC2 instance this is"
                raise TryAgain(text)
            self._tags = await self._ec2.tags(instance)
        return self._tags

    async def addresses(self) -> Addresses:
        """Where the machine is reached, asked for until it is known, and for a moment only."""
        if self._addresses is None:
            try:
                async with asyncio.timeout(ADDRESSES_WITHIN):
                    private, public = await self._imds.addresses()
                    self._addresses = Addresses(private, public, "" if private else await self._imds.ipv6())
            except TimeoutError:
                return Addresses()
        return self._addresses

    async def spot_action(self) -> str:
        """The notice of a spot interruption, as JSON; ``""`` while there is none. Raises TryAgain, GiveUp."""
        return await self._imds.notice(SPOT_ACTION)

    async def rebalance_recommendation(self) -> str:
        """The recommendation to rebalance, as JSON; ``""`` while there is none. Raises TryAgain, GiveUp."""
        return await self._imds.notice(REBALANCE)

    async def target_lifecycle_state(self) -> str:
        """What the Auto Scaling group wants this instance to be; ``""`` if nothing. Raises TryAgain, GiveUp."""
        return await self._imds.notice(LIFECYCLE)

    async def _insist(self, path: str, failed: Callable[[], None]) -> str:
        give_up_at, wait = self._monotonic() + self._imds.patience, FIRST_WAIT
        while not self._imds.is_absent():
            try:
                if (text := await self._imds.ask(path)).strip():
                    return text
                lack, hopeless = "is empty", False
            except Unanswered as error:
                lack, hopeless = str(error), error.status == SWITCHED_OFF
            failed()
            pause = wait * (1 + JITTER * self._draw())
            if hopeless or self._imds.is_absent() or self._monotonic() + pause > give_up_at:
                log.info("instance_proof_missing", path=path, error=lack)
                return ""
            await self._sleep(pause)
            wait = min(LONGEST_WAIT, wait * 2)
        return ""
