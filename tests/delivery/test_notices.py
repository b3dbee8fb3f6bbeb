"""What the server itself writes to people."""

from __future__ import annotations

import string

import pytest

from server.delivery import notices

FACTS = {
    "delivery": "each",
    "called": "pools",
    "why": "",
    "who": "Kim",
    "place": "Tide pools",
    "days": "3",
    "stands": "You are a member already.",
    "one": "Kim",
    "other": "Li",
    "asker": "Kim",
    "asked": "Li",
    "about": "Kim <kim@x.test>",
    "forum": "Tide pools",
    "url": "https://talk.test/f/tides",
    "address": "tides@lists.test",
    "owner": "tides-owner@lists.test",
    "join": "tides-join@lists.test",
    "leave": "tides-leave@lists.test",
    "link": "https://talk.test/sign-in/abc",
    "name": "Ana",
    "subject": "Kelp {or} wrack",
    "reason": "It was sold out.",
    "site": "talk.test",
    "choices": "  Nets\n    tides-item+abc@lists.test",
    "words": "> Mine",
    "post_url": "https://talk.test/f/tides/1",
    "places": "  - 3 mailboxes",
    "mailbox": "ana@members.test",
    # of held posts, from `delivery.waiting`
    "what": "2 messages",
    "intro": "2 messages wait for you.",
    "list": "1. this\n2. that\n",
    "how": "approve 2",
    "attached": "They are attached.",
    "readers": "Once it is published it is public.",
    "lines": "It is published.",
    "request": "tides-request@lists.test",
    "results": "Done.",
    "commands": notices.WORDS,
}


@pytest.mark.parametrize("name", notices.TEMPLATES)
def test_every_notice_names_only_what_it_is_told(name: str) -> None:
    template = notices.TEMPLATES[name]
    asked = {field for part in (template.subject, template.text) for _, field, _, _ in string.Formatter().parse(part)}
    assert asked - {None} <= {*FACTS}
    subject, text = notices.compose(name, FACTS)
    assert "\n" not in subject
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("name", ["confirm-post", "welcome", "help"])
def test_who_is_sent_posts_is_told_the_address_to_leave(name: str) -> None:
    assert "tides-leave@lists.test" in notices.compose(name, FACTS)[1]


def test_a_notice_is_translated_when_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_", {"You left {forum}": "{forum} verlassen"}.get)
    monkeypatch.setattr(notices, "TEMPLATES", {"left": notices.Template("You left {forum}", "You left {forum}")})
    assert notices.compose("left", FACTS) == ("Tide pools verlassen", "Tide pools verlassen\n")


def test_what_is_not_known_is_left_out() -> None:
    assert notices.compose("post-rejected", {"forum": "Tide pools", "subject": "Kelp"})[1].endswith("Tide pools.\n\n\n")


def test_a_notice_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        notices.compose("dance", FACTS)
