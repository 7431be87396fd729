"""Who else is on this machine: other agents, programs on our ports, containers that nobody looks after."""

from collections.abc import Iterator
from functools import partial

from agent.doctor.findings import Finding, Level, Listener, Sight
from agent.membership.decisions import DEFAULT_CLUSTER, MembershipSettings, is_same_cluster

PORTS = {
    51678: "the agent's introspection",
    51679: "credentials of tasks",
    51680: "figures for Prometheus",
}
"""What the ports are for that every ECS agent has to itself."""

NOT_VITAL = frozenset({"gpus", "redirect"})
"""What an agent can do without."""


def agents(sight: Sight) -> Iterator[Finding]:
    """Is there exactly one agent?"""
    say, neighbour = partial(Finding, "agent"), sight.neighbour
    if neighbour is not None:
        whose = neighbour.instance_arn or f"cluster {neighbour.cluster}"
        also = f", and one of our own runs, too (process {sight.own_agent})" if sight.own_agent else ""
        yield say(
            Level.ERROR,
            f"another ECS agent runs here and looks after {whose} ({neighbour.version}){also}",
            f"`dockworker takeover --agent {sight.neighbour_url}` takes its tasks over; stop it then: "
            "systemctl disable --now ecs",
        )
    elif sight.own_agent:
        yield say(Level.OK, f"the agent runs (process {sight.own_agent})")
    else:
        yield say(Level.OK, "no agent runs")


def own_health(sight: Sight) -> Iterator[Finding]:
    """Can the agent that runs do its work?"""
    say, troubles = partial(Finding, "agent-health"), sight.own_troubles
    if troubles is None and sight.own_agent:
        text = f"the agent (process {sight.own_agent}) does not answer in {sight.settings.data_dir}"
        yield say(Level.WARNING, text, "see its log (journalctl -u dockworker), and whether it has another ECS_DATADIR")
    for name, reason in (troubles or {}).items():
        level = Level.WARNING if name in NOT_VITAL else Level.ERROR
        yield say(level, f"the agent says of {name}: {reason}", "see its log: journalctl -u dockworker")
    if not troubles and (troubles is not None or not sight.own_agent):
        yield say(Level.OK, "the agent says that it can do its work" if sight.own_agent else "no agent is to be asked")


def ports(sight: Sight) -> Iterator[Finding]:
    """Are the ports free that the agent needs?"""
    wanted = dict(PORTS)
    health = sight.settings.health_address.rpartition(":")[2]
    if health.isdecimal():
        wanted[int(health)] = "the agent's health"
    strangers = [one for one in sight.listeners if one.port in wanted and not _is_agents(sight, one)]
    for one in strangers:
        who = f"{one.program or 'a program'} (process {one.process})" if one.process else "a program"
        yield Finding(
            "ports",
            Level.ERROR if sight.neighbour is None else Level.WARNING,
            f"{who} listens on port {one.port}, which is for {wanted[one.port]}",
            f"stop it (ss -ltnp 'sport = :{one.port}' shows it), or let it listen elsewhere",
        )
    if not strangers:
        yield Finding("ports", Level.OK, f"ports {', '.join(map(str, sorted(wanted)))} are the agent's or free")


def _is_agents(sight: Sight, one: Listener) -> bool:
    return one.process is not None and one.process == sight.own_agent


def containers(sight: Sight) -> Iterator[Finding]:
    """Does anybody look after the containers of tasks?"""
    for one in sight.foreigners if sight.neighbour is None else ():
        state = "runs" if one.runs else "has ended"
        yield Finding(
            "foreign-container",
            Level.WARNING,
            f"container {one.name or one.docker_id[:12]} of task {one.task} {state}, and no agent knows that task; "
            "it is left alone",
            f"if nobody needs it: docker rm -f {one.docker_id[:12]}. To keep the tasks of another agent, give "
            "`dockworker takeover` while that one still runs",
        )
    if sight.neighbour is not None and sight.foreigners:
        text = f"containers of the other agent's: {len(sight.foreigners)}; they are left alone"
        yield Finding("foreign-container", Level.OK, text)
    elif not sight.foreigners:
        yield Finding("foreign-container", Level.OK, "no container is left over from another agent")


def cluster(sight: Sight) -> Iterator[Finding]:
    """Is this machine registered where it is to be?"""
    say, identity = partial(Finding, "cluster"), sight.identity
    wanted = sight.settings.cluster or DEFAULT_CLUSTER
    if identity is None or not identity.instance_arn:
        yield say(Level.OK, f"not registered yet; the cluster is {wanted}")
    elif is_same_cluster(identity, MembershipSettings(cluster=sight.settings.cluster)):
        yield say(Level.OK, f"registered in {identity.cluster} as {identity.instance_arn}")
    else:
        yield say(
            Level.WARNING,
            f"registered in {identity.cluster} as {identity.instance_arn}, and ECS_CLUSTER is {wanted}",
            "the next start moves it if no task lives here; `dockworker leave` leaves the old cluster for good",
        )


CHECKS = (agents, own_health, ports, containers, cluster)
