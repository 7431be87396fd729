from pathlib import Path

import pytest

from agent.controlplane.keys_driver import load_or_make


def test_keys_are_made_once_and_differ(tmp_path: Path) -> None:
    made = load_or_make(tmp_path / "data")

    assert load_or_make(tmp_path / "data") == made
    assert made.operator != made.agent
    assert (tmp_path / "data" / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["keys.json"]
    assert made.operator.secret_access_key not in repr(made)


def test_a_file_that_holds_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")

    with pytest.raises(ValueError, match=r"keys\.json does not hold two key pairs"):
        load_or_make(tmp_path)
