import json

import pytest

from agent.endpoints.go_reader import MOST_DEPTH, BadJson, Members, NoJson, Number, first_value


@pytest.mark.parametrize("body", [b"", b" \n\t\r"])
def test_nothing_is_no_text(body: bytes) -> None:
    with pytest.raises(NoJson):
        first_value(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "unexpected EOF"),
        (b'{"a', "unexpected EOF"),
        (b'{"a":1', "unexpected EOF"),
        (b"tru", "unexpected EOF"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b"'a'", r"invalid character '\'' looking for beginning of value"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"\xc2\xb2", "invalid character 'Â' looking for beginning of value"),
        (b"\xb2", "invalid character '²' looking for beginning of value"),
        (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a"}', "invalid character '}' after object key"),
        (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        (b'{"a":01}', "invalid character '1' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"nul!", "invalid character '!' in literal null (expecting 'l')"),
        (b'"a\nb"', r"invalid character '\n' in string literal"),
        (b'"\x01"', r"invalid character '\x01' in string literal"),
        (b'"\\q"', "invalid character 'q' in string escape code"),
        (b'"\\u12g4"', r"invalid character 'g' in \u hexadecimal character escape"),
        (b"-a", "invalid character 'a' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"1e+x", "invalid character 'x' in exponent of numeric literal"),
        (b"[" * (MOST_DEPTH + 1), "exceeded max depth"),
        (b"\x85", r"invalid character '\u0085' looking for beginning of value"),
        (b"\\", r"invalid character '\\' looking for beginning of value"),
    ],
)
def test_what_is_wrong_is_said_in_gos_words(body: bytes, text: str) -> None:
    with pytest.raises(BadJson) as wrong:
        first_value(body)

    assert str(wrong.value) == text


@pytest.mark.parametrize(
    "value", ["", "é/ü \U0001f40b", 'a"b\\c\n', True, False, None, "x" * 1000, "\u2028\x7f"], ids=ascii
)
def test_a_value_is_read_as_it_was_written(value: object) -> None:
    assert first_value(json.dumps(value).encode()) == value
    assert first_value(json.dumps(value, ensure_ascii=False).encode()) == value


def test_an_object_keeps_the_order_and_the_doubles_of_its_members() -> None:
    read = first_value(b' { "b" : [1, -2.50e+3, {}] , "a":"x","b": null } trailing {')

    assert read == Members((("b", (Number("1"), Number("-2.50e+3"), Members())), ("a", "x"), ("b", None)))
    assert first_value(b"[]") == ()


def test_bytes_that_are_no_utf_8_and_halves_of_letters_become_the_sign_for_unknown_letters() -> None:
    assert first_value(b'"a\xffb"') == "a\ufffdb"
    assert first_value(b'"\\ud83d"') == "\ufffd"
    assert first_value(b'"\\ud83d\\udc0b"') == "\U0001f40b"


def test_a_number_ends_where_something_else_begins() -> None:
    assert first_value(b"0 1") == Number("0")
    assert first_value(b"12x") == Number("12")
