"""All that it takes to reach AWS, made of the settings once: where, with which keys, by which road, whom to trust."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from structlog import get_logger

from agent.aws.chain_client import Places, find_keys
from agent.aws.credentials_client import CredentialsClient, UpgradeSigner
from agent.aws.ec2_client import Ec2Client, Ec2Settings
from agent.aws.ecs_client import EcsClient, EcsSettings, amazon_endpoint, amazon_suffix
from agent.aws.endpoints import configured_endpoint
from agent.aws.retry import attempts_of
from agent.aws.roads_client import Roads
from agent.aws.server_time_driver import ServerTime
from agent.aws.trust_driver import trust
from agent.config.settings import Settings

log = get_logger()

USUAL_METADATA = Settings().imds_endpoint


@dataclass(frozen=True, slots=True)
class Access:
    """How this agent reaches AWS."""

    ecs: EcsSettings
    keys: CredentialsClient
    roads: Roads
    server_time: ServerTime
    suffix: str
    """The end of the names of Amazon's endpoints in the region."""
    ipv6_only: bool = False

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        region: str,
        endpoint: str,
        user_agent: str,
        ipv6_only: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """The way of *settings*; blocks for a moment. Raises BadInput.

        A machine that reaches nothing over IPv4 calls dual-stack endpoints, as one that asks for them.
        """
        dualstack = settings.use_dualstack_endpoint or ipv6_only
        places = Places(
            external=settings.external,
            profile=settings.credential_profile,
            imds_endpoint="" if settings.imds_endpoint == USUAL_METADATA else settings.imds_endpoint,
            imds_disabled=settings.imds_disabled,
            region=region,
            ca_file=settings.ca_file,
            fips=settings.use_fips_endpoint,
            dualstack=dualstack,
        )
        access = cls(
            EcsSettings(
                region, user_agent, endpoint, settings.use_fips_endpoint, dualstack, attempts=attempts_of(environ)
            ),
            CredentialsClient(partial(find_keys, places, environ)),
            Roads(trust(settings.ca_file, environ, insecure=settings.accept_insecure_cert), environ),
            ServerTime(),
            amazon_suffix(region),
            ipv6_only,
        )
        log.info("aws_access_chosen", region=region, endpoint=endpoint or "amazon", ipv6_only=ipv6_only)
        return access

    def open_ecs(self, heard: Callable[[], None] = lambda: None) -> AbstractAsyncContextManager[EcsClient]:
        """A client of the ECS API. Raises BadInput where a proxy is of no kind that we know."""
        return EcsClient.open(self.ecs, self.keys, heard=heard, server_time=self.server_time, roads=self.roads)

    def open_ec2(self, environ: Mapping[str, str] = os.environ) -> AbstractAsyncContextManager[Ec2Client]:
        """A client of EC2 in the same region; reads a table of the disk. Raises BadInput."""
        # Of the partition of the US government every endpoint of EC2 keeps to FIPS, and the usual name is the only one.
        by_itself = self.ecs.region.startswith("us-gov-") and not self.ecs.dualstack
        at = replace(self.ecs, fips=self.ecs.fips and not by_itself)
        url = configured_endpoint("ec2", environ) or amazon_endpoint(at, "ec2")
        settings = Ec2Settings(url, self.ecs.region, self.ecs.user_agent)
        return Ec2Client.open(settings, self.keys, roads=self.roads, server_time=self.server_time)

    def signer(self) -> UpgradeSigner:
        """Signs what opens WebSockets."""
        return UpgradeSigner(self.keys, self.ecs.region, self.server_time)
