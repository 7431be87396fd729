from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model.names import Image
from tests.stories.house import House, a_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, sample_image: Image) -> Iterator[House]:
    """A house that the stories of one module share; each has its own tasks."""
    with a_house(tmp_path_factory.mktemp("house"), ECS_CONTAINER_STOP_TIMEOUT="3s") as house:
        yield house


@pytest.fixture
def own_house(tmp_path: Path, sample_image: Image) -> Iterator[House]:
    """A house of one's own, to be killed in the middle."""
    with a_house(tmp_path, ECS_CONTAINER_STOP_TIMEOUT="3s") as house:
        yield house
