"""Both ends of the control channel, each as it is: what is attached to a host, and an update that nobody makes."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.controlplane.events import AttachmentWanted, PlaneDecision, UpdateWanted
from agent.controlplane.notices import INSTANCE_INTERFACE
from agent.controlplane.records import Attachment, ContainerInstance, JsonObject
from agent.model.clock import utc_now
from tests.controlplane.inside import Inside, inside
from tests.host.veth import a_link, a_mac
from tests.stories.house import DOCKWORKER, Program, clean_environment, credentials
from tests.wire.matrix import interface

pytestmark = pytest.mark.docker


def changed(kind: type, holds: Callable[[Any], bool]) -> Callable[[PlaneDecision], bool]:
    return lambda decision: any(isinstance(one.after, kind) and holds(one.after) for one in decision.changes)


def an_agent(there: Inside, folder: Path) -> Program:
    environ = {
        **clean_environment(),
        **credentials(there.house.keys.agent),
        "ECS_BACKEND_HOST": there.house.url,
        "ECS_DATADIR": str(folder / "agent"),
        "DOCKWORKER_HEALTH_ADDRESS": "off",
        "AWS_EC2_METADATA_DISABLED": "true",
        "DOCKWORKER_SHARE_HOST": "true",
        "DOCKWORKER_TASK_ADDRESS": "off",
    }
    return Program("agent", (*DOCKWORKER, "run"), environ, folder / "agent.log")


async def shown(there: Inside) -> JsonObject:
    [arn] = (await there.call("ListContainerInstances"))["containerInstanceArns"]
    [one] = (await there.call("DescribeContainerInstances", containerInstances=[arn]))["containerInstances"]
    found: JsonObject = one
    return found


def test_a_link_that_was_announced_is_shown_as_attached_and_an_update_as_refused(tmp_path: Path) -> None:
    mac = a_mac()
    details = {key: value for key, value in interface("x", mac).items() if key != "attachmentArn"}

    async def story() -> None:
        async with inside(tmp_path / "plane") as there:
            agent = an_agent(there, tmp_path)
            connected = asyncio.ensure_future(there.until(changed(ContainerInstance, lambda one: bool(one.connection))))
            await asyncio.sleep(0)
            agent.start()
            try:
                await connected
                home = (await shown(there))["containerInstanceArn"]
                wait = timedelta(minutes=5)
                acked = asyncio.ensure_future(there.until(changed(Attachment, lambda one: one.acked)))
                await there.decide(AttachmentWanted(home, INSTANCE_INTERFACE, details, utc_now(), wait, "07" * 32))
                await acked
                attached = asyncio.ensure_future(there.until(changed(Attachment, lambda one: one.status == "ATTACHED")))
                await asyncio.sleep(0)
                with a_link(mac):
                    await attached
                refused = asyncio.ensure_future(
                    there.until(changed(ContainerInstance, lambda one: one.update and one.update.reason))
                )
                await there.decide(UpdateWanted(home, "https://example.test/agent.tar", "ab" * 32, utc_now()))
                await refused

                seen = await shown(there)
                assert [one["status"] for one in seen["attachments"]] == ["ATTACHED"]
                assert seen["agentUpdateStatus"] == "FAILED"
            finally:
                agent.close()

    (tmp_path / "plane").mkdir()
    asyncio.run(story())
