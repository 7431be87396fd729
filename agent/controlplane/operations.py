"""The 56 actions of the ECS API (2014-11-13): which there are, which are here, what they honour.

A member that the published model knows and an action here does not honour is refused by name when it is set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from agent.controlplane import (
    ops_agent,
    ops_clusters,
    ops_instances,
    ops_protection,
    ops_registration,
    ops_tags,
    ops_task_definitions,
    ops_tasks,
)
from agent.controlplane.call import Call
from agent.controlplane.faults import Fault, client, invalid
from agent.controlplane.honoured import words
from agent.controlplane.records import JsonObject

ACTIONS = words(
    "CreateCapacityProvider CreateCluster CreateService CreateTaskSet DeleteAccountSetting DeleteAttributes"
    " DeleteCapacityProvider DeleteCluster DeleteService DeleteTaskDefinitions DeleteTaskSet"
    " DeregisterContainerInstance DeregisterTaskDefinition DescribeCapacityProviders DescribeClusters"
    " DescribeContainerInstances DescribeServices"
    " DescribeTaskDefinition DescribeTaskSets DescribeTasks DiscoverPollEndpoint ExecuteCommand GetTaskProtection"
    " ListAccountSettings ListAttributes ListClusters ListContainerInstances ListServices ListServicesByNamespace"
    " ListTagsForResource ListTaskDefinitionFamilies ListTaskDefinitions ListTasks PutAccountSetting"
    " PutAccountSettingDefault PutAttributes PutClusterCapacityProviders RegisterContainerInstance"
    " RegisterTaskDefinition RunTask StartTask StopTask SubmitAttachmentStateChanges SubmitContainerStateChange"
    " SubmitTaskStateChange TagResource UntagResource UpdateCapacityProvider UpdateCluster UpdateClusterSettings"
    " UpdateContainerAgent UpdateContainerInstancesState UpdateService UpdateServicePrimaryTaskSet UpdateTaskProtection"
    " UpdateTaskSet"
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One action. `fault` makes the error for a request that breaks the model's rules."""

    perform: Callable[[Call], JsonObject]
    honoured: frozenset[str]
    fault: Callable[[str], Fault] = invalid

    @classmethod
    def of(cls, perform: Callable[[Call], JsonObject], honoured: str, fault: Callable[[str], Fault] = invalid) -> Self:
        """An action that honours the members named in *honoured*."""
        return cls(perform, words(honoured), fault)


PAGE = "maxResults nextToken"
OPERATIONS: dict[str, Operation] = {
    "CreateCluster": Operation.of(ops_clusters.create_cluster, "clusterName settings tags"),
    "DescribeClusters": Operation.of(ops_clusters.describe_clusters, "clusters include"),
    "ListClusters": Operation.of(ops_clusters.list_clusters, PAGE),
    "DeleteCluster": Operation.of(ops_clusters.delete_cluster, "cluster"),
    "RegisterTaskDefinition": Operation.of(
        ops_task_definitions.register_task_definition,
        "family containerDefinitions cpu memory networkMode requiresCompatibilities taskRoleArn executionRoleArn"
        " runtimePlatform volumes pidMode ipcMode enableFaultInjection tags",
        client,
    ),
    "DescribeTaskDefinition": Operation.of(ops_task_definitions.describe_task_definition, "taskDefinition include"),
    "DeregisterTaskDefinition": Operation.of(ops_task_definitions.deregister_task_definition, "taskDefinition"),
    "ListTaskDefinitions": Operation.of(ops_task_definitions.list_task_definitions, f"familyPrefix status sort {PAGE}"),
    "RunTask": Operation.of(
        ops_tasks.run_task,
        "taskDefinition cluster count launchType overrides placementConstraints group startedBy referenceId"
        " propagateTags enableECSManagedTags tags clientToken",
    ),
    "DescribeTasks": Operation.of(ops_tasks.describe_tasks, "tasks cluster include"),
    "ListTasks": Operation.of(
        ops_tasks.list_tasks,
        f"cluster containerInstance family serviceName launchType startedBy desiredStatus {PAGE}",
    ),
    "StopTask": Operation.of(ops_tasks.stop_task, "task cluster reason"),
    "ListContainerInstances": Operation.of(ops_instances.list_container_instances, f"cluster status {PAGE}"),
    "DescribeContainerInstances": Operation.of(
        ops_instances.describe_container_instances, "containerInstances cluster include"
    ),
    "RegisterContainerInstance": Operation.of(
        ops_registration.register_container_instance,
        "cluster instanceIdentityDocument instanceIdentityDocumentSignature totalResources versionInfo"
        " containerInstanceArn attributes platformDevices tags clientToken",
    ),
    "UpdateContainerInstancesState": Operation.of(
        ops_instances.update_container_instances_state, "containerInstances status cluster"
    ),
    "UpdateContainerAgent": Operation.of(ops_instances.update_container_agent, "containerInstance cluster"),
    "DeregisterContainerInstance": Operation.of(
        ops_instances.deregister_container_instance, "containerInstance cluster force"
    ),
    "DiscoverPollEndpoint": Operation.of(ops_agent.discover_poll_endpoint, "containerInstance cluster zoneId"),
    "SubmitTaskStateChange": Operation.of(
        ops_agent.take_task_state,
        "cluster task status reason containers attachments managedAgents pullStartedAt pullStoppedAt"
        " executionStoppedAt",
    ),
    "SubmitContainerStateChange": Operation.of(
        ops_agent.take_container_state,
        "cluster task containerName runtimeId status exitCode reason networkBindings",
    ),
    "SubmitAttachmentStateChanges": Operation.of(ops_agent.take_attachment_states, "cluster attachments"),
    "ListTagsForResource": Operation.of(ops_tags.list_tags_for_resource, "resourceArn"),
    "GetTaskProtection": Operation.of(ops_protection.get_task_protection, "cluster tasks"),
    "UpdateTaskProtection": Operation.of(
        ops_protection.update_task_protection, "cluster tasks protectionEnabled expiresInMinutes"
    ),
}
