"""AWS as somebody else has built it, for what calls STS."""

from tests.aws.conftest import moto

__all__ = ["moto"]
