"""The two key pairs of a control plane: one for its operator, one for agents. Made once, kept in the data directory."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

KEYS_FILE = "keys.json"
OWNER_ONLY = 0o600
ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key id and its secret. Prints without the secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyPairs:
    """Who may call. The operator may call everything, an agent what agents need."""

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
    except msgspec.DecodeError as error:
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


def _make(path: Path) -> KeyPairs:
    """Make and save. Of two programs that start at once, the first one's file is the one both use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = KeyPairs(_draw(), _draw())
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(pairs))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return load_or_make(path.parent)
    finally:
        fresh.unlink(missing_ok=True)
    return pairs


def _draw() -> KeyPair:
    return KeyPair("AKIA" + "".join(secrets.choice(ID_LETTERS) for _ in range(16)), secrets.token_urlsafe(30))
