"""The tags of tasks and of the container instance, for those who are served metadata. Fulfils `ResourceTags`."""

from agent.aws.ecs_client import EcsClient
from agent.aws.failures import EcsError
from agent.aws.retry import ONCE
from agent.model.errors import TryAgain

ACTION = "operation error ECS: ListTagsForResource"


class TagsClient:
    """Asks ECS afresh each time, with the keys of the agent: nothing is kept."""

    def __init__(self, ecs: EcsClient) -> None:
        self._ecs = ecs

    async def resource_tags(self, arn: str, asker: str) -> dict[str, str]:
        """The tags of *arn*, which the container *asker* wants to know. Raises TryAgain."""
        client = self._ecs.as_used_by(asker) if asker and asker.isascii() and asker.isprintable() else self._ecs
        try:
            return await client.tags(arn)
        except EcsError as error:
            made = client.attempts if error.is_transient else ONCE
            raise TryAgain(f"after {made} attempts: {ACTION}, {error}") from error
        except TryAgain as error:
            raise TryAgain(f"after {ONCE} attempts: {ACTION}, {error}") from error
