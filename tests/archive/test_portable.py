"""A stored post as a bridge is handed it."""

from __future__ import annotations

from sqlalchemy import Connection

from server.archive.portable import ANCESTORS, port_post
from server.bridge import Ref
from server.store.db import Store
from tests.archive.sample import Town

BASE = "https://talk.test"


def talk(tx: Connection) -> dict[str, int]:
    town = Town(tx)
    tides = town.forum("tides", town.community("shore", "Shore"), "Tide pools")
    ana = town.person("Ana")
    first = town.post(
        tides, ana, subject="Limpets", channel="post", original=b"Subject: Limpets\n\nHi", message_id="<1@t>"
    )
    second = town.post(tides, ana, thread=town.thread_of(first), parent=first, channel="room", message_id="<2@t>")
    town.ref(tides, first, "room", "$first")
    town.ref(tides, second, "room", "$second")
    town.file(second, "ab" * 32, "a b.png", "image/png")
    return {"first": first, "second": second, "tides": tides, "ana": ana}


def test_a_reply_names_itself_its_parent_and_its_root(store: Store) -> None:
    rows = store.write_now(talk)
    post = store.read_now(port_post, rows["second"], "post", BASE)
    assert post.subject == "Limpets"
    assert post.references == ("<1@t>",)
    assert post.refs == (Ref("message-id", "<2@t>"), Ref("room", "$second"))
    assert post.parent_refs == post.root_refs == (Ref("message-id", "<1@t>"), Ref("room", "$first"))
    assert not post.opens_thread
    assert post.url == "https://talk.test/f/tides/2"
    assert post.files[0].url == f"https://talk.test/blob/{'ab' * 32}/a%20b.png"
    assert post.writer.name == "Ana"


def test_received_bytes_go_only_to_the_channel_they_came_by(store: Store) -> None:
    rows = store.write_now(talk)
    assert store.read_now(port_post, rows["first"], "post", BASE).original == b"Subject: Limpets\n\nHi"
    assert store.read_now(port_post, rows["first"], "room", BASE).original is None
    assert store.read_now(port_post, rows["first"], "post", BASE).opens_thread


def test_references_of_a_long_line_are_the_root_and_the_nearest(store: Store) -> None:
    def line(tx: Connection) -> int:
        rows = talk(tx)
        town, parent = Town(tx), rows["second"]
        for number in range(3, ANCESTORS + 12):
            parent = town.post(
                rows["tides"],
                rows["ana"],
                thread=town.thread_of(rows["first"]),
                parent=parent,
                message_id=f"<{number}@t>",
            )
        return parent

    last = store.write_now(line)
    references = store.read_now(port_post, last, "post", BASE).references
    assert references[0] == "<1@t>"
    assert references[-1] == f"<{ANCESTORS + 10}@t>"
    assert len(references) == ANCESTORS + 1


def test_an_answer_to_what_is_not_here_stands_under_the_root(store: Store) -> None:
    def lost(tx: Connection) -> int:
        rows = talk(tx)
        town = Town(tx)
        return town.post(rows["tides"], rows["ana"], thread=town.thread_of(rows["first"]), message_id="<3@t>")

    post = store.read_now(port_post, store.write_now(lost), "post", BASE)
    assert post.references == ("<1@t>",)
    assert not post.opens_thread


def test_a_new_topic_names_nothing_of_the_thread_that_it_left(store: Store) -> None:
    def leave(tx: Connection) -> tuple[int, int]:
        rows = talk(tx)
        town = Town(tx)
        new = town.post(rows["tides"], rows["ana"], parent=rows["second"], message_id="<new@t>")
        return new, town.post(
            rows["tides"], rows["ana"], thread=town.thread_of(new), parent=new, channel="web", message_id="<answer@t>"
        )

    new, answer = store.write_now(leave)
    assert store.read_now(port_post, new, "post", BASE).references == ()
    assert store.read_now(port_post, answer, "post", BASE).references == ("<new@t>",)
