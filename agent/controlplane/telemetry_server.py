"""Where agents bring their telemetry: one WebSocket each beside that of ACS (wire protocol, TCS)."""

import asyncio

import structlog
from aiohttp import WSCloseCode, web

from agent.controlplane.events import PlaneDecision, TelemetryAsked, TelemetryTold
from agent.controlplane.faults import Fault, forbidden, invalid, server
from agent.controlplane.gate_server import Gate, Visitor
from agent.controlplane.line_server import Line, SessionOver
from agent.controlplane.plane import INACTIVE
from agent.controlplane.refusals_server import refusal
from agent.controlplane.road_loop import Road
from agent.controlplane.settings import Cadence
from agent.controlplane.telemetry import HEARTBEAT, error_frame, read_frame
from agent.model.clock import Clock
from agent.model.errors import BadInput
from agent.wire.tcs import unseal

log = structlog.get_logger()

PATIENCE = 3
"""How much longer than on ACS an agent may be silent: it has nothing to tell of a task that has just begun."""


FORGIVEN = frozenset(("ServerException", "ResourceValidationException"))
"""Faults after which an agent is listened to still; all others say that the wrong one speaks."""
LONGEST = 300
"""Characters of what an agent is told of its error."""


class TelemetryServer:
    """The live telemetry sessions. An agent may open a new one before its old one is known to be gone."""

    def __init__(self, road: Road, gate: Gate, clock: Clock, cadence: Cadence) -> None:
        self._road = road
        self._gate = gate
        self._clock = clock
        self._cadence = cadence
        self._sessions: set[TelemetrySession] = set()
        self._stopping = False
        road.listen(self._heard)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one upgrade request until its session ends."""
        try:
            visitor = await self._admit(request)
        except Fault as fault:
            log.info("telemetry_refused", code=fault.code, reason=str(fault))
            return refusal(fault)
        hearing = Hearing(request, visitor, self._road, self._gate, self._clock)
        session = TelemetrySession(hearing, self._cadence)
        self._sessions.add(session)
        try:
            return await session.run(request)
        finally:
            self._sessions.discard(session)

    def end_all(self) -> None:
        """Take no more sessions, and close the live ones soon: agents come back by themselves."""
        self._stopping = True
        for session in self._sessions:
            session.end(WSCloseCode.GOING_AWAY, "the control plane is stopping")

    async def _admit(self, request: web.Request) -> Visitor:
        visitor = await self._gate.admit(request, b"")
        if self._stopping:
            raise server("The control plane is stopping.")
        if not web.WebSocketResponse().can_prepare(request):
            raise Fault("BadRequestException", "This path speaks WebSocket alone.")
        await self._road.decide(visitor.region, TelemetryAsked(instance_of(request), visitor.key))
        return visitor

    def _heard(self, decision: PlaneDecision) -> None:
        for session in self._sessions if decision.gone else ():
            if session.instance in decision.gone:
                session.end(WSCloseCode.POLICY_VIOLATION, f"{INACTIVE}: the container instance is deregistered")


def instance_of(request: web.Request) -> str:
    """The ARN of the instance whose session is asked for."""
    return request.query.get("containerInstance", "")


class Hearing:
    """Listens to what is said on one session: who signed it, what it means, and whether it may be."""

    def __init__(self, session: web.Request, visitor: Visitor, road: Road, gate: Gate, clock: Clock) -> None:
        self.instance = instance_of(session)
        self._session = session
        self._region = visitor.region
        self._road = road
        self._gate = gate
        self._clock = clock
        self._strangers_told = False

    async def take(self, frame: bytes) -> str:
        """The acknowledgement of *frame*, once what it tells is saved. Raises BadInput, or Fault, for one not taken."""
        headers, document = unseal(frame)
        speaker = await self._gate.admit_frame(self._session, headers, document)
        if speaker.region != self._region:
            raise forbidden("InvalidSignatureException", "The frame is signed for another region than its session.")
        at = self._clock()
        told, answer = read_frame(document, self.instance, at)
        decision = await self._road.decide(self._region, TelemetryTold(self.instance, told, at, speaker.key))
        if decision.strangers and not self._strangers_told:
            log.warning("telemetry_of_others_passed_over", instance=self.instance, tasks=decision.strangers)
            self._strangers_told = True
        return answer


class TelemetrySession:
    """What one agent tells over one connection."""

    def __init__(self, hearing: Hearing, cadence: Cadence) -> None:
        self.instance = hearing.instance
        self._hearing = hearing
        self._cadence = cadence
        self._line = Line()

    def end(self, code: int, reason: str) -> None:
        """End this session soon."""
        self._line.end(code, reason)

    async def run(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the agent until either side has had enough."""
        log.info("telemetry_session_begun", instance=self.instance)
        socket, over = await self._line.serve(request, self._receive, self._beat)
        log.info("telemetry_session_ended", instance=self.instance, code=over.code, reason=str(over))
        return socket

    async def _beat(self) -> None:
        while True:
            await self._line.put(HEARTBEAT)
            await asyncio.sleep(self._cadence.heartbeat)

    async def _receive(self) -> None:
        while True:
            await self._answer(await self._line.receive(PATIENCE * self._cadence.silence))

    async def _answer(self, frame: bytes) -> None:
        """Acknowledge *frame*, or say what was wrong with it. A wrong signature is the last that is heard."""
        try:
            await self._line.put(await self._hearing.take(frame))
        except BadInput as error:
            log.warning("telemetry_not_understood", instance=self.instance, error=str(error))
            await self._line.put(error_frame(invalid(f"{error}"[:LONGEST])))
        except Fault as fault:
            log.warning("telemetry_not_taken", instance=self.instance, code=fault.code, reason=str(fault))
            await self._line.put(error_frame(fault))
            if fault.code not in FORGIVEN:
                raise SessionOver(WSCloseCode.POLICY_VIOLATION, fault.code) from fault
