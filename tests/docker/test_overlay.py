import json

import pytest

from agent.docker import overlay
from agent.model.errors import GiveUp

REFUSAL = GiveUp("SomeError", "Unable to decode it")


def laid(base: overlay.Body, text: object) -> overlay.Body:
    given = text if isinstance(text, str) else json.dumps(text)
    return overlay.laid_over(base, given, overlay.HOST_CONFIG, REFUSAL)


def test_keys_match_in_any_case_and_the_base_keeps_its_spelling() -> None:
    assert laid({"Memory": 1, "Odd": 2}, {"MEMORY": 3, "odd": 4, "capAdd": ["X"]}) == {
        "Memory": 3,
        "Odd": 4,
        "capAdd": ["X"],
    }


def test_two_spellings_of_one_key_are_one_and_the_later_wins() -> None:
    assert laid({}, '{"capadd": ["A"], "CapAdd": ["B"]}') == {"capadd": ["B"]}
    assert laid({}, '{"binds": ["A"], "BINDS": ["B"]}') == {"Binds": ["B"]}


def test_lists_are_replaced_and_maps_merge_by_their_exact_keys() -> None:
    base = {"Binds": ["/a:/a"], "Labels": {"a": "1", "b": "2"}}

    assert laid(base, {"binds": ["/b:/b"], "labels": {"b": "3", "B": "4"}}) == {
        "Binds": ["/b:/b"],
        "Labels": {"a": "1", "b": "3", "B": "4"},
    }


def test_structs_merge_with_their_keys_in_any_case() -> None:
    base = {"LogConfig": {"Type": "json-file", "Config": {"a": "1"}}}

    assert laid(base, {"logconfig": {"TYPE": "syslog"}}) == {"LogConfig": {"Type": "syslog", "Config": {"a": "1"}}}
    assert laid(base, {"LogConfig": {"config": {"A": "2"}}}) == {
        "LogConfig": {"Type": "json-file", "Config": {"a": "1", "A": "2"}}
    }


def test_null_empties_lists_and_maps_and_leaves_the_rest_alone() -> None:
    base = {"Binds": ["/a:/a"], "PortBindings": {"80/tcp": []}, "Memory": 1, "LogConfig": {"Type": "none"}}

    given = dict.fromkeys((*base, "CapAdd"))

    assert laid(base, given) == {"Binds": [], "PortBindings": {}, "Memory": 1, "LogConfig": {"Type": "none"}}


def test_an_empty_text_changes_nothing() -> None:
    assert laid({"Memory": 1}, "") == {"Memory": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is no JSON"),
        ("[]", "it must be a JSON object"),
        ('{"binds": "secret"}', "Binds must be a list"),
        ('{"LABELS": ["secret"]}', "Labels must be an object"),
        ('{"logConfig": "secret"}', "LogConfig must be an object"),
        ('{"logConfig": {"config": {"a": "1"}}, "LogConfig": {"config": "secret"}}', "Config must be an object"),
    ],
)
def test_a_text_that_is_none_is_refused_in_the_callers_words_without_its_values(text: str, why: str) -> None:
    with pytest.raises(GiveUp) as told:
        laid({"Binds": [], "Labels": {}}, text)

    assert told.value.reason.startswith(f"SomeError: Unable to decode it: {why}")
    assert "secret" not in told.value.reason
