from agent.controlplane.definition_containers import CONTAINER_MEMBERS, LOG_MEMBERS, REQUIREMENT_MEMBERS
from agent.controlplane.definition_ports import PORT_MEMBERS
from agent.controlplane.definition_rules import TASK_MEMBERS
from agent.controlplane.definition_volumes import VOLUME_MEMBERS
from agent.controlplane.launch import CONTAINER_OVERRIDES, TASK_OVERRIDES
from agent.controlplane.linux_parameters import MEMBERS as LINUX_MEMBERS
from agent.controlplane.operations import ACTIONS, OPERATIONS
from agent.controlplane.rights import FOR_AGENTS
from tests.controlplane.desk import api_model


def test_there_are_56_actions_and_the_published_model_knows_them_all() -> None:
    assert len(ACTIONS) == 56
    assert set(api_model().operations) == ACTIONS
    assert set(OPERATIONS) <= ACTIONS
    assert FOR_AGENTS <= ACTIONS


def test_every_member_that_is_honoured_is_spelled_as_published() -> None:
    model = api_model()
    for action, operation in OPERATIONS.items():
        request = model.operations[action].input
        assert request is not None
        assert operation.honoured <= set(model.shapes[request.shape].members), action
    for shape, members in (
        ("RegisterTaskDefinitionRequest", TASK_MEMBERS),
        ("ContainerDefinition", CONTAINER_MEMBERS),
        ("PortMapping", PORT_MEMBERS),
        ("LogConfiguration", LOG_MEMBERS),
        ("ResourceRequirement", REQUIREMENT_MEMBERS),
        ("LinuxParameters", LINUX_MEMBERS),
        ("Volume", VOLUME_MEMBERS),
        ("TaskOverride", TASK_OVERRIDES),
        ("ContainerOverride", CONTAINER_OVERRIDES),
    ):
        assert members <= set(model.shapes[shape].members), shape


def test_members_that_only_agents_send_are_typed() -> None:
    shapes = api_model().shapes

    assert shapes["RegisterContainerInstanceRequest"].members["clientToken"].shape == "String"
    assert shapes["DiscoverPollEndpointRequest"].members["zoneId"].shape == "String"
