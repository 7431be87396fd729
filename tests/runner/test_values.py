import asyncio

import pytest

from agent.model.acts import FetchValues
from agent.model.credentials import TaskValues
from agent.model.errors import GiveUp
from agent.model.names import Image
from agent.model.parts import EnvironmentFile, Registry, RegistryAuth, Secret
from agent.model.status import ResourceKind
from agent.model.task import ContainerSpec, ImageSource, TaskSpec
from agent.runner.values import NoValues
from tests.engine.rows import ARN


def asking(container: ContainerSpec) -> FetchValues:
    return FetchValues(ARN, ResourceKind.VALUES, spec=TaskSpec(ARN, "web", "1", (container,)))


@pytest.mark.parametrize(
    ("container", "feature"),
    [
        (ContainerSpec("app", Image("app:1"), secrets=(Secret("PASSWORD", "arn:s"),)), "secrets"),
        (ContainerSpec("app", Image("app:1"), environment_files=(EnvironmentFile("arn:f"),)), "environmentFiles"),
        (
            ContainerSpec("app", Image("app:1"), registry=RegistryAuth(Registry.ASM, credentials_parameter="arn:l")),
            "repositoryCredentials",
        ),
    ],
)
def test_a_task_that_needs_a_value_hears_which_feature_is_not_there(container: ContainerSpec, feature: str) -> None:
    with pytest.raises(GiveUp) as refused:
        asyncio.run(NoValues().fetch(asking(container)))
    assert refused.value.reason == f"ResourceInitializationError: {feature}: not supported by this agent yet"


def test_a_task_that_needs_none_gets_none() -> None:
    assert asyncio.run(NoValues().fetch(asking(ContainerSpec("app", Image("app:1"))))) == TaskValues()


def test_a_login_to_ecr_is_refused_by_name() -> None:
    with pytest.raises(GiveUp) as refused:
        asyncio.run(NoValues().login(ImageSource(Image("app:1"), RegistryAuth(Registry.ECR))))
    assert refused.value.reason.startswith(
        "CannotPullECRContainerError: a login to Amazon ECR for app:1: not supported"
    )
