"""The commands that people type: typer reads them, and lists the services that read their own arguments."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from agent.cli import dev as dev_command
from agent.cli import explain as explain_command
from agent.cli import leave as leave_command
from agent.cli.dev_options import Options, Purpose
from agent.cli.listen import parse_address
from agent.controlplane.roles import ROLE_SOURCE, RoleSource

app = typer.Typer(
    name="dockworker",
    help="Amazon ECS on your own machine: an agent for any ECS, and an ECS control plane to go with it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they would print the values of variables, keys among them
)
REST = {"allow_extra_args": True, "ignore_unknown_options": True}


def main(arguments: Sequence[str]) -> int:
    """Run the command that *arguments* name; gives the exit code."""
    try:
        app(args=list(arguments), prog_name="dockworker")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dockworker {metadata.version('dockworker')}")
        raise typer.Exit


@app.callback()
def _dockworker(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which one.")
    ] = False,
) -> None:
    pass


@app.command(context_settings=REST)
def run() -> None:
    """Run the agent, as a service does. See: dockworker run --help."""


@app.command(context_settings=REST)
def config() -> None:
    """Check the agent's settings, or show them. See: dockworker config --help."""


@app.command(context_settings=REST)
def controlplane() -> None:
    """Serve the ECS API on this machine. See: dockworker controlplane --help."""


@app.command()
def dev(  # noqa: PLR0913, PLR0917  # one for each option
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is kept.")] = Path(".dockworker"),
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the ECS API is.")] = "127.0.0.1:51690",
    region: Annotated[str, typer.Option(help="The region it says it is in.")] = "us-east-1",
    account: Annotated[str, typer.Option(help="The account id.")] = "123456789012",
    sample: Annotated[bool, typer.Option("--sample", help="Run a sample task.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Run a sample task to its end, show its log, clean up.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the tasks that were left running.")] = False,
    roles: Annotated[
        RoleSource,
        typer.Option(
            "--role-credentials",
            envvar=ROLE_SOURCE,
            help="What tasks get for their roles: keys of our own, the keys of this host, or what STS gives.",
        ),
    ] = RoleSource.LOCAL,
    stop_line: Annotated[str, typer.Option(hidden=True, help="The line that stops the tasks, if not --stop.")] = "",
) -> None:
    """Run the agent and the control plane in one process, with nothing to set up. Stays until Ctrl-C."""
    if sum((sample, demo, stop)) > 1:
        raise typer.BadParameter("only one of --sample, --demo and --stop makes sense")
    try:
        address = parse_address(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from error
    purpose = Purpose.SAMPLE if sample else Purpose.DEMO if demo else Purpose.STOP if stop else Purpose.STAY
    code = dev_command.main(Options(data, address, region, account, purpose, stop_line, roles))
    raise typer.Exit(code)


@app.command()
def explain(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's ARN, its id, or the beginning of that.")],
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="The agent's data directory.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the agent's answer as it is.")] = False,
) -> None:
    """Say what a task on this machine waits for, or why it ended: whole errors, exit codes, times."""
    raise typer.Exit(explain_command.main(task, data_dir, as_json=as_json))


@app.command(context_settings=REST)
def stop() -> None:
    """Stop a task on this machine, past ECS. See: dockworker stop --help."""


@app.command(context_settings=REST)
def takeover() -> None:
    """Take over the tasks of another ECS agent on this machine. See: dockworker takeover --help."""


@app.command(context_settings=REST)
def doctor() -> None:
    """Look at this machine, and say what is in the way of an agent. See: dockworker doctor --help."""


@app.command(context_settings=REST)
def redirect() -> None:
    """Make, check or remove the firewall rules for containers. See: dockworker redirect --help."""


@app.command()
def leave(
    force: Annotated[bool, typer.Option("--force", help="End the tasks that live here.")] = False,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The agent's settings in TOML.")] = None,
) -> None:
    """Leave the cluster for good: deregister this machine and clear it. The agent must not be running."""
    raise typer.Exit(leave_command.main(config, force=force))
