"""Run in a network of its own, which stands for that of a host: faults in it, and an agent that sweeps them away."""

import asyncio
import subprocess
import sys
from dataclasses import dataclass

from agent.endpoints.faults_loop import HostFaults
from agent.host.faults import lifelines
from agent.host.faults_driver import FaultsDriver
from agent.model.decision import Decision
from agent.model.faults import HOST_NETWORK, Blackhole, FaultOp, Latency, Outcome, Traffic
from agent.model.names import TaskArn
from agent.model.task import Task, Transport
from tests.docker.hello import answers

HELD = "all of it held"
AGENT = 51679
ARN = TaskArn("arn:aws:ecs:us-east-1:1:task/c/a")


@dataclass
class Rows:
    tasks: dict[TaskArn, Task]


def rules() -> str:
    both = (
        subprocess.run((tool, "-S"), check=True, capture_output=True, text=True) for tool in ("iptables", "ip6tables")
    )
    return "".join(one.stdout for one in both)


async def story() -> None:
    clean = rules()
    driver = FaultsDriver(lifelines(f"127.0.0.1:{AGENT}"))
    holes = [Blackhole(port, Transport.TCP, traffic) for port in (8080, AGENT) for traffic in Traffic]
    holes.append(Blackhole(40123, Transport.TCP, Traffic.INGRESS))
    for hole in holes:
        assert await driver.do(FaultOp.START, hole, HOST_NETWORK) is Outcome.RUNNING, hole
    assert not answers("127.0.0.1", 8080)
    assert not answers("::1", 8080)
    assert not answers("127.0.0.1", 8081, asker=40123)
    assert answers("127.0.0.1", AGENT)
    assert answers("127.0.0.1", AGENT, asker=40123)
    assert await driver.do(FaultOp.START, Latency(5, 0, ("0.0.0.0/0",)), HOST_NETWORK) is Outcome.NO_INTERFACE
    assert set(await driver.on_host()) == set(holes)

    assert {outcome for _, outcome in await driver.clear_host()} == {Outcome.STOPPED}
    assert rules() == clean
    for hole in holes[:2]:
        await driver.do(FaultOp.START, hole, HOST_NETWORK)

    again = HostFaults(Rows({}), driver)  # an agent that starts where no task runs
    job = asyncio.create_task(again.run())
    async with asyncio.timeout(10):
        while rules() != clean:
            await asyncio.to_thread(rules)
        assert answers("127.0.0.1", 8080)
        assert await again.start(holes[0], ARN) is Outcome.RUNNING  # its task is gone already
        while rules() != clean:
            await asyncio.to_thread(rules)
    again.hear(Decision(forgotten=(ARN,)))
    job.cancel()


if __name__ == "__main__":
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    asyncio.run(story())
    sys.stdout.write(f"{HELD}\n")
