"""What the fields say of a message that a filter in front of us added to it (SpamAssassin, rspamd, amavis). Pure."""

from __future__ import annotations

from bridges.email.fields import Fields
from server.bridge import Spam

_MARKS = ("x-spam-flag", "x-spam-status", "x-spam")
_SUSPECT_ACTIONS = ("reject", "add header", "rewrite subject", "quarantine")


def marked(header: Fields) -> Spam:
    """What the header says. Of each field the topmost counts, for whoever took the message last writes above the others.

    Anybody can write these fields. So "yes" holds a message and never refuses it, which its sender can only do to themselves; "no" says
    nothing at all.
    """
    for name in _MARKS:
        if header.first(name).lower().startswith((b"yes", b"true")):
            return Spam.SUSPECT
    action = header.first("x-rspamd-action").decode("ascii", "replace").strip().lower()
    return Spam.SUSPECT if action in _SUSPECT_ACTIONS else Spam.NO
