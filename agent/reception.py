"""How containers are served: the endpoints that they ask, and the hands by which these find the answers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Self

from agent.aws.protection_client import ProtectionClient
from agent.aws.tags_client import TagsClient
from agent.docker.portrait_driver import PortraitDriver
from agent.endpoints.audit import Audit
from agent.endpoints.bodies import Place
from agent.endpoints.callers_server import Inquiry
from agent.endpoints.calls import Asked, Desk
from agent.endpoints.credentials_desk import CredentialsDesk
from agent.endpoints.directory import Directory
from agent.endpoints.faults_desk import FaultsDesk
from agent.endpoints.faults_loop import HostFaults
from agent.endpoints.limits import Limiter
from agent.endpoints.looks_client import NOTHING_MEASURED, Looks, Tagger
from agent.endpoints.metadata_desk import MetadataDesk
from agent.endpoints.metadata_file import Here
from agent.endpoints.metadata_files_loop import MetadataFiles
from agent.endpoints.ports import Rates
from agent.endpoints.protection_desk import ProtectionDesk
from agent.endpoints.redirect_loop import RedirectLoop
from agent.endpoints.refusals import Refusals
from agent.endpoints.server import OFF, EndpointServer
from agent.host.audit_driver import AuditFile
from agent.host.callers_driver import CallersDriver
from agent.host.faults import lifelines
from agent.host.faults_driver import FaultsDriver
from agent.host.metadata_file_driver import MetadataFileDriver
from agent.host.redirect_driver import RedirectDriver
from agent.joints import Joints
from agent.model.clock import utc_now
from agent.model.decision import Decision


@dataclass(frozen=True, slots=True)
class Reception:
    """The endpoints for containers, joined."""

    joints: Joints
    portraits: PortraitDriver
    directory: Directory
    refusals: Refusals
    audit_file: AuditFile
    redirect: RedirectLoop
    faults: FaultsDriver
    host_faults: HostFaults
    files: MetadataFiles
    rates: Rates

    @classmethod
    def of(cls, joints: Joints, rates: Rates = NOTHING_MEASURED) -> Self:
        """Those of one agent, which knows the *rates* of its containers if it measures them."""
        directory = Directory(joints.engine, isolated=joints.settings.isolate_tasks)
        audit_file, redirect = AuditFile.of(joints.settings), RedirectLoop(RedirectDriver.of(joints.settings))
        faults = FaultsDriver(lifelines(joints.settings.task_address))
        portraits = PortraitDriver(joints.docker)
        return cls(
            joints,
            portraits,
            directory,
            Refusals(utc_now),
            audit_file,
            redirect,
            faults,
            HostFaults(joints.engine, faults),
            _files(joints, portraits),
            rates,
        )

    def hear(self, decided: Decision) -> None:
        """Something was decided and committed."""
        self.host_faults.hear(decided)
        self.files.hear(decided)

    def open(self, jobs: asyncio.TaskGroup) -> None:
        """Serve from now on."""
        settings = self.joints.settings
        visitors = Inquiry(self.joints.engine, self.portraits, CallersDriver(cgroups=settings.cgroup_path))
        server = EndpointServer(
            settings.task_address, self._desks(), visitors, Limiter(*settings.task_rate_limit), limited=self._limited
        )
        jobs.create_task(server.run(), name="endpoints")
        jobs.create_task(self.files.run(), name="metadata files")
        jobs.create_task(self.audit_file.run(), name="audit log")
        if settings.task_address != OFF:
            jobs.create_task(self.host_faults.run(), name="faults")
        if settings.task_redirect and settings.task_address != OFF:
            jobs.create_task(self.redirect.run(), name="redirect")

    def _desks(self) -> Sequence[Desk]:
        """Who is asked, one after the other, until one knows the path."""
        return (self._credentials(), self._metadata(), self._protection(), self._faults())

    def _credentials(self) -> CredentialsDesk:
        joints = self.joints
        isolated = joints.settings.isolate_tasks
        return CredentialsDesk(joints.engine, joints.vault, self._audit(), self.refusals, utc_now, isolated=isolated)

    def _metadata(self) -> MetadataDesk:
        joints = self.joints
        tagger = Tagger(TagsClient(joints.ecs), lambda: joints.owner().instance_arn)
        return MetadataDesk(
            self.directory,
            Looks(self.portraits),
            tagger,
            self.rates,
            self.refusals,
            self._place,
            measures=not joints.settings.disable_metrics,
        )

    def _protection(self) -> ProtectionDesk:
        joints = self.joints
        asks = ProtectionClient(joints.ecs)
        return ProtectionDesk(
            self.directory, joints.vault, asks, self.refusals, utc_now, lambda: joints.owner().cluster
        )

    def _faults(self) -> FaultsDesk:
        return FaultsDesk(self.directory, self.portraits, self.faults, self.host_faults, self.refusals, monotonic)

    def _place(self) -> Place:
        identity, here = self.joints.owner(), self.joints.instance.place
        if self.joints.settings.disable_task_metadata_az:
            return Place(identity.cluster, vpc_id=here.interface.vpc_id)
        return Place(identity.cluster, identity.availability_zone, here.zone_id, here.interface.vpc_id)

    def _audit(self) -> Audit:
        return Audit(self.audit_file, self.joints.owner, utc_now)

    def _limited(self, asked: Asked) -> None:
        """One asked more often than is allowed."""
        self._audit().limited(asked)


def _files(joints: Joints, portraits: PortraitDriver) -> MetadataFiles:
    """The files of metadata; containers are created with theirs from now on, if they are to have some."""

    async def here() -> Here:
        identity, addresses = joints.owner(), await joints.instance.addresses()
        zone = identity.availability_zone
        known = (addresses.private_ipv4, addresses.public_ipv4, addresses.ipv6)
        return Here(identity.cluster, identity.instance_arn, zone, *known)

    settings = joints.settings
    files = MetadataFiles(
        MetadataFileDriver(settings.data_dir),
        joints.engine,
        portraits,
        here,
        enabled=settings.container_metadata,
        selinux="selinux" in joints.facts.security_options,
    )
    if settings.container_metadata:
        joints.containers.prepare = files.prepare
    return files
