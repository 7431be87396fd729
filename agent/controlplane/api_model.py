"""The published model of the ECS API (botocore's service description), reduced to what checking needs.

Members that only container agents send are missing from the published model; they are added here, typed.
"""

import msgspec

AGENT_MEMBERS: dict[str, dict[str, str]] = {
    "RegisterContainerInstanceRequest": {"clientToken": "String"},
    "DiscoverPollEndpointRequest": {"zoneId": "String"},
}


class Ref(msgspec.Struct, frozen=True):
    """The name of a shape."""

    shape: str


class Shape(msgspec.Struct, frozen=True):
    """A type: a structure with members, a list, a map, or a scalar."""

    type: str
    members: dict[str, Ref] = {}
    required: tuple[str, ...] = ()
    enum: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    member: Ref | None = None
    value: Ref | None = None


class OperationShapes(msgspec.Struct, frozen=True):
    """What an action takes and gives."""

    input: Ref | None = None
    output: Ref | None = None


class ApiModel(msgspec.Struct, frozen=True):
    """Shapes and actions of the API."""

    shapes: dict[str, Shape]
    operations: dict[str, OperationShapes]

    def reduced(self, actions: frozenset[str]) -> "ApiModel":
        """The part of the model that *actions* reach, with the agents' own members."""
        kept: dict[str, Shape] = {}
        operations = {name: shapes for name, shapes in self.operations.items() if name in actions}
        waiting = [ref.shape for shapes in operations.values() for ref in (shapes.input, shapes.output) if ref]
        while waiting:
            name = waiting.pop()
            if name in kept:
                continue
            shape = self.shapes[name]
            extra = {member: Ref(of) for member, of in AGENT_MEMBERS.get(name, {}).items()}
            shape = msgspec.structs.replace(shape, members=shape.members | extra)
            kept[name] = shape
            waiting += [ref.shape for ref in (*shape.members.values(), shape.member, shape.value) if ref]
        return ApiModel(kept, operations)
