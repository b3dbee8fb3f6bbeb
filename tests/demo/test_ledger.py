"""Which mail, event and page are one post, and how long each hop took."""

from __future__ import annotations

from deploy.demo.ledger import Ledger, essence, spoken
from deploy.demo.panes import ring

PAGE, ROOT = ("pools", 7), ("pools", 3)


def test_a_post_written_on_the_stage_is_timed_from_its_authors_hand() -> None:
    ledger = Ledger()
    handed = ledger.hand("mail", "pools", "Forty *limpets* on one frond!", now=100.0)
    ledger.on_page(PAGE, ROOT, "Forty limpets on one frond!", 100.25)
    ledger.elsewhere("room", "$event", "pools", PAGE, "Forty limpets on one frond!", 100.084)
    post = ledger.posts[PAGE]
    assert handed.page == PAGE
    assert {channel: round(ms) for channel, ms in post.hops().items()} == {"web": 250, "room": 84}
    mark = ring(post, 101.0)
    assert mark is not None
    assert mark.hops == (("room", "84 ms"), ("web", "0.2 s"))


def test_a_members_own_message_is_found_by_its_words_whichever_is_seen_first() -> None:
    for first in ("room", "web"):
        ledger = Ledger()
        ledger.hand("room", "pools", "By-the-wind sailors, thousands", now=10.0)
        for channel in (first, "web" if first == "room" else "room"):
            if channel == "room":
                ledger.elsewhere("room", "$own", "pools", None, "By-the-wind sailors, thousands", 10.1)
            else:
                ledger.on_page(PAGE, ROOT, "By-the-wind sailors, thousands", 10.2)
        post = ledger.post_of("$own")
        assert post is not None
        assert post.page == PAGE
        assert (post.origin, list(post.hops())) == ("room", ["web"])


def test_the_same_short_words_twice_are_two_posts() -> None:
    ledger = Ledger()
    for number in (1, 2):
        ledger.hand("room", "pools", "Yes!", now=float(number))
        ledger.elsewhere("room", f"${number}", "pools", None, "Yes!", number + 0.1)
        ledger.on_page(("pools", number), ("pools", 1), "Yes!", number + 0.2)
    assert [ledger.pages["$1"], ledger.pages["$2"]] == [("pools", 1), ("pools", 2)]
    assert all(round(post.hops()["web"]) == 200 for post in ledger.posts.values())


def test_a_mail_that_overtakes_its_page_is_counted_all_the_same() -> None:
    ledger = Ledger()
    ledger.hand("web", "pools", "Five fronds each, and who counted", now=5.0)
    ledger.elsewhere("mail", "<m@x>", "pools", PAGE, "Five fronds each, and who counted", 5.1)
    ledger.on_page(PAGE, ROOT, "Five fronds each, and who counted", 5.3)
    post = ledger.posts[PAGE]
    assert (post.root, post.origin, round(post.hops()["mail"])) == (ROOT, "web", 100)


def test_what_was_there_before_is_not_new() -> None:
    ledger = Ledger()
    ledger.on_page(PAGE, ROOT, "An old post", 0.0)
    ledger.elsewhere("mail", "<m@x>", "pools", PAGE, "An old post", 0.0)
    ledger.elsewhere("room", "$late", "pools", PAGE, "An old post", 50.0)
    assert ring(ledger.posts[PAGE], 50.0) is None


def test_words_survive_markup() -> None:
    assert essence("**Dark red**, shiny\n\n> like") == essence("Dark red, shiny like")
    assert (spoken(84.2), spoken(412.0), spoken(12_300.0)) == ("84 ms", "0.4 s", "12 s")
