import pytest

from agent.runner.environment_files import variables


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=b=c==", {"A": "b=c=="}),
        ("# A=1\n#B=2", {}),
        (" #A=1", {" #A": "1"}),
        ("A = 1 ", {"A ": " 1 "}),
        ("A=\"1\"\nB='2'", {"A": '"1"', "B": "'2'"}),
        ("A=", {"A": ""}),
        ("=1", {}),
        ("A\n\nexport B=2", {"export B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=1 # one", {"A": "1 # one"}),
        ("A=\x0b1\u2028B=2", {"A": "\x0b1\u2028B=2"}),
        ("", {}),
    ],
)
def test_a_file_is_read_line_by_line_and_nothing_is_trimmed(text: str, read: dict[str, str]) -> None:
    assert variables(text) == read
