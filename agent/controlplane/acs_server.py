"""Where agents connect: the WebSocket upgrade, and one live session for each container instance."""

import asyncio
import uuid
from datetime import datetime

import structlog
from aiohttp import WSCloseCode, web

from agent.controlplane.acs_session_server import AcsSession, Bearer
from agent.controlplane.events import AgentConnected, AgentLost, PlaneDecision
from agent.controlplane.faults import SERVER_ERROR, Fault, server
from agent.controlplane.gate_server import Gate
from agent.controlplane.mint_loop import Mint
from agent.controlplane.plane import INACTIVE
from agent.controlplane.refusals_server import refusal
from agent.controlplane.road_loop import Road
from agent.controlplane.roles import LIFE
from agent.controlplane.settings import Cadence
from agent.model.clock import Clock

log = structlog.get_logger()

WAIT_TO_CLOSE = 5.0


class AcsServer:
    """The live sessions by region and instance. A newer session of an instance replaces the older one.

    The older one ends with a code after which agents wait: two of one instance would replace each other without end.
    """

    def __init__(self, road: Road, gate: Gate, clock: Clock, cadence: Cadence, mint: Mint) -> None:
        self._road = road
        self._gate = gate
        self._clock = clock
        self._cadence = cadence
        self._mint = mint
        self._sessions: dict[str, AcsSession] = {}
        self._unsaid: list[Bearer] = []
        self._renew_at: dict[str, datetime] = {}
        self._changed = asyncio.Condition()
        self._stopping = False
        road.listen(self._heard)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one upgrade request until its session ends."""
        try:
            bearer = await self._admit(request)
        except Fault as fault:
            log.info("acs_refused", code=fault.code, reason=str(fault))
            return refusal(fault)
        session = AcsSession(bearer, self._road, self._cadence, self._clock, self._mint, self._renew_at)
        try:
            older = self._sessions.get(bearer.instance)
            self._sessions[bearer.instance] = session
            if older is not None:
                older.end(WSCloseCode.POLICY_VIOLATION, "a newer session of this instance has begun")
            log.info("acs_session_begun", instance=bearer.instance, replaces=older is not None)
            return await session.run(request)
        finally:
            await self._leave(bearer, session)

    async def end_all(self) -> None:
        """Take no more sessions, and close the live ones: agents come back by themselves."""
        self._stopping = True
        for session in self._sessions.values():
            session.end(WSCloseCode.GOING_AWAY, "the control plane is stopping")
        try:
            async with asyncio.timeout(WAIT_TO_CLOSE), self._changed:
                await self._changed.wait_for(lambda: not self._sessions)
        except TimeoutError:
            log.warning("acs_sessions_left", count=len(self._sessions))

    async def say_again(self) -> None:
        """Tell the road of lost agents whose loss could not be saved before."""
        unsaid, self._unsaid = self._unsaid, []
        for bearer in unsaid:
            await self._lose(bearer)
        now = self._clock()
        for credentials_id in [name for name, until in self._renew_at.items() if until + LIFE < now]:
            del self._renew_at[credentials_id]

    async def _admit(self, request: web.Request) -> Bearer:
        visitor = await self._gate.admit(request, b"")
        if self._stopping:
            raise server("The control plane is stopping.")
        if not web.WebSocketResponse().can_prepare(request):
            raise Fault("BadRequestException", "This path speaks WebSocket alone.")
        query = request.query
        bearer = Bearer(
            region=visitor.region,
            instance=query.get("containerInstanceArn", ""),
            connection=uuid.uuid4().hex,
            send_credentials=query.get("sendCredentials") == "true",
            answers_heartbeats=query.get("protocolVersion") == "2",
        )
        connected = AgentConnected(
            instance=bearer.instance,
            connection=bearer.connection,
            at=self._clock(),
            agent_version=query.get("agentVersion", ""),
            agent_hash=query.get("agentHash", ""),
            docker_version=query.get("dockerVersion", ""),
            key=visitor.key,
        )
        try:
            await self._road.decide(bearer.region, connected)
        except Fault as fault:
            if fault.status >= SERVER_ERROR:  # a slow disk may yet save that this session is there
                self._unsaid.append(bearer)
            raise
        return bearer

    async def _leave(self, bearer: Bearer, session: AcsSession) -> None:
        await self._lose(bearer)
        if self._sessions.get(bearer.instance) is session:
            del self._sessions[bearer.instance]
        async with self._changed:
            self._changed.notify_all()

    async def _lose(self, bearer: Bearer) -> None:
        try:
            await self._road.decide(bearer.region, AgentLost(bearer.instance, bearer.connection, self._clock()))
        except Fault as fault:
            self._unsaid.append(bearer)
            log.warning("loss_not_saved", instance=bearer.instance, error=str(fault))

    def _heard(self, decision: PlaneDecision) -> None:
        for instance in decision.touched | decision.gone:
            session = self._sessions.get(instance)
            if session is not None and instance in decision.gone:
                session.end(WSCloseCode.POLICY_VIOLATION, f"{INACTIVE}: the container instance is deregistered")
            elif session is not None:
                session.touch()
