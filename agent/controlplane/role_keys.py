"""Keys for roles that the control plane makes itself, and knows again without having kept them.

The session token says for which role of which task they are and when they end, and carries a seal; key id and secret
follow from the token. All of it hangs on one secret, which follows from the operator's key pair: who makes that anew
ends them all.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from agent.controlplane.keys_driver import KeyPairs
from agent.controlplane.roles import Role, RoleKeys
from agent.wire.acs_spec import TASK_ROLE

KEY_ID = "ASIA"
"""How ids of keys begin that are good together with a session token alone (IAM: unique identifiers)."""
ID_LETTERS = 16
LONGEST_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says."""

    task: str
    role_type: str
    role_arn: str
    expires: int
    draw: str = field(repr=False)
    """Tells two sets of keys apart that are made for one role within a second."""

    @property
    def expires_at(self) -> datetime:
        """When the keys end."""
        return datetime.fromtimestamp(self.expires, UTC)

    @property
    def is_of_the_task(self) -> bool:
        """Do the containers of the task hold them? Those of an execution role are for agents and for Docker."""
        return self.role_type == TASK_ROLE


def secret_of(keys: KeyPairs) -> bytes:
    """What all keys of roles hang on."""
    return _mac(keys.operator.secret_access_key.encode(), "role keys", "")


def seal(secret: bytes, role: Role, expires_at: datetime, draw: str) -> RoleKeys:
    """Fresh keys for *role*, good until *expires_at*, which is cut to whole seconds."""
    claims = Claims(role.task, role.role_type, role.role_arn, int(expires_at.timestamp()), draw)
    body = _text(msgspec.json.encode(claims))
    token = f"{body}.{_text(_mac(secret, 'token', body))}"
    return RoleKeys(_key_id(secret, body), _secret_key(secret, body), token, claims.expires_at)


def unseal(secret: bytes, token: str) -> tuple[Claims, RoleKeys] | None:
    """What a session token says, and the keys that go with it; None for one that was not made here."""
    body, _, sealed = token[:LONGEST_TOKEN].partition(".")
    if not hmac.compare_digest(_text(_mac(secret, "token", body)).encode(), sealed.encode(errors="replace")):
        return None
    claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Claims)
    return claims, RoleKeys(_key_id(secret, body), _secret_key(secret, body), token, claims.expires_at)


def _key_id(secret: bytes, body: str) -> str:
    return KEY_ID + base64.b32encode(_mac(secret, "id", body)).decode()[:ID_LETTERS]


def _secret_key(secret: bytes, body: str) -> str:
    return _text(_mac(secret, "key", body))[:40]


def _mac(secret: bytes, use: str, text: str) -> bytes:
    return hmac.new(secret, f"{use}\n{text}".encode(errors="surrogateescape"), hashlib.sha256).digest()


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
