from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.kinds import address, http_url, number, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("0", 0),
        ("+2m", 120),
        ("-2m", -120),
        ("3h0m1s", 10801),
        ("1500us", 0.0015),
        ("1000000ns", 0.001),
        ("2562047h47m", 9223372020),
    ],
)
def test_durations_read_as_in_go(written: str, seconds: float) -> None:
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written", ["", "30", "s", "1d", "1 h", "--1s", "1s ", "1h30", "one hour", "9" * 400 + "h", "2562048h"]
)
def test_what_go_refuses_is_no_duration(written: str) -> None:
    assert parse_duration(written) is None


@given(st.text())
def test_no_text_breaks_the_reader_of_durations(written: str) -> None:
    span = parse_duration(written)

    assert span is None or isinstance(span, timedelta)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("ecs.example.com", "https://ecs.example.com"),
        ("127.0.0.1:51690", "https://127.0.0.1:51690"),
        ("http://127.0.0.1:51690/", "http://127.0.0.1:51690"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_a_host_without_a_scheme_is_https(written: str, url: str) -> None:
    assert http_url().read_text(written) == url


@pytest.mark.parametrize("written", ["http://exa mple", "http://exa\nmple", "exam\tple", "http://x/a b"])
def test_nothing_with_a_blank_in_it_is_a_url(written: str) -> None:
    with pytest.raises(ValueError, match="an http"):
        http_url().read_text(written)


@pytest.mark.parametrize(("written", "size"), [("1e2", 100), (".5", 0.5), ("5.", 5), ("+7", 7)])
def test_a_number_reads_as_in_go(written: str, size: float) -> None:
    assert number(0.1, 1000).read_text(written) == size


@pytest.mark.parametrize("written", ["nan", "inf", "1_0", "1e", ".", "1e999", "9" * 5000, "\u0663"])
def test_what_is_no_number_within_bounds_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="a number from"):
        number(0.1, 1000).read_text(written)


@pytest.mark.parametrize("written", ["127.0.0.1:51678", "[::1]:1", "localhost:65535", "off"])
def test_an_address_is_a_host_and_a_port_or_off(written: str) -> None:
    assert address().read_text(written) == written


@pytest.mark.parametrize("written", ["127.0.0.1", ":51678", "127.0.0.1:0", "127.0.0.1:65536", "::1:80", "[::1:80"])
def test_anything_else_is_no_address(written: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        address().read_text(written)
