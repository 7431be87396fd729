"""JSON text into typed values, with errors that name the field.

Whatever a foreign text does wrong (no JSON, no UTF-8, nested too deeply, a wrong type) is one thing to the caller:
BadInput. Its text holds names and types and never a value, because the values may be secrets.
"""

import re
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from agent.model.errors import BadInput

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_WHERE = re.compile(r"(?P<rule>.*) - at (?:`key` in )?`\$\.?(?P<path>.*)`", re.DOTALL)


class Shape(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What all structures of the protocol have in common: camelCase, and no field that must be there.

    ``null`` equals absent, and absent fields are left out on the way out; ``false``, ``0`` and ``""`` are kept.
    """


def read(text: bytes | str | msgspec.Raw, shape: type[T], path: str = "") -> T:
    """Read *text* as a *shape*. *path* says where the text stood, and leads the path of the error.

    Raises BadInput.
    """
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        found = _WHERE.fullmatch(str(error))
        rule, inner = (found["rule"], found["path"]) if found else (str(error), "")
        raise BadInput(join(path, inner), rule[:1].lower() + rule[1:]) from None
    except UnicodeDecodeError:
        raise BadInput(path, "is not UTF-8") from None
    except (msgspec.DecodeError, UnicodeError):
        raise BadInput(path, "is not JSON") from None
    except RecursionError:
        raise BadInput(path, "is nested too deeply") from None


def read_document(text: str | None, path: str) -> dict[str, Any]:
    """Read a JSON object that travels inside a string. Nothing, empty text and ``null`` are an empty one.

    Raises BadInput.
    """
    if not text:
        return {}
    document = read(text, object, path)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadInput(path, "must hold a JSON object")
    return document


def member(document: dict[str, Any], name: str) -> object:
    """The member called *name* in whatever case, as Docker's own structs are read; the last of several counts."""
    return next((value for key, value in reversed(document.items()) if key.lower() == name.lower()), None)


def one_of(word: str | None, words: type[E], path: str) -> E:
    """*word* as one of *words*. Raises BadInput with all of them."""
    known = list(words)
    for one in known:
        if one.value == word:
            return one
    raise BadInput(path, f"must be {' or '.join(one.value for one in known)}")


def filled(text: str | None, path: str) -> str:
    """*text* where there is any. Raises BadInput."""
    if not text:
        raise BadInput(path, "must not be empty")
    return text


def join(path: str, inner: str) -> str:
    """Path *inner* as it is called from where *path* starts."""
    return path + inner if inner.startswith("[") or not path or not inner else f"{path}.{inner}"
