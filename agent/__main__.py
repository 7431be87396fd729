"""The door: finds out which command is meant before it imports anything that only another command needs."""

import sys
from collections.abc import Sequence

from agent.cli.lean import without_rich

INTERRUPTED = 130


def main() -> None:
    """Entry point of the ``dockworker`` command."""
    try:
        sys.exit(run_command(sys.argv[1:]))
    except KeyboardInterrupt:  # before a command listens to signals, or after
        sys.exit(INTERRUPTED)


def run_command(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit code. Services start lean, and so does what is in a hurry."""
    match arguments:
        case ["run", *rest]:
            with without_rich():
                from agent.cli import run  # noqa: PLC0415 - each command imports its own world
            return run.main(rest)
        case ["config", *rest]:
            from agent.cli import config_command  # noqa: PLC0415 - likewise

            return config_command.main(rest)
        case ["controlplane", *rest]:
            with without_rich():
                from agent.cli import controlplane  # noqa: PLC0415 - likewise
            return controlplane.main(rest)
        case ["takeover", *rest]:
            with without_rich():
                from agent.cli import takeover  # noqa: PLC0415 - likewise
            return takeover.main(rest)
        case ["doctor", *rest]:
            with without_rich():
                from agent.cli import doctor  # noqa: PLC0415 - likewise
            return doctor.main(rest)
        case ["redirect", *rest]:
            with without_rich():
                from agent.cli import redirect  # noqa: PLC0415 - likewise
            return redirect.main(rest)
        case ["stop", *rest]:
            with without_rich():
                from agent.cli import stop  # noqa: PLC0415 - likewise
            return stop.main(rest)
        case _:
            from agent.cli import app  # noqa: PLC0415 - likewise

            return app.main(arguments)


if __name__ == "__main__":
    main()
