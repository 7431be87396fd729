"""Answers as the published model shapes them: no member it does not know, no null, times as seconds since 1970."""

from datetime import datetime

from agent.controlplane.api_model import ApiModel
from agent.controlplane.records import JsonObject


def shape_answer(model: ApiModel, action: str, answer: JsonObject) -> JsonObject:
    """*answer* in wire form. Raises KeyError for a member that the model does not know: a bug of ours."""
    output = model.operations[action].output
    if output is None:
        return {}
    shaped = _shaped(model, output.shape, answer)
    assert isinstance(shaped, dict)
    return shaped


def _shaped(model: ApiModel, name: str, value: object) -> object:
    shape = model.shapes[name]
    if isinstance(value, dict):
        if shape.value is not None:
            return {key: _shaped(model, shape.value.shape, item) for key, item in value.items()}
        return {
            member: _shaped(model, shape.members[member].shape, item)
            for member, item in value.items()
            if item is not None
        }
    if isinstance(value, list | tuple):
        assert shape.member is not None, f"{name} is not a list"
        return [_shaped(model, shape.member.shape, item) for item in value]
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    return value
