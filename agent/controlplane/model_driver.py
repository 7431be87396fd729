"""Reads the model of the ECS API out of the installed botocore package, without importing botocore."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import msgspec

from agent.controlplane.api_model import ApiModel

API_VERSION = "2014-11-13"


def load(actions: frozenset[str]) -> ApiModel:
    """The model of *actions*. Raises FileNotFoundError where botocore brings no ECS model."""
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("botocore is not installed: its model of the ECS API is needed")
    folder = Path(spec.origin).parent / "data" / "ecs" / API_VERSION
    packed = folder / "service-2.json.gz"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "service-2.json").read_bytes()
    return msgspec.json.decode(text, type=ApiModel).reduced(actions)
