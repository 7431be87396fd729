"""Verifies Signature Version 4 (AWS General Reference): who signed this request, and for which region.

The canonical query is made from the form-decoded one: agents send ``+`` for a space and sign ``%20``. The host is
taken as the client sent it, with its port. Nothing here reads a clock or a socket.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from agent.controlplane.faults import Fault, forbidden

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "ecs"
SKEW = timedelta(minutes=5)
REGION = re.compile(r"[a-z0-9-]{1,32}")
SCOPE = re.compile(
    rf"(?P<key>[^/]{{1,128}})/(?P<date>\d{{8}})/(?P<region>{REGION.pattern})/(?P<service>[a-z0-9-]+)/aws4_request"
)
UNRESERVED = "-_.~"
STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it arrived. Header names in lower case; `query` is the raw text after the question mark."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """The Authorization header, taken apart."""

    key_id: str
    date: str
    region: str
    signed: tuple[str, ...]
    value: str = field(repr=False)

    @property
    def scope(self) -> str:
        """The credential scope."""
        return f"{self.date}/{self.region}/{SERVICE}/aws4_request"


def read_signature(headers: Mapping[str, str]) -> Signature:
    """Take the Authorization header apart. Raises Fault where there is none, or not a whole one."""
    header = headers.get("authorization", "")
    if not header:
        raise forbidden("MissingAuthenticationTokenException", "The request is not signed: Authorization is missing")
    scheme, _, rest = header.partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = SCOPE.fullmatch(fields.get("Credential", ""))
    signed = tuple(fields.get("SignedHeaders", "").split(";"))
    value = fields.get("Signature", "")
    if scheme != ALGORITHM or scope is None or not value or scope["service"] != SERVICE:
        raise _incomplete(
            f"Authorization must hold {ALGORITHM} with Credential for {SERVICE}, SignedHeaders and Signature"
        )
    needed = {"host", "x-amz-date"} | ({"x-amz-target"} if "x-amz-target" in headers else set())
    if not needed <= set(signed):
        raise _incomplete(f"SignedHeaders must name {', '.join(sorted(needed - set(signed)))}")
    if len(set(signed)) < len(signed):  # each would be hashed again: a few octets would buy much work
        raise _incomplete("SignedHeaders must name each header once")
    return Signature(scope["key"], scope["date"], scope["region"], signed, value)


def verify(request: SignedRequest, secrets: Mapping[str, str], now: datetime) -> Signature:
    """Who signed *request*, where *secrets* maps key ids to secret keys. Raises Fault unless the signature is good."""
    signature = read_signature(request.headers)
    stamp = request.headers.get("x-amz-date", "")
    try:
        signed_at = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise _incomplete("X-Amz-Date must be a time such as 20260115T120000Z") from None
    if stamp[:8] != signature.date:
        raise _incomplete("the date of the Credential must be that of X-Amz-Date")
    _check_age(stamp, signed_at, now)
    secret = secrets.get(signature.key_id)
    if secret is None:
        raise forbidden("UnrecognizedClientException", "The security token included in the request is invalid.")
    if not hmac.compare_digest(as_sent(expected(request, signature, stamp, secret)), as_sent(signature.value)):
        raise forbidden(
            "InvalidSignatureException",
            "The signature that was calculated does not match the one provided. Check the secret access key.",
        )
    return signature


def _check_age(stamp: str, signed_at: datetime, now: datetime) -> None:
    """Raise Fault unless *signed_at* is now, more or less; the words are Amazon's, which clients and people know."""
    minutes = f"{SKEW.total_seconds() / 60:g} min."
    for is_wrong, what, edge, sign in (
        (now - signed_at > SKEW, "Signature expired: {} is now earlier than", now - SKEW, "-"),
        (signed_at - now > SKEW, "Signature not yet current: {} is still later than", now + SKEW, "+"),
    ):
        if is_wrong:
            text = f"{what.format(stamp)} {edge:{STAMP}} ({now:{STAMP}} {sign} {minutes})"
            raise Fault("InvalidSignatureException", text)


def expected(request: SignedRequest, signature: Signature, stamp: str, secret: str) -> str:
    """The signature that the holder of *secret* would have made."""
    to_sign = "\n".join(
        (ALGORITHM, stamp, signature.scope, hashlib.sha256(canonical(request, signature.signed)).hexdigest())
    )
    key = f"AWS4{secret}".encode()
    for word in (signature.date, signature.region, SERVICE, "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


def canonical(request: SignedRequest, signed: tuple[str, ...]) -> bytes:
    """The canonical request: what both sides hash."""
    pairs = sorted(
        (quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED))
        for name, value in parse_qsl(request.query, keep_blank_values=True)
    )
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    return as_sent(
        "\n".join(
            (
                request.method,
                quote(request.path or "/", safe=f"/{UNRESERVED}"),
                "&".join(f"{name}={value}" for name, value in pairs),
                headers,
                ";".join(signed),
                hashlib.sha256(request.body).hexdigest(),
            )
        )
    )


def as_sent(text: str) -> bytes:
    """The bytes of a header's text, also where they were no UTF-8."""
    return text.encode(errors="surrogateescape")


def _incomplete(message: str) -> Fault:
    return Fault("IncompleteSignatureException", message)
