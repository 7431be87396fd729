"""How a file of environment variables is read (task engine, environment files)."""


def variables(text: str) -> dict[str, str]:
    """The variables of one file. Nothing is trimmed or unquoted; of two lines with one name the later counts.

    A line that starts with ``#``, has no ``=``, or has nothing before it, says nothing.
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, equals, value = line.removesuffix("\r").partition("=")
        if equals and name and not line.startswith("#"):
            found[name] = value
    return found
