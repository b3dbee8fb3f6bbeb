"""The same texts as `notices`, where they are said in a chat instead of by mail: shorter, and without what only mail has. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def N_(message: str) -> str:
    """Marks a text for translators; `notices.compose` translates it."""
    return message


WORDS = N_(
    "Here, write the word alone; in a room, write !junto before it.\n\n"
    "  help                  these words\n"
    "  who                   what is known of you here; in answer to a\n"
    "                        message, who wrote it and by which way\n"
    "  topic SUBJECT         in a room: begin a thread; its text in the next lines\n"
    "  mute, follow          in a thread of the room, or with the number of\n"
    "                        one of its posts: mute 12; also unmute, unfollow\n"
    "  trace                 in answer to what you wrote: where it went\n"
    "  report                in answer to a message, with your reason: its\n"
    "                        forum's moderators look at it\n"
    "  delivery HOW          by mail: each, topics, mentions, daily, weekly, none\n"
    "  digest HOW            daily, weekly, off, or the hour at which it comes\n"
    "  conversations HOW     talk of the room by mail: each, digest or none\n"
    "  link you@example.org  be one person here with your mail address\n"
    "  hide, show            your mail address on mails that you write\n"
    "  name NAME             how others see you\n"
    "  delete 12             take back your post number 12\n"
    "  join, leave           become a member, or go\n"
)
TEXTS: Mapping[str, str] = {
    "help": N_("{why}{forum}: {url}\n\n{commands}"),
    "answer": N_("{results}\n"),
    "welcome": N_("You are a member of {forum} now: {url}\n"),
    "left": N_("You left {forum}. Leave its room too, so that it is gone from your list.\n"),
    "confirm-link": N_(
        "{asker}{called} wants to be one person here with {asked}, which is you: with one name, and with what both wrote in {forum} "
        "and the other forums of {site}.\n\n"
        "If that is you, answer with the one word yes, or write: confirm {code}\nOr press the button on this page: {link}\n\n"
        "If it is not, ignore this: nothing changes. Whoever you say yes to can write in your name, and change and delete "
        "what you wrote.\n"
    ),
    "invite": N_(
        "{name} invites you to {forum}: {url}\n\n"
        "To join, answer with the one word yes, or write: confirm {code}\nOr press the button on this page: {link}\n\n"
        "If you do not want to, ignore it.\n"
    ),
    "linked": N_(
        "{one} and {other} are one person now in every forum of {site}: with one name, and with what both wrote. "
        "Posts go on coming by mail as before; “delivery none” ends that, for you read them here.\n\n"
        "If this is a mistake, tell the people who run {forum}: {owner}.\n"
    ),
    "receipt": N_(
        "Thank you for your first message in {forum}. It stands at {post_url} and it went to:\n\n{places}\n\n"
        "To have answers by mail too, write here: link you@example.org\nThis note comes once. “help” tells what else can be done.\n"
    ),
    "held-first": N_(
        "Thank you for writing to {forum}. Your message is your first one there, so one of its moderators looks at it first; you need not "
        "do anything.\n\n{readers}\n\nIf you would rather not, delete it in the room, or take it back on this page: {link}\n"
    ),
    "held-stranger": N_(
        "You wrote to {forum} and are no member, so one of its moderators looks at your message first; you need not do anything.\n\n"
        "{readers}\n\nIf you would rather not, delete it in the room, or take it back on this page: {link}\n"
    ),
    "held-long": N_(
        "Your message to {forum} has waited for one of its moderators for three days now. You need not do anything.\n\n"
        "If you would rather not, delete it in the room, or take it back on this page: {link}\n"
    ),
    "post-rejected": N_("Not published in {forum}: {subject}\n\nA moderator decided so. {reason}\n"),
}
"""By the name of the notice. Where there is none, the mail's words are said, under its subject."""
