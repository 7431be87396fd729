"""Whether cloud-init has found out what this machine is. Where it has not, what user data asks for was not done."""

from pathlib import Path

import msgspec

RESULT = Path("/var/lib/cloud/data/result.json")
NO_DATASOURCE = "DataSourceNone"


class _Boot(msgspec.Struct):
    datasource: str = ""


class _Result(msgspec.Struct):
    v1: _Boot


def found_no_datasource(path: Path = RESULT) -> bool:
    """Has cloud-init ended without anything to configure the machine by? What cannot be read says no. Blocks."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Result).v1.datasource == NO_DATASOURCE
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # there is no cloud-init, or another one
        return False
