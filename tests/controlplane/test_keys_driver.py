from pathlib import Path

import pytest

from agent.controlplane.keys_driver import KeyFileUnreadable, find_agent_key, load_or_make, mint_agent_key


def test_keys_are_made_once_and_differ(tmp_path: Path) -> None:
    made = load_or_make(tmp_path / "data")

    assert load_or_make(tmp_path / "data") == made
    assert made.operator != made.agent
    assert (tmp_path / "data" / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["keys.json"]
    assert made.operator.secret_access_key not in repr(made)


@pytest.mark.parametrize("damage", [b"{}", b"", b'{"operator": {"access_key_id": "\xff"}}'])
def test_a_file_that_holds_something_else_is_named(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(damage)

    with pytest.raises(KeyFileUnreadable, match=r"keys\.json does not hold two key pairs"):
        load_or_make(tmp_path)


@pytest.mark.parametrize("damage", [b"{}", b"", b'{"access_key_id": "\xff"}'])
def test_the_file_of_an_agents_key_that_holds_something_else_is_named(tmp_path: Path, damage: bytes) -> None:
    key_id = mint_agent_key(tmp_path).access_key_id
    (tmp_path / "agent-keys" / f"{key_id}.json").write_bytes(damage)

    with pytest.raises(KeyFileUnreadable, match=rf"{key_id}\.json does not hold a key pair"):
        find_agent_key(tmp_path, key_id)
