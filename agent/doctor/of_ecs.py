"""Can ECS be reached, and would it know us?"""

from collections.abc import Iterator
from functools import partial

from agent.config.proxies import completed
from agent.doctor.findings import Finding, Level, Sight

FEW_MINUTES, SOME_SECONDS = 240.0, 30.0
"""Seconds that a clock may be wrong: AWS bears five minutes; whoever compares logs bears less."""
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


def region(sight: Sight) -> Iterator[Finding]:
    """Which region is this?"""
    if sight.region:
        yield Finding("region", Level.OK, f"the region is {sight.region}")
    else:
        suggestion = "set AWS_DEFAULT_REGION; on EC2, let the instance metadata be asked"
        yield Finding("region", Level.ERROR, sight.region_lack or "nothing says which region this is", suggestion)


def credentials(sight: Sight) -> Iterator[Finding]:
    """Are there keys?"""
    if sight.keys_lack:
        yield Finding(
            "credentials",
            Level.ERROR,
            sight.keys_lack,
            "give the instance a role with AmazonEC2ContainerServiceforEC2Role; elsewhere, put keys into the "
            "environment of the agent, or into ~/.aws/credentials",
        )
    else:
        yield Finding("credentials", Level.OK, "there are AWS credentials")


def endpoint(sight: Sight) -> Iterator[Finding]:
    """Does ECS answer, and is it as late there as here?"""
    if sight.endpoint_lack:
        yield Finding(
            "ecs-endpoint",
            Level.ERROR,
            f"ECS is not reached: {sight.endpoint_lack}",
            "look at routes, security groups, name servers and proxies; in a VPC without a way out, make endpoints for "
            "ecs, ecs-agent and ecs-telemetry",
        )
        return
    if not sight.endpoint:
        yield Finding("ecs-endpoint", Level.WARNING, "without a region nobody knows where ECS is", "see region")
        return
    yield Finding("ecs-endpoint", Level.OK, f"ECS answers at {sight.endpoint}")
    if sight.skew is not None:
        yield _clock(sight.skew)


def _clock(skew: float) -> Finding:
    off = abs(skew)
    level = Level.ERROR if off > FEW_MINUTES else Level.WARNING if off > SOME_SECONDS else Level.OK
    if level is Level.OK:
        return Finding("clock", level, "the clock is right")
    text = f"the clock is {off:.0f} s {'fast' if skew > 0 else 'slow'}, by the time that ECS tells"
    return Finding(
        "clock", level, text, "let a time server set it: systemctl enable --now chronyd (or systemd-timesyncd)"
    )


def proxies(sight: Sight) -> Iterator[Finding]:
    """Is what must not go through the proxy named, for everybody who reads the variables?"""
    say, environ = partial(Finding, "no-proxy"), sight.given.environ
    if not any(environ.get(name) for name in PROXIES):
        yield say(Level.OK, "no proxy is set")
        return
    whole = completed(environ, sight.settings.docker_host, sight.settings.imds_endpoint).get("NO_PROXY", "")
    said = {one.strip() for one in (environ.get("NO_PROXY") or environ.get("no_proxy") or "").split(",")}
    missing = [one for one in whole.split(",") if one and one not in said]
    if missing:
        yield say(
            Level.WARNING,
            f"a proxy is set, and NO_PROXY lacks {', '.join(missing)}; the agent goes straight there all the same, but "
            "other programs that read the same file do not",
            f"NO_PROXY={whole}",
        )
    else:
        yield say(Level.OK, "what must not go through the proxy is named in NO_PROXY")


CHECKS = (region, credentials, endpoint, proxies)
