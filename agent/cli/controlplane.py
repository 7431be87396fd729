"""``dockworker controlplane``: the ECS API on this machine, for any client and any agent."""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from agent.cli import logs
from agent.cli.listen import Address, parse_address
from agent.cli.signals import stop_on_signals
from agent.config.load import BadSettings, load
from agent.controlplane import service_loop
from agent.controlplane.auth import REGION
from agent.controlplane.keys_driver import (
    KEYS_FILE,
    KeyFileUnreadable,
    KeyPair,
    env_file_text,
    load_or_make,
    mint_agent_key,
)
from agent.controlplane.roles import ROLE_SOURCE, RoleSource
from agent.controlplane.settings import PlaneAddress, PlaneSettings
from agent.model.errors import NOT_WORTH_A_RESTART, WORTH_A_RESTART

log = structlog.get_logger(__name__)

DEFAULT_LISTEN = "127.0.0.1:51690"
DEFAULT_REGION = "us-east-1"
DEFAULT_ACCOUNT = "123456789012"
OWNER_ONLY = 0o600
AGENT_KEY = "agent-key"

E = TypeVar("E", bound=BaseException)


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop, or make a key pair for an agent; gives the exit code."""
    if arguments[:1] == [AGENT_KEY]:
        return _agent_key(arguments[1:])
    given = _parser().parse_args(arguments)
    names = ("ECS_LOGLEVEL", "DOCKWORKER_LOG_FORMAT")
    try:
        settings = load({name: os.environ[name] for name in names if name in os.environ})
    except BadSettings as bad:
        sys.stderr.write(f"dockworker: {bad}\n")
        return NOT_WORTH_A_RESTART
    logs.configure(settings.log_level, settings.log_format)
    try:
        given.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        log.error("control_plane_cannot_run", error=str(error))  # noqa: TRY400 - the text says it all
        return WORTH_A_RESTART
    place: Address = given.listen
    return asyncio.run(
        serve(
            PlaneSettings(
                given.data,
                place.host,
                place.port,
                given.region,
                given.account,
                not given.no_auth,
                given.role_credentials,
            )
        )
    )


async def serve(settings: PlaneSettings) -> int:
    """The control plane with signal handlers around it; gives the exit code."""
    told_to_stop = asyncio.Event()

    data_dir, region = settings.data_dir, settings.region

    async def ready(at: PlaneAddress) -> None:
        print(f"The ECS API answers at {at.url} (region {region}).", flush=True)
        if settings.auth:
            await asyncio.to_thread(write_env_files, data_dir, region, at.url)
            print(f"Clients: source {data_dir / 'operator.env'}; agents: {data_dir / 'agent.env'}.", flush=True)

    code = 0
    try:
        with stop_on_signals(told_to_stop):
            await service_loop.serve(settings, ready=ready, told_to_stop=told_to_stop)
    except* OSError as errors:
        for error in _each(errors):
            where = {"listen": str(Address(settings.listen_host, settings.listen_port)), "data": str(data_dir)}
            log.error("control_plane_cannot_run", error=str(error), **where)  # noqa: TRY400 - the text says it all
        code = WORTH_A_RESTART
    except* KeyFileUnreadable as unreadable:
        for fault in _each(unreadable):
            log.error("control_plane_cannot_run", error=str(fault))  # noqa: TRY400 - the text says it all
        code = NOT_WORTH_A_RESTART
    except* Exception:
        log.exception("control_plane_broke")
        code = WORTH_A_RESTART
    return code


def _each(errors: BaseExceptionGroup[E]) -> Iterator[E]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _each(error)
        else:
            yield error


def write_env_files(data_dir: Path, region: str, endpoint: str) -> None:
    """Write what a shell sources to be the operator, and what it sources to start an agent. Mode 0600."""
    pairs = load_or_make(data_dir)
    agent = _agent_text(pairs.agent, region, endpoint)
    for name, text in (("operator.env", env_file_text(pairs.operator, region, endpoint)), ("agent.env", agent)):
        descriptor = os.open(data_dir / name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, OWNER_ONLY)
        os.fchmod(descriptor, OWNER_ONLY)  # it may have been there before, open to others
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _agent_key(arguments: Sequence[str]) -> int:
    """Make a key pair for one agent more, and print what its environment needs: the one place that shows the secret."""
    parser = argparse.ArgumentParser(
        prog=f"dockworker controlplane {AGENT_KEY}",
        description="Make a key pair for one agent more. It may speak for the instance that it registers, for no"
        " other. Prints what the agent's shell sources; a control plane that runs takes the key pair at once.",
    )
    _add_place(parser)
    given = parser.parse_args(arguments)
    if not (given.data / KEYS_FILE).exists():
        sys.stderr.write(f"dockworker: {given.data} is no control plane's directory: {KEYS_FILE} is not there\n")
        return NOT_WORTH_A_RESTART
    try:
        pair = mint_agent_key(given.data)
    except OSError as error:
        sys.stderr.write(f"dockworker: the key pair cannot be kept: {error}\n")
        return WORTH_A_RESTART
    sys.stdout.write(_agent_text(pair, given.region, f"http://{given.listen}"))
    return 0


def _agent_text(pair: KeyPair, region: str, endpoint: str) -> str:
    return env_file_text(pair, region, endpoint) + f"export ECS_BACKEND_HOST={endpoint}\n"


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", metavar="HOST:PORT", type=_address, default=DEFAULT_LISTEN, help="%(default)s")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="where everything is kept")
    parser.add_argument(
        "--region", type=_region, default=DEFAULT_REGION, help="the region of unsigned requests (%(default)s)"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dockworker controlplane",
        description=f"Serve the ECS API until told to stop. With {AGENT_KEY}: make a key pair for one agent more.",
    )
    _add_place(parser)
    parser.add_argument("--account", type=_account, default=DEFAULT_ACCOUNT, help="the account id (%(default)s)")
    parser.add_argument("--no-auth", action="store_true", help="let everyone who can connect do everything")
    parser.add_argument(
        "--role-credentials",
        metavar="|".join(RoleSource),
        type=_source,
        default=os.environ.get(ROLE_SOURCE) or RoleSource.LOCAL.value,
        help="what tasks get for their roles: keys that this control plane alone takes, the keys of this host, or those"
        f" that STS gives for the role (%(default)s; or {ROLE_SOURCE})",
    )
    return parser


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _region(text: str) -> str:
    if not REGION.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} must be 1 to 32 small letters, digits and -, such as {DEFAULT_REGION}"
        )
    return text


def _source(text: str) -> RoleSource:
    try:
        return RoleSource(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} must be one of {', '.join(RoleSource)}") from error


def _account(text: str) -> str:
    if len(text) != len(DEFAULT_ACCOUNT) or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be twelve digits, such as {DEFAULT_ACCOUNT}")
    return text
