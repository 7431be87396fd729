import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.ecs_config import for_everybody, parse


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ECS_CLUSTER=mine", {"ECS_CLUSTER": "mine"}),
        ("  ECS_CLUSTER=mine\t\r\n", {"ECS_CLUSTER": "mine"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=", {"A": ""}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=b # c", {"A": "b # c"}),
        ("A=$HOME\\", {"A": "$HOME\\"}),
        ("#A=b\n; A=b\n\nno equals sign", {}),
        ('A={"rack": "7"}', {"A": '{"rack": "7"}'}),
        ('A=["json-file"]', {"A": '["json-file"]'}),
    ],
)
def test_a_line_is_trimmed_and_split_at_the_first_equals_sign(text: str, values: dict[str, str]) -> None:
    assert parse(text) == (values, (), ())


@pytest.mark.parametrize("text", ['A="b c"', "A='b c'", '  A="b c"  '])
def test_quotes_around_a_value_are_taken_off_and_a_remark_says_so(text: str) -> None:
    assert parse(text) == ({"A": "b c"}, ("A: the quotes around its value are left out",), ())


@pytest.mark.parametrize("value", ['"', '"a', "a'", '"a" "b"', "'a\""])
def test_quotes_that_are_no_pair_around_the_whole_value_stay(value: str) -> None:
    assert parse(f"A={value}") == ({"A": value}, (), ())


def test_what_is_no_name_counts_for_nothing_and_shows_no_value() -> None:
    values, _, (remark,) = parse("ECS_CLUSTER=mine\nexport AWS_SECRET_ACCESS_KEY=hush")

    assert values == {"ECS_CLUSTER": "mine"}
    assert remark.startswith("line 2: ")
    assert "hush" not in remark


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    values, _, _ = parse(text)

    assert all(name and "=" not in name for name in values)


def test_what_is_for_everybody_becomes_environment_unless_it_is_there() -> None:
    said = {
        "HTTP_PROXY": "http://p",
        "https_proxy": "http://p",
        "NO_PROXY": "",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "SSL_CERT_DIR": "/certs",
        "ECS_CLUSTER": "mine",
        "PATH": "/evil",
    }

    assert for_everybody(said, {"SSL_CERT_DIR": "/mine"}) == {
        "HTTP_PROXY": "http://p",
        "https_proxy": "http://p",
        "AWS_SECRET_ACCESS_KEY": "hush",
    }


def test_a_proxy_of_the_environment_is_not_beaten_by_another_spelling_in_a_file() -> None:
    said = {"HTTPS_PROXY": "http://file", "no_proxy": "file", "HTTP_PROXY": "http://file"}

    assert for_everybody(said, {"https_proxy": "http://mine", "NO_PROXY": ""}) == {"HTTP_PROXY": "http://file"}
