"""The room pane shows what a stock client shows: threads, answers, edits, reactions, files, what waits, what was taken back, who speaks."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from deploy.demo import panes
from deploy.demo.ledger import Ledger
from deploy.demo.roomuser import shown_html
from deploy.demo.roomview import Room, RoomView
from deploy.demo.stage import PAGES, TITLES

BOT, GHOST, BRUNO, TAMSIN = (f"@{name}:hs.test" for name in ("_junto_bot", "_junto_abc", "bruno", "tamsin"))


class Hears:
    """A room that events come into, as from /sync."""

    def __init__(self) -> None:
        self.view, self.room = RoomView(Mock(), lambda _: None), Room("!room")
        self.ledger = Ledger()
        for user, name in ((BOT, "Junto"), (GHOST, "Ana Ribeiro"), (BRUNO, "Bruno Keller"), (TAMSIN, "Tamsin Penrose")):
            self.room.names[user] = name

    def event(self, name: str, sender: str, kind: str = "m.room.message", **content: Any) -> None:
        source = {"event_id": name, "sender": sender, "type": kind, "origin_server_ts": 0, "content": content}
        self.view._take(self.room, source, tell=False)

    def says(self, name: str, sender: str, body: str, **more: Any) -> None:
        self.event(name, sender, **{"msgtype": "m.text", "body": body, **more})

    def reacts(self, name: str, sender: str, to: str, key: str) -> None:
        relation = {"rel_type": "m.annotation", "event_id": to, "key": key}
        self.event(name, sender, "m.reaction", **{"m.relates_to": relation})

    def edits(self, name: str, sender: str, of: str, body: str) -> None:
        new = {"msgtype": "m.text", "body": body}
        relation = {"rel_type": "m.replace", "event_id": of}
        self.says(name, sender, f"* {body}", **{"m.new_content": new, "m.relates_to": relation})

    def redacts(self, what: str) -> None:
        self.event("$redaction", BRUNO, "m.room.redaction", redacts=what)

    def pane(self) -> str:
        """What stands at room level, as HTML."""
        pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        pages.globals.update(
            clock=panes.clock, hue=panes.hue, initials=panes.initials, size=panes.size, titles=TITLES, forums={}
        )
        pages.filters.update(link_own=lambda text: text, room_html=lambda text: Markup(shown_html(text)))
        timeline = panes.room_timeline(self.room, self.ledger, "@bruno:")
        return pages.get_template("room.html").render(room=self.room, timeline=timeline)


def in_thread(root: str, to: str, falling_back: bool) -> dict[str, Any]:
    return {
        "m.relates_to": {
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": falling_back,
            "m.in_reply_to": {"event_id": to},
        }
    }


@pytest.fixture
def hears() -> Hears:
    return Hears()


def test_an_edit_changes_the_words_and_says_so(hears: Hears) -> None:
    hears.says("$1", BRUNO, "At nine")
    hears.edits("$2", BRUNO, "$1", "At ten")
    hears.edits("$3", TAMSIN, "$1", "Never")
    page = hears.pane()
    assert "At ten" in page
    assert ">edited<" in page
    assert "At nine" not in page
    assert "Never" not in page


def test_an_edit_that_is_read_before_its_target_counts(hears: Hears) -> None:
    hears.edits("$2", BRUNO, "$1", "At ten")
    hears.says("$1", BRUNO, "At nine")
    assert "At ten" in hears.pane()


def test_reactions_are_counted_with_names_and_go_when_taken_back(hears: Hears) -> None:
    hears.says("$1", GHOST, "A limpet")
    hears.reacts("$2", BRUNO, "$1", "🐚")
    hears.reacts("$3", TAMSIN, "$1", "🐚")
    assert '<li class="own" title="Bruno Keller, Tamsin Penrose">🐚 2</li>' in hears.pane()
    hears.redacts("$2")
    assert '<li title="Tamsin Penrose">🐚 1</li>' in hears.pane()


def test_the_bots_hourglass_means_that_a_message_waits(hears: Hears) -> None:
    hears.says("$1", TAMSIN, "Buy my boat")
    hears.reacts("$2", TAMSIN, "$1", "⏳")
    assert "waits for a moderator" not in hears.pane()
    hears.reacts("$3", BOT, "$1", "⏳")
    assert "waits for a moderator" in hears.pane()
    hears.redacts("$3")
    assert "waits for a moderator" not in hears.pane()


def test_what_is_taken_back_leaves_its_place_only_where_a_thread_hangs_on_it(hears: Hears) -> None:
    hears.says("$1", BRUNO, "My secret")
    hears.says("$2", TAMSIN, "Oh?", **in_thread("$1", "$1", True))
    hears.redacts("$1")
    assert "Message removed" in hears.pane()
    assert "My secret" not in hears.pane()
    hears.redacts("$2")
    hears.says("$3", BRUNO, "Another")
    hears.redacts("$3")
    assert 'id="event-$3"' not in hears.pane()


def test_an_answer_shows_what_it_answers_and_a_fallback_does_not(hears: Hears) -> None:
    hears.says("$1", GHOST, "What is this?")
    hears.says("$2", BRUNO, "A beadlet", **in_thread("$1", "$1", True))
    hears.says("$3", TAMSIN, "No!", **in_thread("$1", "$2", False))
    hears.says("$4", TAMSIN, "Hello", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$1"}}})
    lines = panes._lines(list(hears.room.messages.values()), hears.room, hears.ledger, "@bruno:")
    assert [line.quoted for line in lines] == [
        None,
        None,
        ("$2", "Bruno Keller", "A beadlet"),
        ("$1", "Ana Ribeiro", "What is this?"),
    ]


def test_who_speaks_is_told_and_what_stands_in_no_thread_is_talk(hears: Hears) -> None:
    hears.says("$1", GHOST, "What is this?")
    hears.says("$2", BOT, "Welcome", msgtype="m.notice")
    hears.says("$3", BRUNO, "With tea")
    ghost, bot, member = panes.room_timeline(hears.room, hears.ledger, "@bruno:")
    assert [thread.line.speaker for thread in (ghost, bot, member)] == ["ghost", "bot", "member"]
    assert [thread.talk for thread in (ghost, bot, member)] == [False, False, True]
    assert ">ghost<" in hears.pane()


def test_a_file_can_be_saved_and_a_picture_in_a_text_is_shown(hears: Hears) -> None:
    hears.says("$1", GHOST, "counts.csv", msgtype="m.file", url="mxc://hs.test/csv", info={"size": 1400})
    html = '<img src="mxc://hs.test/pic" alt="limpet">'
    hears.says("$2", GHOST, "limpet", format="org.matrix.custom.html", formatted_body=html)
    hears.says("$3", GHOST, "a.png", msgtype="m.image", url="mxc://hs.test/png", info={"w": 30, "h": 20})
    page = hears.pane()
    assert 'alt="a.png" width="30" height="20"' in page  # room for it before it is loaded
    assert 'download="counts.csv"' in page
    assert "1 kB" in page
    assert '<img src="/room/picture?of=mxc%3A%2F%2Fhs.test%2Fpic" alt="limpet">' in page
    assert [message.holds("mxc://hs.test/pic") for message in hears.room.messages.values()] == [False, True, False]
    assert not hears.room.messages["$2"].holds("mxc://hs.test/other")
