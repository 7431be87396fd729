"""How a control plane is asked to be, and where it came to be."""

from dataclasses import dataclass
from pathlib import Path

from agent.controlplane.roles import RoleSource


@dataclass(frozen=True, slots=True)
class PlaneSettings:
    """`listen_port` 0 takes any free port. `region` serves unsigned requests; a signed one brings its own."""

    data_dir: Path
    listen_host: str = "127.0.0.1"
    listen_port: int = 51690
    region: str = "us-east-1"
    account: str = "123456789012"
    auth: bool = True
    role_credentials: RoleSource = RoleSource.LOCAL


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds between what is sent on an agent's session; how long it, or any connection, may be silent; its life."""

    heartbeat: float = 25.0
    resend: float = 10.0
    silence: float = 75.0
    life: float = 3600.0


@dataclass(frozen=True, slots=True)
class PlaneAddress:
    """Where a control plane listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The endpoint URL for clients and agents."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"
