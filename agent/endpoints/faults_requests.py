"""What a container asks for when it asks for a fault, and what is wrong with it, in the words of ECS's agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from agent.endpoints.go_reader import BadJson, Json, Members, NoJson, Number, first_value
from agent.model.errors import AgentError
from agent.model.faults import Blackhole, Fault, FaultKind, FaultOp, Latency, PacketLoss, Traffic
from agent.model.task import Transport

SMALL, BIG, TEXT, TEXTS = "uint16", "uint64", "string", "[]*string"
"""The types of parameters, as the texts call them."""
MOST = {SMALL: 2**16 - 1, BIG: 2**64 - 1}
MOST_DIGITS = len(str(MOST[BIG]))
PERCENT = range(1, 101)


class BadRequest(AgentError):
    """The request cannot be met; the text says why."""


@dataclass(frozen=True, slots=True)
class _Form:
    """The parameters of one kind of fault, and what they are called together."""

    name: str
    parameters: Mapping[str, str]


_FORMS = {
    FaultKind.BLACKHOLE: _Form(
        "NetworkBlackholePortRequest",
        {"Port": SMALL, "Protocol": TEXT, "TrafficType": TEXT, "SourcesToFilter": TEXTS},
    ),
    FaultKind.LATENCY: _Form(
        "NetworkLatencyRequest",
        {
            "DelayMilliseconds": BIG,
            "JitterMilliseconds": BIG,
            "Sources": TEXTS,
            "SourcesToFilter": TEXTS,
            "FlowsPercent": BIG,
        },
    ),
    FaultKind.LOSS: _Form(
        "NetworkPacketLossRequest",
        {"LossPercent": BIG, "Sources": TEXTS, "SourcesToFilter": TEXTS, "FlowsPercent": BIG},
    ),
}


def read_request(kind: FaultKind, op: FaultOp, body: bytes) -> Fault:
    """The fault that is meant. Raises BadRequest. To stop latency or loss, or to ask for them, no body is needed."""
    if kind is FaultKind.BLACKHOLE:
        return _blackhole(_Given.of(kind, body))
    if op is not FaultOp.START:
        return Latency() if kind is FaultKind.LATENCY else PacketLoss()
    given = _Given.of(kind, body)
    return _latency(given) if kind is FaultKind.LATENCY else _loss(given)


def _blackhole(given: "_Given") -> Blackhole:
    port = given.number("Port")
    transport, traffic = given.word("Protocol"), given.word("TrafficType")
    if transport not in list(Transport):
        raise _invalid(transport, "Protocol")
    if traffic not in list(Traffic):
        raise _invalid(traffic, "TrafficType")
    return Blackhole(port, Transport(transport), Traffic(traffic), given.addresses("SourcesToFilter"))


def _latency(given: "_Given") -> Latency:
    delay, jitter = given.number("DelayMilliseconds"), given.number("JitterMilliseconds")
    if delay == jitter == 0:
        raise BadRequest("required either DelayMilliseconds or JitterMilliseconds to be non-zero")
    return Latency(delay, jitter, given.targets(), given.addresses("SourcesToFilter"), given.flows())


def _loss(given: "_Given") -> PacketLoss:
    percent = given.number("LossPercent")
    if percent not in PERCENT:
        raise _invalid(str(percent), "LossPercent")
    return PacketLoss(percent, given.targets(), given.addresses("SourcesToFilter"), given.flows())


@dataclass(frozen=True, slots=True)
class _Given:
    """The parameters that were given, of the right types."""

    numbers: dict[str, int] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: FaultKind, body: bytes) -> "_Given":
        """What *body* says."""
        try:
            value = first_value(body)
        except NoJson:
            raise BadRequest("required request body is missing") from None
        except BadJson as wrong:
            raise BadRequest(str(wrong)) from wrong
        form = _FORMS[kind]
        if value is not None and not isinstance(value, Members):
            raise BadRequest(f"json: cannot unmarshal {_word(value)} into Go value of type types.{form.name}")
        given = cls()
        for name, one in value.pairs if value else ():
            given._take(form, _parameter(form, name), one)
        return given

    def _take(self, form: _Form, parameter: str, value: Json) -> None:
        """What comes later counts; a null takes back what came before."""
        place, wanted = f"{form.name}.{parameter}", form.parameters.get(parameter)
        if value is None:
            for told in (self.numbers, self.words, self.lists):
                told.pop(parameter, None)
        elif wanted in MOST:
            self.numbers[parameter] = _number(value, place, wanted)
        elif wanted == TEXT:
            self.words[parameter] = _text(value, place)
        elif wanted == TEXTS:
            self.lists[parameter] = _texts(value, place)

    def number(self, parameter: str) -> int:
        """A number that must be there."""
        if parameter not in self.numbers:
            raise _missing(parameter)
        return self.numbers[parameter]

    def word(self, parameter: str) -> str:
        """A text that must be there."""
        if not self.words.get(parameter):
            raise _missing(parameter)
        return self.words[parameter]

    def targets(self) -> tuple[str, ...]:
        """Whom the fault is to meet; there must be somebody."""
        if not self.lists.get("Sources"):
            raise _missing("Sources")
        return self.addresses("Sources")

    def addresses(self, parameter: str) -> tuple[str, ...]:
        """Addresses and networks."""
        for one in self.lists.get(parameter, ()):
            if not is_address(one):
                raise _invalid(one, parameter)
        return self.lists.get(parameter, ())

    def flows(self) -> int:
        """The percentage of flows."""
        percent = self.numbers.get("FlowsPercent", 100)
        if percent not in PERCENT:
            raise _invalid(str(percent), "flowsPercent")
        return percent


def is_address(text: str) -> bool:
    """Is it an address, or a network in CIDR notation, of IPv4 or IPv6?"""
    address, slash, length = text.partition("/")
    if "%" in text or (slash and not (length.isascii() and length.isdigit())):
        return False  # zones and masks, which others take
    try:
        ip_address(address)
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _parameter(form: _Form, name: str) -> str:
    """The parameter that is meant: its very name is best, and upper or lower case makes no difference."""
    return next((one for one in form.parameters if one.casefold() == name.casefold()), name)


def _number(value: Json, place: str, size: str) -> int:
    if not isinstance(value, Number):
        raise _mistyped(_word(value), place, size)
    if not value.isdigit() or len(value) > MOST_DIGITS or int(value) > MOST[size]:
        raise _mistyped(f"number {value}", place, size)
    return int(value)


def _text(value: Json, place: str) -> str:
    if not isinstance(value, str) or isinstance(value, Number):
        raise _mistyped(_word(value), place, TEXT)
    return value


def _texts(value: Json, place: str) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise _mistyped(_word(value), place, TEXTS)
    return tuple("" if one is None else _text(one, place) for one in value)


def _word(value: Json) -> str:
    """What Go calls a value of that type."""
    if isinstance(value, Number):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "object" if isinstance(value, Members) else "array"


def _mistyped(what: str, place: str, wanted: str) -> BadRequest:
    return BadRequest(f"json: cannot unmarshal {what} into Go struct field {place} of type {wanted}")


def _missing(parameter: str) -> BadRequest:
    return BadRequest(f"required parameter {parameter} is missing")


def _invalid(value: str, parameter: str) -> BadRequest:
    return BadRequest(f"invalid value {value} for parameter {parameter}")
