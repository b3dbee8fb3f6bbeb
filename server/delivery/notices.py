"""The texts that the server itself writes to people: one place, through i18n, no channel. Pure.

A notice may carry a secret (a link, an answer that acts): the token is made when the notice is said, never stored (`items`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server import clock
from server.i18n import _


@dataclass(frozen=True, slots=True)
class Template:
    """`grants`: the kind of token that it carries, if any; `answer`: the verb of an answer to it; `link`: a path for the token."""

    grants: str | None = None
    answer: str | None = None
    link: str | None = None
    valid_ms: int = 3 * clock.DAY


TEMPLATES: Mapping[str, Template] = {
    "sign-in": Template(grants="sign-in", link="/sign-in/{token}", valid_ms=clock.HOUR),
    "confirm-join": Template(grants="confirm", answer="confirm"),
    "confirm-leave": Template(grants="confirm", answer="confirm"),
    "confirm-post": Template(grants="confirm", answer="confirm", valid_ms=14 * clock.DAY),
    "invite": Template(grants="confirm", answer="confirm", valid_ms=14 * clock.DAY),
    "welcome": Template(),
    "left": Template(),
    "help": Template(),
    "letter-sent": Template(),
    "post-approved": Template(),
    "post-rejected": Template(),
    "fuse": Template(),
}


def compose(template: str, facts: Mapping[str, str]) -> tuple[str, str]:
    """(subject, text) in the reader's language. `facts`: forum, address, url, link, name, subject, reason, whichever it names."""
    subject, text = _words(template)
    filled = _Forgiving(facts)
    return subject.format_map(filled), "\n".join(line.rstrip() for line in text.format_map(filled).splitlines()) + "\n"


class _Forgiving(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def _words(template: str) -> tuple[str, str]:
    match template:
        case "sign-in":
            return _("Your sign-in link"), _(
                "Open this link to sign in. It works once, for one hour:\n\n{link}\n\n"
                "If you did not ask for it, you can ignore this mail: nothing happens.\n"
            )
        case "confirm-join":
            return _("Please confirm: join {forum}"), _(
                "Somebody, probably you, asked that {forum} be sent to this address.\n\n"
                "To join, answer this mail; nothing need be written. If it was not you, ignore it: nothing happens.\n\n"
                "What it is about: {url}\n"
            )
        case "confirm-leave":
            return _("Please confirm: leave {forum}"), _(
                "Somebody, probably you, asked that {forum} be sent to this address no longer.\n\n"
                "To leave, answer this mail; nothing need be written. If it was not you, ignore it: nothing changes.\n"
            )
        case "confirm-post":
            return _("Please confirm your message to {forum}"), _(
                "Thank you for writing to {forum}. Your message “{subject}” waits, because this address is not a member's yet.\n\n"
                "To publish it and join, answer this mail; nothing need be written. Answers will then come to you by mail, "
                "and each carries a link to leave.\n\n"
                "If you did not write to {forum}, ignore this mail: the message stays unpublished.\n\n{url}\n"
            )
        case "invite":
            return _("You are invited to {forum}"), _(
                "{name} invites you to {forum}.\n\n"
                "To join, answer this mail; nothing need be written. If you do not want to, ignore it.\n\n{url}\n"
            )
        case "welcome":
            return _("Welcome to {forum}"), _(
                "You are a member of {forum} now.\n\n"
                "To write, send a mail to {address}; to answer, answer any mail of the forum. Everything can also be read and "
                "answered at {url}. Other members see your address only on mails that you send.\n\n"
                "To leave, write to {leave}, or use the link in any mail of the forum.\n"
            )
        case "left":
            return _("You left {forum}"), _(
                "{forum} is not sent to this address any more. If you want to come back, write to {join}.\n"
            )
        case "help":
            return _("How {forum} works by mail"), _(
                "{forum}: {url}\n\n"
                "  write to everybody:     {address}\n"
                "  join:                   {join}\n"
                "  leave:                  {leave}\n"
                "  its owners (people):    {owner}\n\n"
                "To answer somebody, just answer their mail. Every mail of the forum has links to its page and to leave.\n"
            )
        case "letter-sent":
            return _("Sent to {name} only: {subject}"), _(
                "Your message went to {name} only, not to {forum}. They can answer you without seeing your address.\n"
            )
        case "post-approved":
            return _("Published in {forum}: {subject}"), _("Your message is published: {link}\n")
        case "post-rejected":
            return _("Not published in {forum}: {subject}"), _(
                "A moderator decided not to publish your message in {forum}.\n\n{reason}\n"
            )
        case "fuse":
            return _("Held: the queue of {forum}"), _(
                "So many posts came in so short a time that this may be a loop between two machines: {reason}\n\n"
                "Nothing is lost: posts are stored, and their mails wait. Look with `junto queue list`; "
                "let them go with `junto queue release`.\n"
            )
    raise KeyError(template)
