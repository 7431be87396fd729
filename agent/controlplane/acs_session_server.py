"""One agent's WebSocket: what it is owed goes out, what it acknowledges comes in (wire protocol, ACS)."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog
from aiohttp import WSCloseCode, web

from agent.controlplane.delivery import Delivery
from agent.controlplane.events import (
    Acknowledged,
    DeliveriesAsked,
    DeliveryBroke,
    ManifestAsked,
    PlaneDecision,
    Refused,
    StopsAsked,
)
from agent.controlplane.faults import Fault
from agent.controlplane.line_server import Line, SessionOver
from agent.controlplane.manifest import cluster_arn, manifest_message, stops_message
from agent.controlplane.mint_loop import Mint
from agent.controlplane.notices import Notice
from agent.controlplane.payload import payload
from agent.controlplane.records import PlaneTask
from agent.controlplane.road_loop import Road
from agent.controlplane.roles import Minted, Role, roles_of
from agent.controlplane.settings import Cadence
from agent.model.clock import Clock
from agent.model.errors import BadInput, place_of
from agent.wire.acs import (
    AckRequest,
    CloseMessage,
    Frame,
    HeartbeatAckRequest,
    HeartbeatMessage,
    IAMRoleCredentialsAckRequest,
    IAMRoleCredentialsMessage,
    NackRequest,
    TaskStopVerificationMessage,
    decode,
    encode,
)

log = structlog.get_logger()

EXPIRED = "ConnectionExpired: Reconnect to continue"
"""Why a session ends that has lasted for as long as one may: the agent comes back at once."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose session it is. One that `answers_heartbeats` has promised to (protocol version 2)."""

    region: str
    instance: str
    connection: str
    send_credentials: bool
    answers_heartbeats: bool = False


