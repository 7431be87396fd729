"""What a container keeps elsewhere, as the wire has it: secrets, environment files, the login for its registry."""

from agent.model.errors import BadInput
from agent.model.parts import EnvironmentFile, Provider, Registry, RegistryAuth, Secret, Target
from agent.wire import acs_parts
from agent.wire.reading import filled, one_of

LOG_DRIVER, CONTAINER = "LOG_DRIVER", "CONTAINER"
VARIABLE, BOOTSTRAP = "ENVIRONMENT_VARIABLE", "BOOTSTRAP"


def secrets(given: list[acs_parts.Secret], path: str) -> tuple[Secret, ...]:
    """The secrets of a container. Raises BadInput where one is wrong, or two fill the same variable or option."""
    found = tuple(_secret(one, f"{path}.secrets[{at}]") for at, one in enumerate(given))
    if len({(one.target, one.name) for one in found}) < len(found):
        raise BadInput(f"{path}.secrets", "two secrets have the same name")
    return found


def _secret(asked: acs_parts.Secret, path: str) -> Secret:
    return Secret(
        name=filled(asked.name, f"{path}.name"),
        value_from=filled(asked.value_from, f"{path}.valueFrom"),
        provider=one_of(asked.provider, Provider, f"{path}.provider"),
        region=asked.region or "",
        target=_target(asked, path),
    )


def _target(asked: acs_parts.Secret, path: str) -> Target:
    """What a secret becomes. One for the log driver may be of either type: its target says all."""
    target, kind = asked.target or CONTAINER, asked.type or VARIABLE
    if target not in (CONTAINER, LOG_DRIVER):
        raise BadInput(f"{path}.target", f"must be {CONTAINER} or {LOG_DRIVER}")
    allowed = (VARIABLE, BOOTSTRAP) if target == LOG_DRIVER else (VARIABLE,)
    if kind not in allowed:
        raise BadInput(f"{path}.type", f"secrets of type {kind!r} for {target}: not supported by this agent yet")
    return Target.LOG_OPTION if target == LOG_DRIVER else Target.ENVIRONMENT


def environment_files(given: list[acs_parts.EnvironmentFile], path: str) -> tuple[EnvironmentFile, ...]:
    """The environment files of a container, in their order. Raises BadInput."""
    return tuple(_file(one, f"{path}.environmentFiles[{at}]") for at, one in enumerate(given))


def _file(asked: acs_parts.EnvironmentFile, path: str) -> EnvironmentFile:
    if asked.type != "s3":
        raise BadInput(f"{path}.type", "must be s3")
    return EnvironmentFile(filled(asked.value, f"{path}.value"))


def registry(asked: acs_parts.RegistryAuthentication | None, path: str) -> RegistryAuth | None:
    """How the image's registry is logged in to; None leaves it to the host's own configuration. Raises BadInput."""
    if asked is None or not asked.type:
        return None
    path = f"{path}.registryAuthentication"
    if one_of(asked.type, Registry, f"{path}.type") is Registry.ECR:
        ecr = asked.ecr_auth_data
        if ecr is None:
            raise BadInput(f"{path}.ecrAuthData", "is missing")
        return RegistryAuth(
            Registry.ECR,
            region=ecr.region or "",
            registry_id=ecr.registry_id or "",
            endpoint=ecr.endpoint_override or "",
            use_execution_role=bool(ecr.use_execution_role),
        )
    asm = asked.asm_auth_data
    if asm is None:
        raise BadInput(f"{path}.asmAuthData", "is missing")
    kept_in = filled(asm.credentials_parameter, f"{path}.asmAuthData.credentialsParameter")
    return RegistryAuth(Registry.ASM, region=asm.region or "", credentials_parameter=kept_in)
