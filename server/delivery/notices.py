"""The texts that the server itself writes to people: one place, through i18n, no channel. Pure.

A notice may carry a secret (a link, an answer that acts): the token is made when the notice is said, never stored (`items`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server import clock
from server.delivery import chat_notices
from server.i18n import _


def N_(message: str) -> str:
    """Marks a text for translators; `compose` translates it, when the reader is known."""
    return message


@dataclass(frozen=True, slots=True)
class Template:
    """`grants`: the kind of token that it carries, if any; `answer`: what an answer to it is, with that token; `link`: a path for it."""

    subject: str
    text: str
    grants: str | None = None
    answer: str | None = None
    link: str | None = None
    valid_ms: int = 3 * clock.DAY


def _to_confirm(subject: str, text: str, days: int = 3) -> Template:
    """An answer, or a button, says yes."""
    return Template(subject, text, "confirm", "confirm", "/confirm/{token}", days * clock.DAY)


def _to_decide(subject: str, text: str, link: str | None = "/mod/{token}") -> Template:
    """An answer's first words, or buttons, decide on posts that wait."""
    return Template(subject, text, "mod", "mod", link, 30 * clock.DAY)


_ASKED: Mapping[str, Template] = {
    "sign-in": Template(
        N_("Your sign-in link for {place}"),
        N_(
            "Open this link to sign in. It works once, for one hour:\n\n{link}\n\n"
            "If you did not ask for it, you can ignore this mail: nothing happens.\n"
        ),
        grants="sign-in",
        link="/sign-in/{token}",
        valid_ms=clock.HOUR,
    ),
    "confirm-join": _to_confirm(
        N_("Please confirm: join {forum}"),
        N_(
            "Somebody, probably you, asked that {forum} be sent to this address.\n\n"
            "To join, answer this mail (nothing need be written), or press the button on this page:\n\n{link}\n\n"
            "An answer and the page are good for {days} days.\n\n"
            "If it was not you, ignore it: nothing happens.\n\n"
            "What it is about: {url}\n"
        ),
    ),
    "confirm-leave": _to_confirm(
        N_("Please confirm: leave {forum}"),
        N_(
            "Somebody, probably you, asked that {forum} be sent to this address no longer.\n\n"
            "To leave, answer this mail (nothing need be written), or press the button on this page:\n\n{link}\n\n"
            "An answer and the page are good for {days} days.\n\n"
            "If it was not you, ignore it: nothing changes.\n"
        ),
    ),
    "confirm-words": _to_confirm(
        N_("Please confirm: your request to {forum}"),
        N_(
            "{results}Somebody, probably you, asked {forum} for this:\n\n{list}\n\n"
            "If you want it, answer this mail (nothing need be written), or press the button on this page:\n\n{link}\n\n"
            "An answer and the page are good for {days} days.\n\n"
            "If it was not you, ignore it: nothing changes.\n"
        ),
    ),
    "confirm-post": _to_confirm(
        N_("Please confirm your message to {forum}"),
        N_(
            "Thank you for writing to {forum}. Your message waits, because this address is not a member's yet.\n\n"
            "To publish it and join, answer this mail (nothing need be written), or press the button on this page:\n\n{link}\n\n"
            "An answer and the page are good for {days} days.\n\n"
            "Answers will then come to you by mail; to end that, write to {leave}.\n\n"
            "If you did not write to {forum}, ignore this mail: the message stays unpublished.\n\n{url}\n"
        ),
        days=14,
    ),
    "was-this-you": _to_confirm(
        N_("Was this you who wrote to {forum}?"),
        N_(
            "A message came to {forum} in your name just now, but nothing shows that it was you who sent it. It waits.\n\n"
            "If it was you, answer this mail (nothing need be written), or press the button on this page, and it is published:\n\n"
            "{link}\n\n"
            "An answer and the page are good for {days} days.\n\n"
            "If it was not you, ignore this mail: it stays unpublished until a moderator has looked at it.\n"
        ),
        days=14,
    ),
    "confirm-link": _to_confirm(
        N_("Are you the same person? {asker}"),
        N_(
            "{asker}{called} wants to be one person here with {asked}, which is this address of yours: with one name, and with "
            "what both wrote in {forum} and the other forums of {site}.\n\n"
            "If that is you, answer this mail with the one word\n\n    yes\n\nor press the button on this page:\n\n{link}\n\n"
            "An answer and the page are good for {days} days.\n\n"
            "If it is not, ignore this: nothing changes, and {asker} is not told that you read it. Whoever you say yes to can write "
            "in your name, and change and delete what you wrote.\n"
        ),
    ),
    "invite": _to_confirm(
        N_("You are invited to {forum}"),
        N_(
            "{name} invites you to {forum}.\n\n"
            "To join, answer this mail (nothing need be written), or press the button on this page:\n\n{link}\n\n"
            "An answer and the page are good for {days} days.\n\n"
            "If you do not want to, ignore it.\n\nWhat it is about: {url}\n"
        ),
        days=14,
    ),
}
WORDS = N_(
    "Commands are one a line, in the subject or the text of a mail to the\n"
    "address for commands:\n\n"
    "  help                  this mail\n"
    "  join, leave           become a member, or go\n"
    "  who am I              what is known of you here\n"
    "  delivery each         every post; or, in place of each,\n"
    "                        topics (first posts, and threads you take part in),\n"
    "                        mentions (answers to you), none,\n"
    "                        daily or weekly (one mail with what was new)\n"
    "  conversations each    talk in the room: each, digest or none\n"
    "  mute, follow          in answer to a mail of the thread, or with the\n"
    "                        number of one of its posts: mute 12\n"
    "  unmute, unfollow      take that back\n"
    "  hide my address       your mails show an address that reaches you\n"
    "                        through the forum; show my address: take that back\n"
    "  new private address   another address of that kind; the old ones then\n"
    "                        reach nobody\n"
    "  addressed direct      no second copy of what is sent to you directly;\n"
    "                        addressed forum: the forum's copy\n"
    "  own posts yes         what you write comes back to you; or no\n"
    "  digest hour 8         digests come at eight where you live;\n"
    "                        digest day friday: weekly ones then\n"
    "  name NAME             how others see you\n"
    "  timezone ZONE         where you live, such as Europe/Lisbon\n"
    "  language pt           in which language these mails are\n"
    "  delete 12             take back your post number 12\n"
    "  trace 12              where your post number 12 went\n"
    "  resume                mail comes again after it was stopped\n"
    "  link ADDRESS          be one person with another address of yours,\n"
    "                        such as your Matrix id; it is asked first"
)
_TOLD: Mapping[str, Template] = {
    "welcome": Template(
        N_("Welcome to {forum}"),
        N_(
            "You are a member of {forum} now. What is sent to this address: {delivery}. To change that, write to {request}, for example "
            "“delivery daily”, “delivery none”, or “help” for all that can be chosen.\n\n"
            "To write, send a mail to {address}; to answer, answer any mail of the forum. Everything can also be read and "
            "answered at {url}. Other members see your address only on mails that you send.\n\n"
            "To leave, write to {leave}, or press the unsubscribe button that many mail programs show above mails of the forum.\n"
        ),
    ),
    "left": Template(
        N_("You left {forum}"),
        N_("{forum} is not sent to this address any more. If you want to come back, write to {join}.\n"),
    ),
    "answered-before": Template(N_("{forum}: you answered this before"), N_("{stands}\n")),
    "member-already": Template(
        N_("You are a member of {forum} already"),
        N_(
            "This address is a member's of {forum} already, so nothing was changed. What is sent to it: {delivery}.\n\n"
            "To change that, write to {request}, for example “delivery daily”, or “help” for all that can be chosen. "
            "Everything can also be read at {url}. To leave, write to {leave}.\n"
        ),
    ),
    "no-member": Template(
        N_("This address is no member of {called}"),
        N_(
            "You asked to leave {called}, but this address is no member of it, so nothing was changed.\n\n"
            "If its mail comes to you, it is sent to another address of yours. Open one of those mails: press the unsubscribe button "
            "that many mail programs show above it, or write to {leave} from the address that it was sent to.\n\n"
            "To become a member, write to {join}.\n"
        ),
    ),
    "help": Template(
        N_("How {forum} works by mail"),
        N_(
            "{why}{forum}: {url}\n\n"
            "  write to everybody:     {address}\n"
            "  join:                   {join}\n"
            "  leave:                  {leave}\n"
            "  commands:               {request}\n"
            "  its owners (people):    {owner}\n\n"
            "To answer somebody, just answer their mail. Every post also has a page, where it can be answered too. "
            "To leave, the unsubscribe button of your mail program does the same as the address above.\n\n{commands}\n"
        ),
        answer="request",
    ),
    "answer": Template(
        N_("Your request to {forum}"),
        N_("{results}\n\nOther words that are understood: write “help” to {request}, or answer this mail with it.\n"),
        answer="request",
    ),
    "linked": Template(
        N_("{one} and {other} are one person now"),
        N_(
            "{one} and {other} are one person now in every forum of {site}: with one name, and with what both wrote. "
            "What is sent to you by mail stays as it was.\n\n"
            "If this is a mistake, write to the people who run {forum}: {owner}.\n"
        ),
    ),
    "letter-sent": Template(
        N_("Sent to {name} only: {subject}"),
        N_("Your message went to {name} only, not to {forum}. They can answer you without seeing your address.\n"),
    ),
    "probe": Template(
        N_("Does mail of {forum} reach you?"),
        N_(
            "Mails of {forum} to {mailbox} came back on several days. The last time this was said:\n\n  {reason}\n\n"
            "This mail is a test. If you can read it, nothing need be done: posts go on coming. If it comes back too, nothing "
            "more is sent to this mailbox until you say that it works again. You stay a member.\n\n{url}\n"
        ),
    ),
    "stopped-bounces": Template(
        N_("Mail of {forum} has stopped"),
        N_(
            "Mails of {forum} to {mailbox} came back on several days, and a test mail came back too. So nothing more is sent "
            "there. You are still a member. The last time this was said:\n\n  {reason}\n\n"
            "Once the mailbox works again, sign in at {url} and press “Send it again”, or write to {join} from that mailbox.\n"
        ),
    ),
    "stopped-complaint": Template(
        N_("Mail of {forum} has stopped"),
        N_(
            "The provider of {mailbox} told us that a mail of {forum} was reported as spam there, perhaps by a slip of the hand. "
            "So nothing more is sent to that mailbox. You are still a member.\n\n"
            "To get mail again, sign in at {url} and press “Send it again”, or write to {join} from that mailbox.\n"
        ),
    ),
    "room-closed": Template(
        N_("The room of {forum} is closed to us"),
        N_(
            "Nothing can be said in the room of {forum} any more:\n\n  {reason}\n\n"
            "What is for it waits, for seven days. `junto doctor` says how to mend it, and `junto queue list` what waits.\n"
        ),
    ),
    "many-bounces": Template(
        N_("Very many mailboxes of {forum} fail"),
        N_(
            "So many mailboxes failed within a day that the fault is probably ours: the relay, our DNS, or our name with the "
            "providers. No further mailbox is stopped today. The last answer was:\n\n  {reason}\n\n"
            "Look with `junto queue list` and at the relay's log. Members whose mail was stopped are shown by `junto member list`; "
            "`junto member set ADDRESS state=active` sends it again.\n"
        ),
    ),
    "post-rejected": Template(
        N_("Not published in {forum}: {subject}"),
        N_("A moderator decided not to publish your message in {forum}.\n\n{reason}\n"),
    ),
    "receipt": Template(
        N_("Your first post: {subject}"),
        N_(
            "Thank you for your first post in {forum}. It stands at\n\n  {post_url}\n\n"
            "and it went to:\n\n{places}\n\n"
            "This note comes after a first post only.\n"
        ),
    ),
    "which-post": Template(
        N_("Which post of {forum} do you answer?"),
        N_(
            "You answered a digest of {forum} as a whole, so it is not clear which of its posts you mean. "
            "Nothing was posted; your words are below.\n\n"
            "Please send them to the address of the post that you answer:\n\n{choices}\n\n"
            "To start something new instead, write to {address} with a subject of your own.\n\n"
            "You wrote:\n\n{words}\n"
        ),
    ),
    "flagged": Template(
        N_("Reported in {forum}: {what}"),
        N_(
            "Members of {forum} think that you should look at this:\n\n{list}\n\n"
            "If all is well, nothing need be done. To take a post back, send “delete” and its number to {request}, or redact it in the "
            "room. Its author and the other members are not told who reported it.\n"
        ),
    ),
    "room-act": Template(
        N_("In the room of {forum}: {what}"),
        N_(
            "{what}.\n\n{reason}\n\nWho did that may do so in the room, but does not look after {forum}, so in the forum nothing changed: "
            "whoever gets it by mail goes on getting it. If you want more, ban them yourself, in the room or by `junto ban`.\n"
        ),
    ),
    "fuse": Template(
        N_("Held: the queue of {forum}"),
        N_(
            "So many posts came in so short a time that this may be a loop between two machines: {reason}\n\n"
            "Nothing is lost: posts are stored, and their mails wait. Look with `junto queue list`; "
            "let them go with `junto queue release`.\n"
        ),
    ),
}
_DECIDES = N_(
    "{intro}\n\n{list}\n"
    "To decide, answer this mail. Only the first line that you write counts:\n\n{how}\n\n"
    "Or press a button on this page:\n{link}\n\n{attached}\n"
)
_HELD: Mapping[str, Template] = {  # what `delivery.waiting` fills
    "held": _to_decide(N_("Waiting in {forum}: {what}"), _DECIDES),
    "held-still": _to_decide(N_("Still waiting in {forum}: {what}"), _DECIDES),
    "held-first": _to_decide(
        N_("Your first message to {forum} waits: {subject}"),
        N_(
            "Thank you for writing to {forum}. Your message “{subject}” is your first one there, so one of its moderators looks at it "
            "first. You need not do anything.\n\n{readers}\n\n"
            "If you would rather not, take it back: answer this mail with the one word\n\n"
            "    cancel\n\nor press the button on this page:\n{link}\n"
        ),
    ),
    "held-stranger": _to_decide(
        N_("Your message to {forum} waits: {subject}"),
        N_(
            "Thank you for writing to {forum}. Your message “{subject}” waits for one of its moderators, because this address is no "
            "member's. You need not do anything.\n\n{readers}\n\n"
            "If you would rather not, take it back: answer this mail with the one word\n\n"
            "    cancel\n\nor press the button on this page:\n{link}\n"
        ),
    ),
    "held-long": _to_decide(
        N_("Your message to {forum} still waits: {subject}"),
        N_(
            "Your message “{subject}” to {forum} has waited for one of its moderators for three days now. "
            "You need not do anything; to ask them, write to {owner}.\n\n{readers}\n\n"
            "If you would rather not, take it back: answer this mail with the one word\n\n"
            "    cancel\n\nor press the button on this page:\n{link}\n"
        ),
    ),
    "verdict": _to_decide(N_("{subject}"), N_("{lines}\n"), link=None),
}
_ENTRY: Mapping[str, Template] = {  # being let in, where moderators decide; `desk.entry` books them
    "asks-in": Template(
        N_("{who} asks to join {forum}"),
        N_(
            "Somebody asks to be let into {forum}:\n\n  {about}\n\n"
            "To decide, answer this mail. Only the first line that you write counts:\n\n"
            "    approve                  they become a member, and are told\n"
            "    reject                   they do not, and are told so\n"
            "    reject and your reason   the same, and your reason goes to them\n\n"
            "Or press a button on this page:\n{link}\n"
        ),
        "asks-in",
        "mod",
        "/entry/{token}",
        30 * clock.DAY,
    ),
    "entry-verdict": Template(N_("Who asked to join {forum}"), N_("{lines}\n"), "asks-in", "mod", None, 30 * clock.DAY),
    "waits-to-enter": Template(
        N_("You asked to join {forum}"),
        N_(
            "In {forum} moderators decide who joins. They have been asked, and you are told what they say. "
            "You need not do anything; to write to them, use {owner}.\n"
        ),
    ),
    "let-in": Template(
        N_("Welcome to {forum}"),
        N_(
            "You are a member of {forum} now: one of its moderators let you in. Everything can be read and answered at {url}.\n"
        ),
    ),
    "not-let-in": Template(
        N_("You asked to join {forum}"),
        N_("A moderator of {forum} decided not to let you in.\n\n{reason}\n\nTo write to its owners, use {owner}.\n"),
    ),
}
TEMPLATES: Mapping[str, Template] = {**_ASKED, **_TOLD, **_HELD, **_ENTRY}
"""Every notice by its name: what somebody is asked to act upon, and what they are only told."""


def compose(template: str, facts: Mapping[str, str], in_chat: bool = False) -> tuple[str, str]:
    """(subject, text) in the reader's language. `facts`: forum, address, url, link, name, subject, reason, results, whichever it names.

    `in_chat`: the words for a chat, and no subject where there are such words. Raises KeyError for a name that is no template's.
    """
    listed = _(chat_notices.WORDS) if in_chat else _(WORDS)
    words = TEMPLATES[template]
    filled = _Forgiving({"commands": listed, "days": str(words.valid_ms // clock.DAY), **facts})
    if in_chat and template in chat_notices.TEXTS:
        return "", _(chat_notices.TEXTS[template]).format_map(filled)
    text = _(words.text).format_map(filled)
    return _(words.subject).format_map(filled), "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


class _Forgiving(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
