"""What those who look after a forum are shown where they meet, in the port's words: what waits for them, or what became of it. Read-only.

Addresses are hidden: a room of moderators is on many servers. A mail to each of them names who wrote.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from server import bridge
from server.archive.masking import Mask
from server.content.excerpts import first_words
from server.delivery import flagged
from server.desk import Desk, announce, forums, judge, posts
from server.i18n import _
from server.moderation import audit, flags, queue
from server.moderation import entry as entrants
from server.people import identity, membership
from server.store.schema import attachments

TEXT_CHARS = 4_000
_FILES = select(attachments.c.filename).order_by(attachments.c.position)


def item(tx: Connection, desk: Desk, kind: str, item_id: int, channel: str) -> bridge.QueueItem | None:
    """The thing as it is now; None if there is nothing to show."""
    if kind == announce.POST:
        return _post(tx, desk, item_id)
    if kind == announce.ENTRY:
        return _entrant(tx, desk, item_id, channel)
    return _report(tx, desk, item_id)


def _post(tx: Connection, desk: Desk, post_id: int) -> bridge.QueueItem | None:
    post, waiting = posts.get(tx, post_id), queue.entry(tx, post_id)
    forum = forums.view(forums.by_id(tx, post.forum_id), desk.base_url)
    if waiting is None:
        done = queue.decision(tx, post_id)
        return _over(tx, forum, done.name, "post") if done is not None else None
    mask = Mask(forum.slug, forum.mail_domain)
    text = mask.text(posts.body(tx, post_id).fresh_text.strip()[:TEXT_CHARS])
    files = list(tx.scalars(_FILES.where(attachments.c.post_id == post_id)))
    if files:
        text += "\n\n" + _("Files: {names}").format(names=", ".join(files))
    name = post.author_name or _("somebody")
    return bridge.QueueItem(forum, waiting.name, "post", name, mask.text(post.subject), text.strip(), waiting.reason)


def _over(tx: Connection, forum: bridge.Forum, name: str, kind: str) -> bridge.QueueItem:
    """Who decided on a held post, and what."""
    done = audit.latest(tx, forum.id, name, ("approve", "reject", "cancel"))
    who = _who(tx, done.actor) if done is not None else ""
    if done is None or done.verb == "cancel":
        said = _("Taken back by its author.")
    elif done.verb == "approve":
        said = _("Published by {who} as {post}.").format(who=who, post=done.detail)
    else:
        said = _("Rejected by {who}.").format(who=who)
    return bridge.QueueItem(forum, name, kind, "", "", "", "", decided=said)


def _entrant(tx: Connection, desk: Desk, membership_id: int, channel: str) -> bridge.QueueItem | None:
    member = membership.by_id(tx, membership_id)
    if member is None:
        return None
    forum = forums.view(forums.by_id(tx, member.forum_id), desk.base_url)
    name, row = f"{judge.ENTRY}{membership_id}", entrants.of(tx, member.forum_id, member.person_id)
    if row is None:
        done = audit.latest(tx, forum.id, f"person:{member.person_id}", ("admit", "turn away"))
        who = _who(tx, done.actor) if done is not None else ""
        said = _("Let in by {who}.") if member.state == "active" else _("Not let in, by {who}.")
        return bridge.QueueItem(forum, name, "entry", "", "", "", "", decided=said.format(who=who or _("somebody")))
    known = f"{row.name} ({row.address})" if row.name and row.channel == channel else row.name
    called = known or (row.address if row.channel == channel else _("somebody without a name"))
    words = Mask(forum.slug, forum.mail_domain).text(row.words)
    return bridge.QueueItem(forum, name, "entry", called, "", words, _("asks to join"))


def _report(tx: Connection, desk: Desk, flag_id: int) -> bridge.QueueItem | None:
    row = flags.find(tx, flag_id)
    if row is None:
        return None
    post = posts.get(tx, row.post_id)
    forum = forums.view(forums.by_id(tx, row.forum_id), desk.base_url)
    name, url = f"{judge.REPORT}{flag_id}", f"{forum.url}/{post.seq}"
    if row.state != flags.OPEN:
        ended = _("The post stays: {who}.") if row.state == flags.DISMISSED else _("The post is taken back: {who}.")
        if row.decided_by == "server":
            ended = _("The post is gone.")
        who = _who(tx, row.decided_by)
        return bridge.QueueItem(forum, name, "report", "", "", "", "", url, ended.format(who=who))
    mask = Mask(forum.slug, forum.mail_domain)
    author, said = flagged.meant(tx, row.post_id, row.part)
    text = mask.text(said.strip()[:TEXT_CHARS])
    why = mask.text(first_words(row.reason, 300)) or _("no reason was given")
    by = _("reported by {name}: {why}").format(name=identity.person(tx, row.person_id).name or _("somebody"), why=why)
    return bridge.QueueItem(forum, name, "report", author, mask.text(post.subject), text, by, url)


def _who(tx: Connection, actor: str) -> str:
    kind, _colon, number = actor.partition(":")
    if kind != "person":
        return _("the operator")
    return str(identity.person(tx, int(number)).name) or _("a moderator")