class AcsSession:
    """Everything between one agent and us, from the upgrade to the close."""

    def __init__(  # what the session shares with those before and after it
        self, bearer: Bearer, road: Road, cadence: Cadence, clock: Clock, mint: Mint, renew_at: dict[str, datetime]
    ) -> None:
        self.bearer = bearer
        self._line = Line(pings=None if bearer.answers_heartbeats else cadence.silence)
        self._road = road
        self._cadence = cadence
        self._clock = clock
        self._mint = mint
        self._renew_at = renew_at
        self._put_off: dict[str, Delivery] = {}
        self._offered: dict[str, datetime] = {}
        self._sent: dict[str, float] = {}
        self._unanswered: dict[str, float] = {}
        self._list = ""
        self._list_again_at: float | None = None
        self._all_credentials_due = bearer.send_credentials
        self._touched = asyncio.Event()

    def touch(self) -> None:
        """The agent may be owed something new."""
        self._touched.set()

    def end(self, code: int, reason: str) -> None:
        """End this session soon."""
        self._line.end(code, reason)

    async def run(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the agent until either side has had enough."""
        socket, over = await self._line.serve(request, self._send, self._receive)
        log.info("acs_session_ended", instance=self.bearer.instance, code=over.code, reason=str(over))
        return socket

    async def _send(self) -> None:
        await self._send_manifest()
        heartbeat_at, again = time.monotonic(), True
        over_at = heartbeat_at + self._cadence.life
        while True:
            self._touched.clear()
            await self._send_due(again=again)
            again = False
            if self._list_again_at is not None and time.monotonic() >= self._list_again_at:
                await self._send_manifest_again()
            if time.monotonic() >= heartbeat_at:
                await self._beat()
                heartbeat_at = time.monotonic() + self._cadence.heartbeat
            if time.monotonic() >= over_at:
                await self._put(CloseMessage(EXPIRED))
                raise SessionOver(WSCloseCode.OK, EXPIRED)
            try:
                async with asyncio.timeout(min(self._cadence.resend, max(0.0, heartbeat_at - time.monotonic()))):
                    await self._touched.wait()
            except TimeoutError:
                continue

    async def _beat(self) -> None:
        """Send a heartbeat. An agent that has left an earlier one unanswered for too long only seems to be there."""
        now = time.monotonic()
        oldest = min(self._unanswered.values(), default=now)
        if self.bearer.answers_heartbeats and now - oldest > self._cadence.silence:
            raise SessionOver(WSCloseCode.GOING_AWAY, "the agent does not answer heartbeats")
        name = f"heartbeat-{time.monotonic_ns()}"
        self._unanswered[name] = now
        await self._put(HeartbeatMessage(message_id=name, healthy=True))

    async def _send_manifest(self) -> None:
        """Tell the agent which tasks it should have, so that it finds out about those that it should not.

        An agent that did not take it is told again, under a new number: it would pass over an old one in silence.
        """
        await self._put_manifest(await self._ask(ManifestAsked(self.bearer.instance, self._clock())))

    async def _send_manifest_again(self) -> None:
        """Like `_send_manifest`, but a disk that gives no number now costs no session: it may give one later."""
        try:
            event = ManifestAsked(self.bearer.instance, self._clock())
            decision = await self._road.decide(self.bearer.region, event)
        except Fault as fault:
            self._list_again_at = time.monotonic() + self._cadence.resend
            log.warning("manifest_put_off", instance=self.bearer.instance, error=str(fault))
            return
        await self._put_manifest(decision)

    async def _put_manifest(self, decision: PlaneDecision) -> None:
        listed = decision.manifest
        if listed is not None:
            message = manifest_message(self.bearer.instance, listed, self._clock())
            self._list = message.message_id or ""
            self._list_again_at = time.monotonic() + self._cadence.resend if listed.is_acknowledged else None
            await self._put(message)
            log.info("manifest_sent", instance=self.bearer.instance, seq=listed.seq, tasks=len(listed.tasks))

    async def _ask(self, event: DeliveriesAsked | ManifestAsked) -> PlaneDecision:
        try:
            return await self._road.decide(self.bearer.region, event)
        except Fault as fault:
            raise SessionOver(WSCloseCode.INTERNAL_ERROR, str(fault)) from fault

    async def _send_due(self, *, again: bool) -> None:
        """Send what was never sent over this connection, and again what has waited too long for its ack.

        With *again* that includes what was acknowledged over an earlier one.
        """
        decision = await self._ask(DeliveriesAsked(self.bearer.instance, self._clock(), again))
        before = time.monotonic() - self._cadence.resend
        self._sent = {name: at for name, at in self._sent.items() if at > before}
        for delivery in (*decision.deliveries, *self._take_put_off(decision.holders)):
            if self._sent.get(delivery.message_id, before) <= before:
                self._sent[delivery.message_id] = time.monotonic()
                await self._deliver(delivery)
        for notice in decision.notices:
            if self._sent.get(notice.message_id, before) <= before:
                self._sent[notice.message_id] = time.monotonic()
                await self._line.put(notice_text(notice))
                log.info("notice_sent", instance=self.bearer.instance, kind=notice.type, message=notice.message_id)
        await self._send_credentials(decision.holders)

    async def _deliver(self, delivery: Delivery) -> None:
        now = self._clock()
        roles = roles_of(delivery.task) if delivery.definition else ()
        minted = {role.credentials_id: self._mint.of(role, now, self.touch) for role in roles}
        values = {name: one for name, one in minted.items() if one is not None}
        if len(values) < len(minted):  # an agent that knew the task without its roles would start it without them
            self._put_off[delivery.message_id] = delivery
            self._sent.pop(delivery.message_id, None)
            return
        told = {name: one.credentials for name, one in values.items()}
        try:
            message = payload(delivery, _cluster_arn(delivery.task), told, now)
        except Exception as bug:  # noqa: BLE001  # a bug has the radius of one task
            log.error("delivery_broke", task=delivery.task.task_id, error=place_of(bug))  # noqa: TRY400  # no values
            await self._tell_road(DeliveryBroke(delivery.task.arn, now))
            return
        self._offered |= {name: one.renew_at for name, one in values.items()}
        if not delivery.task.run_acked:  # who asked for credentials gets them by their own message all the same
            self._sent |= dict.fromkeys(map(_credentials_id, roles), time.monotonic())
        await self._put(message)
        log.info("task_delivered", task=delivery.task.task_id, message=delivery.message_id, seq=delivery.seq)

    def _take_put_off(self, holders: Iterable[PlaneTask]) -> list[Delivery]:
        """What waited for values and is not due by itself any more: it was acknowledged before, and may be lost."""
        waiting, self._put_off = self._put_off, {}
        live = {task.arn for task in holders if task.desired_status == "RUNNING"}
        return [one for one in waiting.values() if one.task.run_acked and one.task.arn in live]

    async def _send_credentials(self, holders: Iterable[PlaneTask]) -> None:
        """Fresh values for all that asks for them: a new connection that said so, and what is about to expire."""
        now = self._clock()
        before = time.monotonic() - self._cadence.resend
        for task in holders:
            for role in roles_of(task):
                message_id = _credentials_id(role)
                if self._all_credentials_due:  # what was acknowledged before is lost, so this must be acknowledged too
                    self._renew_at.pop(role.credentials_id, None)
                has = self._renew_at.get(role.credentials_id)
                if (has is not None and has > now) or self._sent.get(message_id, before) > before:
                    continue
                minted = self._mint.of(role, now, self.touch)
                if minted is None or minted.renew_at == has:  # better ones are on their way
                    continue
                self._sent[message_id] = time.monotonic()
                self._offered[role.credentials_id] = minted.renew_at
                await self._put(_credentials_message(message_id, task, minted))
        self._all_credentials_due = False

    async def _put(self, frame: Frame) -> None:
        await self._line.put(encode(frame))

    async def _receive(self) -> None:
        """Take what the agent says. One that promised no answers may be silent: its socket is pinged instead."""
        patience = self._cadence.silence if self.bearer.answers_heartbeats else None
        while True:
            await self._take(await self._line.receive(patience))

    async def _take(self, said: bytes) -> None:
        try:
            frame = decode(said)
        except BadInput as error:
            log.warning("acs_frame_not_understood", instance=self.bearer.instance, error=str(error))
            return
        if isinstance(frame, AckRequest):
            if self._list and frame.message_id == self._list:
                self._list_again_at = None
            await self._tell_road(Acknowledged(self.bearer.instance, frame.message_id or ""))
        elif isinstance(frame, NackRequest):
            log.warning("message_refused", instance=self.bearer.instance, message=frame.message_id, reason=frame.reason)
            await self._tell_road(Refused(self.bearer.instance, frame.message_id or "", frame.reason or ""))
        elif isinstance(frame, HeartbeatAckRequest):
            self._answered(frame.message_id or "")
        elif isinstance(frame, IAMRoleCredentialsAckRequest):
            until = self._offered.pop(frame.credentials_id or "", None)
            if until is not None:
                self._renew_at[frame.credentials_id or ""] = until
        elif isinstance(frame, TaskStopVerificationMessage):
            await self._verify_stops(frame)

    def _answered(self, name: str) -> None:
        """A heartbeat is answered, and those before it with it: acknowledgements may overtake one another."""
        at = self._unanswered.get(name)
        if at is not None:
            self._unanswered = {other: since for other, since in self._unanswered.items() if since > at}

    async def _verify_stops(self, asked: TaskStopVerificationMessage) -> None:
        candidates = tuple(task.task_arn or "" for task in asked.stop_candidates or ())
        try:
            decision = await self._road.decide(self.bearer.region, StopsAsked(self.bearer.instance, candidates))
        except Fault as fault:
            log.warning("stops_not_verified", instance=self.bearer.instance, error=str(fault))
            self._list, self._list_again_at = "", time.monotonic() + self._cadence.resend  # then the agent asks anew
            return
        await self._put(stops_message(asked, decision.over, self._clock()))
        log.info("stops_verified", instance=self.bearer.instance, asked=len(candidates), over=decision.over)

    async def _tell_road(self, event: Acknowledged | Refused | DeliveryBroke) -> None:
        try:
            await self._road.decide(self.bearer.region, event)
        except Fault as fault:
            # The message is tried again until this is saved.
            log.warning("news_not_saved", event_kind=type(event).__name__, error=str(fault))


def notice_text(notice: Notice) -> str:
    """The frame of a notice."""
    return msgspec.json.encode({"type": notice.type, "message": notice.message}).decode()


def _credentials_id(role: Role) -> str:
    """The name of the message that refreshes a role."""
    return f"credentials-{role.task.rpartition('/')[2]}-{role.role_type}"


def _credentials_message(message_id: str, task: PlaneTask, minted: Minted) -> IAMRoleCredentialsMessage:
    return IAMRoleCredentialsMessage(
        message_id=message_id,
        task_arn=task.arn,
        task_cluster_arn=_cluster_arn(task),
        role_type=minted.role.role_type,
        role_credentials=minted.credentials,
    )


def _cluster_arn(task: PlaneTask) -> str:
    return cluster_arn(task.arn, task.cluster)
