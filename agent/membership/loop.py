"""Joins the cluster: finds out who we are, registers, remembers the answer.

The token of a first registration is on the disk before the call leaves, so a call whose answer was lost is the same
call when it is made again, and ECS makes one instance of both.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from structlog import get_logger

from agent.membership.backoff import BUDGET, Backoff
from agent.membership.decisions import (
    Draws,
    MembershipSettings,
    Offer,
    Reaction,
    cannot_move,
    check_echo,
    exit_for,
    is_moving,
    is_refusal,
    reaction,
    recall,
    recovered,
    registered,
    registration,
)
from agent.membership.ports import HostFacts, IdentityFile, InstanceMetadata, Names, Registry, Traces
from agent.model.errors import NOT_WORTH_A_RESTART, AgentError, Fatal, TryAgain
from agent.model.identity import Identity, Trace
from agent.model.registration import Registered, Registration, RegistrationFailure

log = get_logger()

LOOK_AGAIN = 0.5
STAYS = "the instance goes on as it was registered before"


def draw_identity() -> Draws:
    """Names for a new installation."""
    return Draws(agent_id=uuid.uuid4().hex, client_token=str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Edge:
    """Time and chance."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    draw_identity: Callable[[], Draws] = draw_identity


class Membership:
    """This machine's place in its cluster."""

    def __init__(
        self,
        settings: MembershipSettings,
        *,
        registry: Registry,
        file: IdentityFile,
        host: HostFacts,
        metadata: InstanceMetadata,
        traces: Traces,
        names: Names,
        edge: Edge | None = None,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._file = file
        self._host = host
        self._metadata = metadata
        self._traces = traces
        self._names = names
        self._renewals = 0
        self._poked = asyncio.Event()
        self._edge = edge or Edge()
        self._latest: Identity | None = None
        self._drained: bool | None = None
        """What was marked last, by whoever drains; all else of the identity is what registrations say."""
        self._writing = asyncio.Lock()

    async def recall(self) -> Identity:
        """Who we are, on the disk before this returns. Registers nothing. Raises Fatal.

        By the file, or the journal's copy, or the labels of containers that were made from this data directory.
        """
        ec2 = await self._metadata.instance_id()
        saved, trouble = await self._find()
        identity = recall(saved, self._settings, ec2, self._edge.draw_identity())
        if saved is not None and saved.agent_id != identity.agent_id:
            log.warning("identity_of_another_machine", was=saved.ec2_instance_id, now=identity.ec2_instance_id)
        self._names.claim(identity.agent_id)
        try:
            if saved is not None and is_moving(saved, self._settings, ec2):
                await self._move(saved)
            if trouble is not None and not identity.instance_arn:
                raise trouble  # nobody can say that this machine is new
            if identity != saved or not await self._file.is_there():
                await self._save(identity)
        except OSError as error:
            raise Fatal(f"cannot keep the identity in {self._settings.identity_path}: {error}") from error
        return identity

    async def _find(self) -> tuple[Identity | None, OSError | None]:
        trouble = None
        try:
            saved = await self._file.read()
        except OSError as error:
            saved, trouble = None, error
        if saved is None:
            saved = recovered(await self._told(), self._settings, self._names.is_alive)
            if saved is not None:
                log.warning("identity_taken_from_labels", instance=saved.instance_arn, agent=saved.agent_id)
        return saved, trouble

    async def _told(self) -> Sequence[Trace]:
        """What containers tell; without it nobody knows whether this machine is a new one."""
        while True:
            try:
                return await self._traces.traces()
            except TryAgain as error:
                log.warning("waiting_for_docker", error=str(error), next_try_in=LOOK_AGAIN)
            await self._edge.sleep(LOOK_AGAIN)

    async def _move(self, saved: Identity) -> None:
        """Leave the old cluster without a word, if nothing lives here that it knows of. Raises Fatal, OSError."""
        alive = {trace.task for trace in await self._told() if trace.agent_id == saved.agent_id and trace.is_alive}
        if alive:
            raise cannot_move(saved, self._settings, len(alive))
        log.warning("cluster_changed", was=saved.cluster, now=self._settings.cluster_name, left=saved.instance_arn)
        await self._file.set_aside()

    async def _save(self, identity: Identity) -> None:
        """Have *identity* on the disk. Raises OSError where a call without it could make a second instance."""
        try:
            await self._file.write(identity)
        except OSError as error:
            if not identity.instance_arn:
                raise
            log.warning("identity_not_saved", path=self._settings.identity_path, error=str(error))

    async def join(self, identity: Identity | None = None) -> Identity:
        """Register, or register again. Gives the identity with its instance ARN. Raises Fatal.

        *identity* is what `recall` gave, if it has been called already.
        """
        identity = identity or await self.recall()
        asked, answer = await self._register(identity)
        try:
            check_echo(asked, answer, self._settings)
        except Fatal:
            await self._drop_token(identity)
            raise
        now = registered(identity, answer)
        log.info(
            "instance_registered", instance=now.instance_arn, cluster=now.cluster, again=bool(identity.instance_arn)
        )
        return await self._remember(now, identity)

    async def rejoin(self, identity: Identity) -> Identity:
        """Register again under the ARN that we have, however long ECS is away; gives the identity as it is then.

        Tasks do not wait for it: ECS knows this instance. What ECS refuses is told, and the instance stays registered
        as it was. Raises Fatal only for a setting that cannot be.
        """
        backoff, may_create, renewals = Backoff(), True, self._renewals
        token = self._edge.draw_identity().client_token
        while renewals == self._renewals:
            began = self._edge.monotonic()
            try:
                asked = registration(identity, self._settings, await self._offer(), token)
                answer = await self._registry.register(asked)
            except RegistrationFailure as failure:
                if is_refusal(failure, identity):
                    log.error("registration_refused", instance=identity.instance_arn, error=str(failure), stays=STAYS)  # noqa: TRY400
                    return identity
                if reaction(failure, self._settings, may_create=may_create) is Reaction.CREATE_CLUSTER:
                    may_create = False
                    await self._create_cluster(identity)
                    continue
                backoff = await self._try_later(backoff, began, failure)
                continue
            except Fatal as error:
                if error.exit_code == NOT_WORTH_A_RESTART:
                    raise
                backoff = await self._try_later(backoff, began, error)
                continue
            return identity if renewals != self._renewals else await self._registered_again(identity, asked, answer)
        return identity

    async def _registered_again(self, identity: Identity, asked: Registration, answer: Registered) -> Identity:
        try:
            check_echo(asked, answer, self._settings)
        except Fatal as error:
            log.error("registration_refused", instance=identity.instance_arn, error=str(error), stays=STAYS)  # noqa: TRY400
        now = registered(identity, answer)
        log.info("instance_registered", instance=now.instance_arn, cluster=now.cluster, again=True)
        return await self._remember(now, identity)

    async def renew(self, identity: Identity) -> Identity:
        """Register as a new instance: ECS has let go of ours. The agent stays who it is, and so do its tasks.

        Tries until ECS has answered. The token is on the disk before the call leaves, beside the old ARN: after a crash
        ECS is asked once more whether it knows that one, and if not, the call is made again under the same token.
        """
        self._renewals += 1
        backoff, may_create = Backoff(), True
        while True:
            began = self._edge.monotonic()
            kept = identity if identity.client_token else self._with_a_token(identity)
            await self._remember(kept, identity)
            identity = kept
            try:
                asked = registration(replace(kept, instance_arn=""), self._settings, await self._offer(), "")
                answer = await self._registry.register(asked)
                now = registered(replace(kept, instance_arn=""), answer)
            except AgentError as error:
                if isinstance(error, RegistrationFailure):
                    if is_refusal(error, identity):
                        identity = self._with_a_token(identity)
                    if reaction(error, self._settings, may_create=may_create) is Reaction.CREATE_CLUSTER:
                        may_create = False
                        await self._create_cluster(identity)
                        continue
                backoff = await self._try_later(backoff, began, error)
                continue
            log.warning("instance_registered_anew", instance=now.instance_arn, was=identity.instance_arn)
            return await self._remember(now, kept)

    def _with_a_token(self, identity: Identity) -> Identity:
        return replace(identity, client_token=self._edge.draw_identity().client_token)

    async def _try_later(self, backoff: Backoff, began: float, error: AgentError) -> Backoff:
        wait = backoff.wait(self._edge.draw())
        log.warning("registration_delayed", error=str(error), wait=round(wait, 1), budget="none: tasks go on meanwhile")
        waiting = asyncio.ensure_future(self._edge.sleep(wait))
        poked = asyncio.ensure_future(self._poked.wait())
        try:
            await asyncio.wait({waiting, poked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in (waiting, poked):
                job.cancel()
        self._poked.clear()
        return backoff.after(self._edge.monotonic() - began)

    def poke(self) -> None:
        """ECS answers: what is waiting for it need not wait any longer."""
        self._poked.set()

    async def status(self, identity: Identity) -> str:
        """How ECS has this instance now: ACTIVE or DRAINING. Raises AgentError.

        Registering again changes nothing, and its answer is the only one that tells so to every agent's role.
        """
        token = self._edge.draw_identity().client_token
        asked = registration(identity, self._settings, await self._offer(), token)
        return (await self._registry.register(asked)).status

    async def mark(self, identity: Identity, *, drained: bool) -> None:
        """Remember whether the instance is DRAINING because this agent said so. A disk that refuses ends nothing.

        A renewal may be under way: its token stays beside the mark, and the mark beside what it comes to.
        """
        self._drained = drained
        self._latest = self._latest or identity
        await self._write_latest()

    async def _register(self, identity: Identity) -> tuple[Registration, Registered]:
        backoff, may_create = Backoff(), True
        token = self._edge.draw_identity().client_token
        while True:
            began = self._edge.monotonic()
            asked = registration(identity, self._settings, await self._offer(), token)
            try:
                return asked, await self._registry.register(asked)
            except RegistrationFailure as failure:
                match reaction(failure, self._settings, may_create=may_create):
                    case Reaction.CREATE_CLUSTER:
                        may_create = False
                        await self._create_cluster(identity)
                        continue
                    case Reaction.EXIT:
                        if is_refusal(failure, identity):
                            await self._drop_token(identity)
                        raise exit_for(failure, identity, self._settings) from failure
                    case Reaction.WAIT:
                        if backoff.is_spent:
                            raise exit_for(failure, identity, self._settings) from failure
                        wait = backoff.wait(self._edge.draw())
                        log.warning("registration_delayed", error=str(failure), wait=round(wait, 1), budget=BUDGET)
            await self._edge.sleep(wait)
            backoff = backoff.after(self._edge.monotonic() - began)

    async def _offer(self) -> Offer:
        try:
            gpus = await self._host.gpus()
            resources, attributes = await self._host.resources(), await self._host.attributes()
            tags = await self._metadata.tags()
        except Fatal:
            raise
        except AgentError as error:
            raise Fatal(f"cannot find out what this machine offers: {error}") from error
        document, signature = await self._metadata.identity_document()
        return Offer(resources, attributes, document, signature, gpus, tags)

    async def _create_cluster(self, identity: Identity) -> None:
        try:
            name = await self._registry.create_cluster(identity.cluster)
        except RegistrationFailure as failure:
            # Registering is tried once more all the same: somebody else may have made it meanwhile.
            log.warning("cluster_not_created", cluster=identity.cluster, error=str(failure))
        else:
            log.info("cluster_created", cluster=name)

    async def _drop_token(self, identity: Identity) -> None:
        """ECS said no: what is asked for next time, after somebody changed something, is another call."""
        if not identity.instance_arn:
            await self._remember(replace(identity, client_token=""), identity)

    async def _remember(self, now: Identity, before: Identity) -> Identity:
        """Save *now*, with the mark of a drain; gives both.

        A disk that refuses ends nothing: the token that is saved leads to the same instance again.
        """
        self._latest = now
        if now != before:
            await self._write_latest()
        return now if self._drained is None else replace(now, drained=self._drained)

    async def _write_latest(self) -> None:
        """Save what is known when it comes to be written: several may want to, each for a part of it."""
        async with self._writing:
            assert self._latest is not None, "there is something to write"
            latest = self._latest if self._drained is None else replace(self._latest, drained=self._drained)
            try:
                await self._file.write(latest)
            except OSError as error:
                log.warning("identity_not_saved", path=self._settings.identity_path, error=str(error))
