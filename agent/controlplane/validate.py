"""Checks a request against the published model.

First the JSON types (a wrong one is a SerializationException, as in every JSON service of AWS), then what the model
demands of values. Unknown members are dropped; a null is an absent member. Messages name the field and the rule; the
value itself is told only where the field is an enumeration, because others may hold secrets.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from agent.controlplane.api_model import ApiModel, Shape
from agent.controlplane.faults import Fault, invalid
from agent.controlplane.records import JsonObject

WORDS = {"integer": "an integer", "long": "an integer", "double": "a number", "timestamp": "a number of seconds"}
LATEST = 253_402_300_000  # the year 9999, the last that a datetime can hold


def read_request(model: ApiModel, action: str, body: object, fault: Callable[[str], Fault] = invalid) -> JsonObject:
    """The request as the model describes it. Raises Fault: SerializationException, or what *fault* makes."""
    shapes = model.operations[action]
    if not isinstance(body, dict):
        raise _mistyped("The request", "a JSON object")
    if shapes.input is None:
        return {}
    shape = model.shapes[shapes.input.shape]
    request = _structure(model, shape, body, "")
    for complaint in complaints(model, shape, request, ""):
        raise fault(complaint)
    return request


def _typed(model: ApiModel, name: str, value: object, path: str) -> object:
    shape = model.shapes[name]
    if shape.type == "structure":
        return _structure(model, shape, value, path)
    if shape.type == "list":
        if not isinstance(value, list):
            raise _mistyped(path, "a list")
        assert shape.member is not None
        return [_typed(model, shape.member.shape, item, f"{path}[{index}]") for index, item in enumerate(value)]
    if shape.type == "map":
        if not isinstance(value, dict):
            raise _mistyped(path, "a JSON object")
        assert shape.value is not None
        return {
            key: _typed(model, shape.value.shape, item, f"{path}.{key}")
            for key, item in value.items()
            if item is not None
        }
    return _scalar(shape.type, value, path)


def _structure(model: ApiModel, shape: Shape, value: object, path: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _mistyped(path, "a JSON object")
    return {
        member: _typed(model, ref.shape, value[member], f"{path}.{member}" if path else member)
        for member, ref in shape.members.items()
        if value.get(member) is not None
    }


def _scalar(kind: str, value: object, path: str) -> object:
    if kind == "string":
        if not isinstance(value, str):
            raise _mistyped(path, "a string")
        return value
    if kind == "boolean":
        if not isinstance(value, bool):
            raise _mistyped(path, "true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mistyped(path, WORDS[kind])
    if kind in ("integer", "long"):
        bits = 31 if kind == "integer" else 63
        if value != value // 1 or not -(2**bits) <= value < 2**bits:
            raise _mistyped(path, f"an integer of {bits + 1} bits")
        return int(value)
    if kind == "timestamp":
        if not 0 <= value < LATEST:
            raise _mistyped(path, "a number of seconds since 1970")
        return datetime.fromtimestamp(value, UTC)
    return float(value)


def complaints(model: ApiModel, shape: Shape, value: object, path: str) -> Iterator[str]:
    """What the model forbids of a well-typed value, in the order of the model: missing members first."""
    if isinstance(value, dict):
        for member in shape.required:
            if member not in value:
                yield f"{path}.{member} is required" if path else f"{member} is required"
        for member, item in value.items():
            ref = shape.value or shape.members[member]
            yield from complaints(model, model.shapes[ref.shape], item, f"{path}.{member}" if path else member)
    elif isinstance(value, list) and shape.member is not None:
        yield from _outside(shape, len(value), f"the number of entries of {path}")
        for index, item in enumerate(value):
            yield from complaints(model, model.shapes[shape.member.shape], item, f"{path}[{index}]")
    else:
        yield from _of_scalar(shape, value, path)


def _of_scalar(shape: Shape, value: object, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if shape.enum and value not in shape.enum:
            yield f"{path} must be one of {', '.join(shape.enum)}, not {value[:100]!r}"
        yield from _outside(shape, len(value), f"the length of {path}")
    elif isinstance(value, int | float):
        yield from _outside(shape, value, path)


def _outside(shape: Shape, number: float, what: str) -> Iterator[str]:
    if shape.min is not None and number < shape.min:
        yield f"{what} must be at least {shape.min:g}"
    if shape.max is not None and number > shape.max:
        yield f"{what} must be at most {shape.max:g}"


def _mistyped(path: str, wanted: str) -> Fault:
    return Fault("SerializationException", f"{path} must be {wanted}")
