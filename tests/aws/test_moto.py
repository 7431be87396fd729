"""The client against another's implementation of ECS."""

import json

import boto3

from agent.aws.ecs_client import EcsClient, EcsSettings
from agent.model.identity import Attribute, Resource
from agent.model.registration import Registration
from tests.aws.peers import KEYS, REGION, FixedKeys, run


def test_another_ecs_makes_the_cluster_and_the_instance_that_we_ask_for(moto: str) -> None:
    client = boto3.Session(KEYS.access_key_id, KEYS.secret_access_key, region_name=REGION)
    ec2 = client.client("ec2", endpoint_url=moto)
    machine = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]

    async def story() -> str:
        async with EcsClient.open(EcsSettings(REGION, "ua", moto), FixedKeys()) as ecs:
            assert await ecs.create_cluster("demo") == "demo"
            document = json.dumps({"instanceId": machine})
            resources = (Resource("CPU", integer=1024), Resource("PORTS", strings=()))
            asked = Registration("demo", "t", "", resources, (Attribute("a", "b"),), (), document, "signature")
            return (await ecs.register(asked)).instance_arn

    arn = run(story())

    listed = client.client("ecs", endpoint_url=moto).list_container_instances(cluster="demo")
    assert listed["containerInstanceArns"] == [arn]
