"""A moderator's decision from a room of moderators: on a held post, on a report, on somebody who asks to be let in.

Who decides has proved who they are, and looks after the forum. The same functions act as for an answer by mail.
"""

from __future__ import annotations

from sqlalchemy import Connection

from server import limits
from server.bridge import Accepted, Author, Decide, Proof, Result
from server.desk import Desk, answers, author, entry, flagging, forums
from server.errors import Rejected
from server.i18n import _, language
from server.moderation import entry as entrants
from server.moderation import queue, words
from server.people import membership

ENTRY, REPORT = "J-", "F-"
"""What stands before the number of a membership that waits, and of a report; a held post is H-xxxx."""
_VERBS = (words.APPROVE, words.REJECT, words.BAN)


def decide(tx: Connection, desk: Desk, inbound: Decide) -> Result:
    """Do what is said; the answer tells what is now. Raises Rejected for somebody who may not, or means nothing that there is."""
    by = _judge(tx, inbound.forum, inbound.author)
    if inbound.verb not in _VERBS:
        raise Rejected("5.5.0", _("There is no such decision."))
    name, reason = inbound.name.strip(), inbound.words.strip()[: words.REASON_CHARS]
    number = limits.whole_number(name[2:]) or 0
    if name.upper().startswith(ENTRY):
        return Accepted(reply=_on_entrant(tx, desk, by, number, inbound.verb, reason))
    if name.upper().startswith(REPORT):
        return Accepted(reply=flagging.decided_on(tx, desk, by, number, inbound.verb, reason))
    row = queue.find(tx, name) if name.upper().startswith("H-") else None
    if row is not None and row.forum_id != by.forum.id:
        row = None
    held = answers.Asked(
        by.forum,
        by.address_id,
        by.person_id,
        by.language,
        by_author=False,
        posts=((row.post_id if row is not None else 0, row.name if row is not None else name),),
    )
    return Accepted(reply=answers.decided_on(tx, desk, held, inbound.verb, 0, reason))


def _judge(tx: Connection, slug: str, by: Author) -> answers.Asked:
    """Who decides. Raises Rejected unless they look after the forum and it is surely they."""
    forum = forums.addressed(tx, slug)
    who = author.find(tx, by)
    author.refuse_shut_out(tx, forum, by, who)
    member = membership.of(tx, who.person_id, forum.id) if who is not None else None
    if who is None or by.proof < Proof.SESSION or not membership.moderates(member):
        raise Rejected("5.7.1", _("Only who looks after {forum} decides that.").format(forum=forum.title))
    return answers.Asked(forum, who.address_id, who.person_id, language(), by_author=False, posts=())


def _on_entrant(tx: Connection, desk: Desk, by: answers.Asked, number: int, verb: str, reason: str) -> str:
    member = membership.by_id(tx, number)
    if member is None or member.forum_id != by.forum.id:
        raise Rejected("5.5.0", _("Nobody of that name asks to be let in."))
    if verb == words.BAN:
        raise Rejected("5.5.0", _("Who asks to join is let in (“approve”) or not (“reject”)."))
    waiting = entrants.of(tx, by.forum.id, member.person_id)
    return entry.decided_on(tx, desk, entry.Asked(by, member.person_id, waiting), verb, reason)
