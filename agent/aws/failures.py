"""What a failed call to ECS means for its caller."""

from agent.model.errors import AgentError
from agent.model.reports import Verdict

RETRIED_STATUSES = frozenset({500, 502, 503, 504})
RETRIED_CODES = frozenset(
    {
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "RequestThrottled",
        "PriorRequestNotComplete",
        "BandwidthLimitExceeded",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "EC2ThrottledException",
    }
)
"""The codes that AWS's own clients retry (wire protocol, Transport)."""

REFUSED_KEYS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""The service does not take our keys: they are read afresh before the next call."""

HELD_CODES = frozenset({"ClientException", "AccessDeniedException", "AccessDenied", "ClusterNotFoundException"})
INACTIVE = "InactiveInstanceException"


class EcsError(AgentError):
    """A call to ECS failed. `code` is ``""`` where ECS did not speak; `status` is 0 where nothing was answered.

    `was_silence` if it is the time that ran out. `request_id` is the name that ECS gave the call, if it gave it one.
    """

    def __init__(
        self, code: str, message: str, status: int = 0, *, was_silence: bool = False, request_id: str = ""
    ) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code
        self.message = message
        self.status = status
        self.was_silence = was_silence
        self.request_id = request_id

    @property
    def is_transient(self) -> bool:
        """May the same call work a moment later?"""
        return self.status == 0 or self.status in RETRIED_STATUSES or self.code in RETRIED_CODES

    @property
    def says_inactive(self) -> bool:
        """Does ECS say that it has deregistered this container instance? Looked for in the whole text."""
        return INACTIVE in str(self)


class WrongDate(EcsError):
    """The signature was refused for its date. What the date is there is known now."""


def verdict_on(error: EcsError) -> Verdict:
    """What becomes of a report that met *error*: only a refusal of its content settles it for good."""
    if error.code == "InvalidParameterException":
        return Verdict.REFUSED
    return Verdict.HELD if error.code in HELD_CODES else Verdict.LATER
