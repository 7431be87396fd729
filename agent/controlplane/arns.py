"""Amazon resource names, in the long form that Amazon ECS uses today."""

from dataclasses import dataclass

PARTS = 6


@dataclass(frozen=True, slots=True)
class Arn:
    """``arn:aws:ecs:REGION:ACCOUNT:KIND/PATH``, taken apart."""

    region: str
    account: str
    kind: str
    path: tuple[str, ...]


def parse(text: str) -> Arn | None:
    """Take an ECS ARN apart; None for anything else."""
    parts = text.split(":", PARTS - 1)
    if len(parts) != PARTS or parts[0] != "arn" or parts[2] != "ecs" or "/" not in parts[5]:
        return None
    kind, *path = parts[5].split("/")
    return Arn(parts[3], parts[4], kind, tuple(path))


def region_of(text: str) -> str:
    """The region of an ECS ARN of ours."""
    arn = parse(text)
    assert arn is not None, "our own ARNs are whole"
    return arn.region


def partition(region: str) -> str:
    """The partition a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def make(region: str, account: str, kind: str, *path: str) -> str:
    """An ECS ARN."""
    return f"arn:{partition(region)}:ecs:{region}:{account}:{kind}/{'/'.join(path)}"
