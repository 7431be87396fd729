"""Who may come in: the same rules for API calls and for the WebSockets of an agent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from agent.controlplane.auth import SignedRequest, read_signature, verify
from agent.controlplane.faults import Fault, forbidden, server
from agent.controlplane.keys_driver import KeyFileUnreadable, KeyPairs, find_agent_key
from agent.controlplane.rights import OPERATOR, role_caller
from agent.controlplane.role_keys import KEY_ID, Claims, secret_of, unseal
from agent.controlplane.settings import PlaneSettings
from agent.model.clock import Clock

SESSION_HEADER = "x-amz-security-token"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whose key pair signed (rights.py), and the region that the call belongs to."""

    key: str
    region: str


class Gate:
    """Checks requests against the key pairs. Without authentication everybody may do everything."""

    def __init__(self, settings: PlaneSettings, keys: KeyPairs, clock: Clock) -> None:
        self._settings = settings
        self._operator = keys.operator.access_key_id
        self._secrets = {pair.access_key_id: pair.secret_access_key for pair in (keys.operator, keys.agent)}
        self._roles = secret_of(keys)
        self._clock = clock

    async def admit(self, request: web.BaseRequest, body: bytes) -> Visitor:
        """Who sends *request*. Raises Fault for whoever must stay outside."""
        refuse_browsers(request.headers)
        headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
        if not self._settings.auth:
            return Visitor("", self._region(headers))
        return await self._verified(request, request.method, headers, body)

    async def admit_frame(self, session: web.BaseRequest, headers: Mapping[str, str], document: bytes) -> Visitor:
        """Who sends a frame of telemetry on the WebSocket that *session* opened (wire protocol, TCS).

        It is signed like a GET of the session's own URL with the document as its body, under the frame's own
        *headers*, names in lower case. Raises Fault for a frame that must not be heard.
        """
        if not self._settings.auth:
            return Visitor("", self._region(headers))
        read_signature(headers)  # one that is missing is to be called so
        if _host(headers.get("host", "")) != _host(session.headers.get("Host", "")):
            raise forbidden("InvalidSignatureException", "The frame is signed for another host than its session.")
        return await self._verified(session, "GET", headers, document)

    async def _verified(
        self, request: web.BaseRequest, method: str, headers: Mapping[str, str], body: bytes
    ) -> Visitor:
        """Who signed *headers* and *body* for the URL of *request*."""
        signed = SignedRequest(method, request.rel_url.raw_path, request.rel_url.raw_query_string, headers, body)
        key_id = read_signature(headers).key_id
        if key_id.startswith(KEY_ID):
            return self._admit_role(signed, headers.get(SESSION_HEADER, ""))
        secrets = await self._secrets_for(key_id)
        signature = verify(signed, secrets, self._clock())
        return Visitor(OPERATOR if signature.key_id == self._operator else signature.key_id, signature.region)

    def _admit_role(self, signed: SignedRequest, token: str) -> Visitor:
        """Who signed with keys of a role. The token is vouched for by the signature: the secret key follows from it."""
        found = unseal(self._roles, token)
        secrets = {found[1].access_key_id: found[1].secret_access_key} if found is not None else {}
        now = self._clock()
        signature = verify(signed, secrets, now)
        assert found is not None, "nobody else's keys are verified"
        claims: Claims = found[0]
        if now >= claims.expires_at:
            raise Fault("ExpiredTokenException", "The security token included in the request is expired")
        return Visitor(role_caller(claims), signature.region)

    async def _secrets_for(self, key_id: str) -> Mapping[str, str]:
        """The secrets among which that of *key_id* is, if it has any.

        An agent's own key pair is a file, looked at each time: it counts as soon as it is there, and no longer.
        """
        if key_id in self._secrets:
            return self._secrets
        try:
            pair = await asyncio.to_thread(find_agent_key, self._settings.data_dir, key_id)
        except (OSError, KeyFileUnreadable) as error:
            raise server(f"The key pair of this id cannot be read: {type(error).__name__}") from error
        return {pair.access_key_id: pair.secret_access_key} if pair is not None else {}

    def _region(self, headers: Mapping[str, str]) -> str:
        if "authorization" not in headers:
            return self._settings.region
        try:
            return read_signature(headers).region
        except Fault:
            return self._settings.region


def _host(named: str) -> str:
    """A Host header without a port that its scheme means anyway: some clients sign it so."""
    return named.lower().removesuffix(":80").removesuffix(":443")


def refuse_browsers(headers: Mapping[str, str]) -> None:
    """No page in a browser has business here. Raises Fault for a request that carries an Origin."""
    if "Origin" in headers:
        raise forbidden("AccessDeniedException", "Requests with an Origin header are refused: browsers are no clients.")
