"""How AWS services say that something went wrong in JSON 1.1.

The code is looked for in the header ``X-Amzn-ErrorType``, then in the body's ``code``, then in its ``__type``; what
stands before ``#`` (a namespace) and after ``:`` (a link) is no part of it (wire protocol, Transport).
"""

import msgspec

ERROR_HEADER = "X-Amzn-ErrorType"


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of an error, as services spell it. Other fields are ignored."""

    code: str | None = None
    type_: str | None = msgspec.field(name="__type", default=None)
    message: str | None = None
    Message: str | None = None


def code_of(text: str) -> str:
    """The bare code in *text*: ``ns#ClientException:http://...`` is a ClientException."""
    return text.partition(":")[0].rpartition("#")[2].strip()


def read_error(status: int, header: str, body: bytes) -> tuple[str, str]:
    """The code and the message of an error answer; the code is ``""`` where no AWS service spoke (a proxy, say)."""
    try:
        said = msgspec.json.decode(body, type=ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = ErrorBody()
    code = next((found for text in (header, said.code, said.type_) if text and (found := code_of(text))), "")
    return code, said.message or said.Message or f"HTTP status {status}"
