import pytest

from agent.endpoints import paths


@pytest.mark.parametrize(
    ("path", "tidy"),
    [
        ("/v4/a", "/v4/a"),
        ("/v4/a/", "/v4/a/"),
        ("//v3//x", "/v3/x"),
        ("/v3/./x", "/v3/x"),
        ("/v3/a/../x", "/v3/x"),
        ("/../..", "/"),
        ("/", "/"),
        ("//", "/"),
        ("", "/"),
        ("v3", "/v3"),
    ],
)
def test_a_path_is_made_clean_as_gos_router_does(path: str, tidy: str) -> None:
    assert paths.clean(path) == tidy


def test_a_target_is_a_decoded_path_and_its_query() -> None:
    assert paths.split("/v4/a%20b?x=1%20&y#z") == ("/v4/a b", "x=1%20&y")
    assert paths.split("/v4/%ff") == ("/v4/�", "")


def test_one_is_led_to_an_encoded_path_with_the_query_as_it_was() -> None:
    assert paths.location("/v4/a b", "x=%20") == "/v4/a%20b?x=%20"
    assert paths.location("/v4/a\r\nb", "") == "/v4/a%0D%0Ab"


def test_of_a_query_the_first_value_of_each_name_counts() -> None:
    assert paths.read_query("id=a&id=b&empty=") == {"id": "a", "empty": ""}
