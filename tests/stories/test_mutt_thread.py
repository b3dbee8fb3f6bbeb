"""Thirty posts of one thread, by mail, room and web, as a member sees them in mutt: one tree, nobody twice, everybody by name."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from server.bridge import WEB, Author, NewPost, Proof, Ref
from server.people import subscriptions as targets
from server.store.schema import addresses, deliveries, posts, refs, subscriptions
from tests.peers.dovecot import PASSWORD, Dovecot
from tests.peers.net import free_port
from tests.peers.postfix import Postfix
from tests.peers.synapse import Account, Synapse
from tests.stories.town import Town, letter, town

GOLDEN = Path(__file__).parent / "golden" / "mutt-thread.txt"
MAIL, ROOM, PAGE = "mail", "room", "page"

# who, by what, in answer to which number (0: opens the thread)
SCRIPT = [
    *(("Ana", MAIL, 0), ("Bruno", ROOM, 1), ("Dora", PAGE, 2), ("Ana", MAIL, 3), ("Bruno", ROOM, 4), ("Eiji", MAIL, 1)),
    *(("Dora", PAGE, 6), ("Bruno", ROOM, 6), ("Ana", MAIL, 8), ("Eiji", MAIL, 9), ("Dora", PAGE, 10), ("Bruno", ROOM, 11)),
    *(("Ana", MAIL, 2), ("Dora", PAGE, 13), ("Eiji", MAIL, 14), ("Bruno", ROOM, 15), ("Ana", MAIL, 1), ("Dora", PAGE, 17)),
    *(("Bruno", ROOM, 17), ("Eiji", MAIL, 19), ("Ana", MAIL, 20), ("Dora", PAGE, 21), ("Bruno", ROOM, 22), ("Ana", MAIL, 23)),
    *(("Eiji", MAIL, 5), ("Dora", PAGE, 5), ("Bruno", ROOM, 12), ("Ana", MAIL, 27), ("Dora", PAGE, 28), ("Eiji", MAIL, 29)),
]  # fmt: skip


class Talk:
    """The forum of the story and what its people do."""

    def __init__(self, shore: Town, postfix: Postfix, dovecot: Dovecot, synapse: Synapse, domain: str) -> None:
        self.shore, self.postfix, self.dovecot, self.synapse, self.domain = shore, postfix, dovecot, synapse, domain
        self.ana = f"ana@{domain}"
        self.pools = self.room = ""
        self.bruno: Account
        self.people: dict[str, int] = {}

    async def open(self) -> None:
        self.pools = await self.shore.forum("pools")
        for name in ("Ana", "Dora", "Eiji"):
            self.people[name] = await self.shore.member("pools", f"{name.lower()}@{self.domain}", name)
        await self.shore.home.store.write(self._ana_sees_her_own)
        self.bruno = await asyncio.to_thread(self.synapse.register, "bruno")
        path = f"/_matrix/client/v3/profile/{self.bruno.user_id}/displayname"
        await asyncio.to_thread(self.synapse.call, "PUT", path, {"displayname": "Bruno"}, self.bruno.token)
        made = sa.select(deliveries).where(deliveries.c.item_kind == "state", deliveries.c.state == "sent")
        await self.shore.until(lambda: self.shore.rows(made), "the room", 60)
        alias = f"#_junto_pools:{self.synapse.server_name}"
        self.room = await asyncio.to_thread(self.synapse.join, self.bruno, alias)

    def _ana_sees_her_own(self, tx: sa.Connection) -> None:
        of_ana = sa.select(subscriptions.c.id).join_from(subscriptions, addresses)
        mine = tx.execute(of_ana.where(addresses.c.address == self.ana)).scalar_one()
        targets.change(tx, mine, {"own_posts": True})

    async def say(self, number: int, who: str, by: str, parent: int) -> None:
        """One post; returns when Ana has it, so that the order of the mailbox is the order of the script."""
        words = f"{who} says number {number}."
        await {MAIL: self._by_mail, ROOM: self._by_room, PAGE: self._by_page}[by](who, words, parent)
        await asyncio.to_thread(self.dovecot.wait_for, self.ana, number)

    async def _by_mail(self, who: str, words: str, parent: int) -> None:
        subject = "What lives under the ledge?"
        sender = f"{who.lower()}@{self.domain}"
        fields = {"In_Reply_To": await self._message_id(parent)} if parent else {}
        raw = letter(f"{who} <{sender}>", self.pools, f"Re: {subject}" if parent else subject, f"{words}\n", **fields)
        named = f"<{words.rpartition(' ')[2].rstrip('.')}@{who.lower()}.test>"
        await asyncio.to_thread(self.postfix.send, b"Message-ID: " + named.encode() + b"\r\n" + raw, sender, self.pools)

    async def _by_room(self, _who: str, words: str, parent: int) -> None:
        root, answered = await self._event(1), await self._event(parent)
        relation = {"rel_type": "m.thread", "event_id": root, "m.in_reply_to": {"event_id": answered}}
        content = {"msgtype": "m.text", "body": words, "m.mentions": {}, "m.relates_to": relation}
        await asyncio.to_thread(self.synapse.send, self.bruno, self.room, content)

    async def _by_page(self, who: str, words: str, parent: int) -> None:
        by = Author(WEB, str(self.people[who]), who, Proof.SESSION)
        (post,) = await self.shore.rows(sa.select(posts.c.id).where(posts.c.seq == parent))
        await self.shore.home.accept(
            NewPost(
                "pools", by, (Ref("form", words),), (Ref("post", str(post.id)),), text=words, text_format="markdown"
            )
        )

    async def _message_id(self, number: int) -> str:
        (row,) = await self.shore.rows(sa.select(posts.c.message_id).where(posts.c.seq == number))
        return str(row.message_id)

    async def _event(self, number: int) -> str:
        named = sa.select(refs.c.name).join(posts, posts.c.id == refs.c.post_id)
        (row, *_) = await self.shore.until(
            lambda: self.shore.rows(named.where(posts.c.seq == number, refs.c.space == "matrix")), "its event"
        )
        return str(row.name)


@pytest.fixture
async def talk(tmp_path: Path, postfix: Postfix, dovecot: Dovecot, synapse: Synapse) -> AsyncIterator[Talk]:
    synapse.reset()
    domain, listen = postfix.list_domain(), free_port()
    sections: dict[str, dict[str, Any]] = {
        "email": {"domain": domain, "relay": f"smtp://127.0.0.1:{postfix.port}"},
        "matrix": {
            "homeserver": f"http://127.0.0.1:{synapse.port}",
            "server_name": synapse.server_name,
            "listen": f"127.0.0.1:{listen}",
            "registration": str(synapse.registration),
        },
    }
    synapse.route_to(listen)
    members = postfix.member_domain()
    postfix.hand_over(members, dovecot.lmtp_port)
    async with town(tmp_path, f"sqlite:///{tmp_path}/junto.db", sections) as shore:
        postfix.route(domain, shore.ports["lmtp"])
        yield Talk(shore, postfix, dovecot, synapse, members)


@contextmanager
def screen(tmux: str, name: str, command: list[str], home: Path) -> Iterator[Callable[[], str]]:
    """A program on a terminal of 100 columns and 34 lines; answers what stands on it."""
    base = [tmux, "-L", name, "-f", "/dev/null"]
    environment = {"HOME": str(home), "TERM": "screen", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    subprocess.run([*base, "new-session", "-d", "-x", "100", "-y", "34", *command], check=True, env=environment)
    try:
        yield (
            lambda: (
                subprocess.run(
                    [*base, "capture-pane", "-p"], check=True, capture_output=True, text=True, env=environment
                ).stdout
            )
        )
    finally:
        subprocess.run([*base, "kill-server"], env=environment)


def seen_in_mutt(program: Callable[[str], str], home: Path, address: str, port: int, posts: int) -> str:
    """The index of the mailbox, threaded by references alone."""
    user = address.replace("@", "%40")
    rc = home / "muttrc"
    rc.write_text(
        f'set folder="imap://{user}:{PASSWORD}@127.0.0.1:{port}/"\nset spoolfile="+INBOX"\nset ssl_force_tls=no\n'
        "set ssl_starttls=no\nset sort=threads\nset sort_aux=mailbox-order\nset strict_threads=yes\nset ascii_chars=yes\n"
        'set status_on_top=no\nset help=no\nset index_format="%3C %-8.8n %s"\nset status_format="%m messages"\n'
    )
    command = [program("mutt"), "-n", "-F", str(rc)]
    with screen(program("tmux"), f"junto{port}", command, home) as look:
        end = time.monotonic() + 30
        shown = look()
        while f"{posts} messages" not in shown:
            assert time.monotonic() < end, shown
            time.sleep(0.2)
            shown = look()
    return "\n".join(line.rstrip() for line in shown.rstrip("\n").split("\n")) + "\n"


async def test_a_thread_of_thirty_posts_over_three_channels_is_one_tree(
    talk: Talk, program: Callable[[str], str], tmp_path: Path
) -> None:
    await talk.open()
    for number, (who, by, parent) in enumerate(SCRIPT, start=1):
        await talk.say(number, who, by, parent)
    await talk.shore.settled()
    assert len(await asyncio.to_thread(talk.dovecot.wait_for, talk.ana, 30)) == 30
    shown = await asyncio.to_thread(seen_in_mutt, program, tmp_path, talk.ana, talk.dovecot.imap_port, 30)
    (tmp_path / "mutt-thread.txt").write_text(shown)
    assert shown == GOLDEN.read_text()
