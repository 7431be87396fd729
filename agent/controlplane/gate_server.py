"""Who may come in: the same rules for API calls and for the WebSocket of an agent."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

from agent.controlplane.auth import SignedRequest, read_signature, verify
from agent.controlplane.faults import Fault, forbidden
from agent.controlplane.keys_driver import KeyPairs
from agent.controlplane.settings import PlaneSettings
from agent.model.clock import Clock


class Caller(StrEnum):
    """Whose key pair signed a request."""

    OPERATOR = "operator"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is calling, and the region that the call belongs to."""

    caller: Caller
    region: str


class Gate:
    """Checks requests against the two key pairs. Without authentication everybody is the operator."""

    def __init__(self, settings: PlaneSettings, keys: KeyPairs, clock: Clock) -> None:
        self._settings = settings
        self._callers = {keys.operator.access_key_id: Caller.OPERATOR, keys.agent.access_key_id: Caller.AGENT}
        self._secrets = {pair.access_key_id: pair.secret_access_key for pair in (keys.operator, keys.agent)}
        self._clock = clock

    def admit(self, request: web.BaseRequest, body: bytes) -> Visitor:
        """Who sends *request*. Raises Fault for whoever must stay outside."""
        refuse_browsers(request.headers)
        headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
        if not self._settings.auth:
            return Visitor(Caller.OPERATOR, self._region(headers))
        signed = SignedRequest(
            request.method, request.rel_url.raw_path, request.rel_url.raw_query_string, headers, body
        )
        signature = verify(signed, self._secrets, self._clock())
        return Visitor(self._callers[signature.key_id], signature.region)

    def _region(self, headers: Mapping[str, str]) -> str:
        if "authorization" not in headers:
            return self._settings.region
        try:
            return read_signature(headers).region
        except Fault:
            return self._settings.region


def refuse_browsers(headers: Mapping[str, str]) -> None:
    """No page in a browser has business here. Raises Fault for a request that carries an Origin."""
    if "Origin" in headers:
        raise forbidden("AccessDeniedException", "Requests with an Origin header are refused: browsers are no clients.")
