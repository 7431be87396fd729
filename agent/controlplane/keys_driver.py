"""The key pairs of a control plane, kept in its data directory: one for its operator, one for each agent.

The operator's and the first agent's are made together, once. Every other agent's is a file of its own, so that one
can be made while the control plane runs.
"""

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

KEYS_FILE = "keys.json"
AGENT_KEYS = "agent-keys"
OWNER_ONLY = 0o600
ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
KEY_ID = re.compile(rf"AKIA[{ID_LETTERS}]{{16}}")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key id and its secret. Prints without the secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyPairs:
    """The operator's, who may call everything, and the first agent's, which may call what agents need (rights.py)."""

    operator: KeyPair
    agent: KeyPair


class KeyFileUnreadable(ValueError):
    """The file of key pairs holds something else. Only its owner may make new keys: clients know the old ones."""


def load_or_make(data_dir: Path) -> KeyPairs:
    """The key pairs of *data_dir*, made with mode 0600 if there are none yet.

    Raises OSError for what the disk says, KeyFileUnreadable for a file that holds something else.
    """
    path = data_dir / KEYS_FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return _make(path)
    try:
        return msgspec.json.decode(text, type=KeyPairs)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise KeyFileUnreadable(f"{path} does not hold two key pairs: {error}") from error


def env_file_text(pair: KeyPair, region: str, endpoint: str) -> str:
    """Lines for a shell to source, so that the AWS CLI and SDKs talk to this control plane."""
    variables = {
        "AWS_ACCESS_KEY_ID": pair.access_key_id,
        "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": endpoint,
    }
    return "unset AWS_SESSION_TOKEN AWS_PROFILE\n" + "".join(
        f"export {name}={value}\n" for name, value in variables.items()
    )


def mint_agent_key(data_dir: Path) -> KeyPair:
    """A fresh key pair for one agent more, kept in *data_dir*; a control plane that runs there takes it at once.

    Raises OSError.
    """
    folder = data_dir / AGENT_KEYS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pair = _draw()
    _save(folder / f"{pair.access_key_id}.json", msgspec.json.encode(pair))
    return pair


def find_agent_key(data_dir: Path, key_id: str) -> KeyPair | None:
    """The key pair of that id that was minted for an agent; None if there is none.

    Raises OSError, and KeyFileUnreadable for a file that holds something else.
    """
    if not KEY_ID.fullmatch(key_id):
        return None
    path = data_dir / AGENT_KEYS / f"{key_id}.json"
    try:
        pair = msgspec.json.decode(path.read_bytes(), type=KeyPair)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise KeyFileUnreadable(f"{path} does not hold a key pair: {error}") from error
    if pair.access_key_id != key_id:
        raise KeyFileUnreadable(f"{path} holds another key pair than its name says")
    return pair


def _make(path: Path) -> KeyPairs:
    """Make and save. Of two programs that start at once, the first one's file is the one both use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = KeyPairs(_draw(), _draw())
    try:
        _save(path, msgspec.json.encode(pairs))
    except FileExistsError:
        return load_or_make(path.parent)
    return pairs


def _save(path: Path, text: bytes) -> None:
    """Make *path* with *text* in it, whole or not at all. Raises FileExistsError where it is there already."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _draw() -> KeyPair:
    return KeyPair("AKIA" + "".join(secrets.choice(ID_LETTERS) for _ in range(16)), secrets.token_urlsafe(30))
