import math

import pytest

from agent.endpoints.go_json import dumps


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, False, None]}, '{"b":1,"a":[true,false,null]}'),
        ({}, "{}"),
        ([], "[]"),
        ((), "[]"),
        (2.0, "2"),
        (-3.0, "-3"),
        (0.25, "0.25"),
        (120.5, "120.5"),
        (1e16, "10000000000000000"),
        (1.5e20, "150000000000000000000"),
        (1e21, "1e+21"),
        (0.00001, "0.00001"),
        (1.5e-6, "0.0000015"),
        (2.5e-7, "2.5e-7"),
        (-0.0, "-0"),
        (2**63, "9223372036854775808"),
        ("<a href='x'>&\u2028é\n\"", r'"\u003ca href=' + "'x'" + r'\u003e\u0026\u2028é\n\""'),
        ({"<k>": "v"}, '{"\\u003ck\\u003e":"v"}'),
    ],
)
def test_a_value_is_written_as_go_writes_it(value: object, text: str) -> None:
    assert dumps(value).decode() == text


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_none_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        dumps({"a": number})


def test_what_json_has_no_form_for_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match="bytes"):
        dumps([b"secret"])
