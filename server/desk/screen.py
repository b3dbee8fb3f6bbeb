"""What a forum keeps out or holds back whoever wrote it: limits, spam, a first post, an emergency. Pure; after `policy`.

`policy` says who may post; this only makes its answer stricter. A moderator who proved who they are passes what holds back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from server.bridge import Proof, Spam
from server.desk.policy import Decision, Hold, Publish, Refuse
from server.desk.prepare import StoredFile
from server.i18n import _


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a post beside who wrote it. `first`: its author has nothing published in the forum yet."""

    title: str
    recipients: int = 0
    max_recipients: int = 0
    refused_file: str | None = None
    spam: Spam = Spam.NO
    hold_all: bool = False
    hold_first: bool = False
    first: bool = False
    moderator: bool = False
    handed_on: bool = False


def passes(role_moderates: bool, proof: Proof) -> bool:
    """Whether nothing is held back: in a flood of forged mail the name of a moderator is the first that is forged."""
    return role_moderates and proof >= Proof.AUTHENTICATED


def screen(decision: Decision, seen: Seen) -> Decision:
    """The decision, or a stricter one."""
    if isinstance(decision, Refuse):
        return decision
    if reason := _refuses(seen):
        return Refuse("5.7.1", reason)
    if isinstance(decision, Publish) and seen.handed_on:  # a moderator's letter is their own affair too
        return Hold(_("it does not name {forum} in To or Cc").format(forum=seen.title), kind="handed-on", doubtful=True)
    if seen.moderator or (isinstance(decision, Hold) and not decision.confirm):
        return decision
    if seen.hold_all:
        return Hold(_("every post to this forum waits for a moderator at the moment"), kind="emergency")
    if seen.spam is Spam.SUSPECT:
        return Hold(_("a filter takes it for unwanted mail"), kind="spam")
    if isinstance(decision, Publish) and seen.hold_first and seen.first:
        return Hold(_("the first post of an author here waits for a moderator"), kind="first", join=decision.join)
    return decision


def holds_confirmed(forum: Row[Any], has_posted: bool, may_post: bool = True) -> Hold | None:
    """Why the post of somebody who has just confirmed still waits, now for a moderator; None: it does not."""
    if not may_post:
        return Hold(_("posts of this member wait for a moderator"), kind="member")
    seen = Seen(forum.title, hold_all=forum.hold_all, hold_first=forum.first_post == "hold", first=not has_posted)
    decision = screen(Publish(), seen)
    return decision if isinstance(decision, Hold) else None


def _refuses(seen: Seen) -> str | None:
    if seen.spam is Spam.CERTAIN:
        return _("A filter takes this for unwanted mail, so {forum} does not take it.").format(forum=seen.title)
    if 0 < seen.max_recipients < seen.recipients:
        return _(
            "This went to {count} addresses at once; {forum} takes mail that names {most} at most. Please send it to the forum alone."
        ).format(count=seen.recipients, forum=seen.title, most=seen.max_recipients)
    if seen.refused_file is not None:
        return _("{forum} takes no files such as “{file}”. Please send it without, or put a link in its place.").format(
            forum=seen.title, file=seen.refused_file
        )
    return None


def refused_file(refused_types: str, files: Sequence[tuple[str, StoredFile]]) -> str | None:
    """The name of the first file that a forum refuses: `refused_types` has media types ("image/*" too) and endings, by spaces.

    Each file comes with the media type that its sender gave it; what its bytes look like (`StoredFile.media_type`) counts too.
    """
    words = refused_types.lower().split()
    types = {word for word in words if "/" in word}
    endings = tuple("." + word.lstrip("*").lstrip(".") for word in words if "/" not in word)
    for declared, file in files:
        kinds = {declared.lower(), file.media_type.lower()}
        families = {kind.partition("/")[0] + "/*" for kind in kinds}
        if types & (kinds | families) or file.filename.lower().rstrip(". ").endswith(endings or ("\0",)):
            return file.filename
    return None
