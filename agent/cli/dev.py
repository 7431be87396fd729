"""``dockworker dev``: the control plane and the agent in one process, and perhaps a sample task to look at."""

import asyncio
import os
from collections.abc import Mapping

from agent.cli import logs
from agent.cli.dev_loop import Dev, told
from agent.cli.dev_options import Options, Purpose
from agent.cli.dev_place import Place, Taken
from agent.cli.engine_driver import NoEngine
from agent.cli.plane_client import ApiError
from agent.cli.screen import Screen
from agent.cli.walk import WentWrong
from agent.config.load import BadSettings, load
from agent.config.settings import Settings
from agent.controlplane.keys_driver import KeyFileUnreadable
from agent.controlplane.mint_driver import chain_as_it_is
from agent.controlplane.roles import ROLE_SOURCE, CannotMint, RoleSource

FAILED = 1


def main(options: Options) -> int:
    """Do what `dev` was started for; gives the exit code."""
    screen = Screen()
    place = Place(options.data.absolute(), options.listen, options.region, options.account)
    try:
        with place.alone():
            settings = settings_for(place, os.environ)
            place.prepare()
            find_keys = None if options.roles is RoleSource.LOCAL else chain_as_it_is()
            os.environ.update(place.agent_variables())
            for name in place.UNWANTED:
                os.environ.pop(name, None)
            with place.log_file() as log_file:
                logs.configure(settings.log_level, "json", log_file)
                return asyncio.run(Dev(options, place, settings, screen, find_keys).run())
    except Taken as taken:
        screen.say(str(taken), "red")
        if options.purpose is Purpose.STOP:
            screen.say("End it with Ctrl-C first; its tasks run on until this command is given again.")
    except BadSettings as bad:
        screen.say("These settings of the environment cannot be used:", "red")
        for complaint in bad.complaints:
            screen.say(f"  {complaint}")
    except NoEngine as error:
        if options.purpose is Purpose.STOP:
            screen.say("No Docker Engine answers, so no task runs.")
            return 0
        screen.say(f"That did not work: {error}", "red")
    except (KeyFileUnreadable, CannotMint) as error:
        screen.say(f"That did not work: {error}", "red")
    except (WentWrong, ApiError, OSError, TimeoutError) as error:
        screen.say(f"That did not work: {told(error)}", "red")
        screen.say(f"What the agent and the control plane have to say about it: {place.log}")
    return FAILED


def settings_for(place: Place, environ: Mapping[str, str]) -> Settings:
    """The agent's settings: what *environ* says, but at this control plane, with this data. Raises BadSettings."""
    ours = {
        "ECS_CLUSTER": "",
        "ECS_BACKEND_HOST": place.endpoint,
        "ECS_DATADIR": str(place.data / "agent"),
        "AWS_DEFAULT_REGION": place.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached",
        "DOCKWORKER_SHARE_HOST": "true",
    }
    usual = {
        "DOCKWORKER_REREGISTER_WHEN_INACTIVE": "true",
        "DOCKWORKER_HEALTH_ADDRESS": "off",
        "DOCKWORKER_TASK_ADDRESS": f"127.0.0.1:{place.listen.port + 1}",  # another than an installed agent's
        "ECS_AUDIT_LOGFILE": str((place.data / "agent" / "audit.log").absolute()),
    }
    told = {name: value for name, value in environ.items() if name != ROLE_SOURCE}
    return load({**usual, **told, **ours})
