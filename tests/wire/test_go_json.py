from datetime import UTC, datetime, timedelta, timezone

import pytest

from agent.wire.go_json import Struct, dumps, filled, moment


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "x"]}, '{"b":1,"a":[true,null,"x"]}'),
        (2.0, "2"),
        (0.25, "0.25"),
        (1.2345678901234567e20, "123456789012345670000"),
        (1.5e-5, "0.000015"),
        ({"CPU": 0.5, "all": [1.0, (3.0,)]}, '{"CPU":0.5,"all":[1,[3]]}'),
        ("<a & b>", '"\\u003ca \\u0026 b\\u003e"'),
        ("Zürich \u2028", '"Zürich \\u2028"'),
        ('line\n"q"', '"line\\n\\"q\\""'),
    ],
)
def test_bytes_are_those_of_gos_encoder(value: object, text: str) -> None:
    assert dumps(value) == text.encode()


def test_a_number_that_is_none_has_no_json() -> None:
    with pytest.raises(ValueError, match="not finite"):
        dumps({"rate": float("nan")})


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, ""),
        (datetime(2024, 5, 1, 12, tzinfo=UTC), "2024-05-01T12:00:00Z"),
        (datetime(2024, 5, 1, 12, 0, 1, 4000, tzinfo=UTC), "2024-05-01T12:00:01.004Z"),
        (datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))), "2024-05-01T12:00:00Z"),
    ],
)
def test_times_are_utc_without_zeros_at_their_end(at: datetime | None, text: str) -> None:
    assert moment(at) == text


def test_what_is_empty_is_left_out_but_a_struct() -> None:
    members: dict[str, object] = {
        "none": None,
        "zero": 0,
        "text": "",
        "list": [],
        "map": {},
        "no": False,
        "struct": Struct(),
        "kept": "x",
    }

    assert filled(members) == {"struct": {}, "kept": "x"}
