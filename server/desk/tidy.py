"""What every inbound thing must be before the desk looks at it, whatever the bridge let through: text that both databases hold, names
of a length that an index holds. Pure.

PostgreSQL's text takes no NUL, UTF-8 no lone surrogate, and a B-tree entry is at most a third of a page.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from server import limits
from server.bridge import Ref

T = TypeVar("T")


def text(value: str) -> str:
    """The text without NUL and lone surrogates."""
    if value.isascii():
        return value.replace("\0", "")
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def ref(name: Ref) -> Ref:
    """The name; one that is too long to be indexed is named by its hash, so that it is still the same name each time."""
    plain = text(name.name)
    if len(plain.encode()) > limits.MESSAGE_ID_CHARS:
        plain = "sha256:" + hashlib.sha256(plain.encode()).hexdigest()
    return Ref(name.space, plain, name.part)


def inbound(thing: T) -> T:
    """The thing with all its texts and names tidied."""
    return _tidied(thing)


def _tidied(value: T) -> T:
    changed: Any = value
    if isinstance(value, str):
        changed = text(value)
    elif isinstance(value, Ref):
        changed = ref(value)
    elif isinstance(value, tuple):
        changed = tuple(_tidied(each) for each in value)
    elif is_dataclass(value) and not isinstance(value, type):
        changed = replace(value, **{each.name: _tidied(getattr(value, each.name)) for each in fields(value)})
    return changed  # type: ignore[no-any-return]
