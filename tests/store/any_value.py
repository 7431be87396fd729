"""Hypothesis strategies for the model's values: every field filled, none left to its default."""

import dataclasses
import enum
import types
import typing
from datetime import UTC, datetime

from hypothesis import strategies as st

PLAIN: dict[object, st.SearchStrategy[object]] = {
    str: st.text(max_size=20),
    int: st.integers(-(2**40), 2**40),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds are naive by contract
}


def of(kind: object) -> st.SearchStrategy[typing.Any]:
    """Any value of a type that rows are made of."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, typing.NewType):
        found = of(kind.__supertype__)
    elif kind in PLAIN:
        found = PLAIN[kind]
    elif origin in (typing.Union, types.UnionType):
        found = st.one_of(*map(of, args))
    elif origin is tuple:
        found = st.lists(of(args[0]), max_size=3).map(tuple)
    elif origin is dict:
        found = st.dictionaries(of(args[0]), of(args[1]), max_size=3)
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        found = st.sampled_from(list(kind))
    else:
        assert isinstance(kind, type), kind
        assert dataclasses.is_dataclass(kind), kind
        hints = typing.get_type_hints(kind)
        found = st.builds(kind, **{field.name: of(hints[field.name]) for field in dataclasses.fields(kind)})
    return found
