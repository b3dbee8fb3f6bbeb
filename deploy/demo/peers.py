"""The three members of the stage at work: what each channel shows goes into the ledger, what they write goes out by their own client."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from secrets import token_hex
from uuid import uuid4

from deploy.demo.community import ANA, BRUNO, CHIDI, DOMAIN, FORUMS, MEMBERS, ROOM, Member
from deploy.demo.ledger import Handed, Ledger, Page
from deploy.demo.mailcatch import PostOffice
from deploy.demo.mailread import Mail, fresh
from deploy.demo.mailwrite import Correspondent, compose, new_id, receiver_of, reply, send
from deploy.demo.panes import event_root
from deploy.demo.patience import until
from deploy.demo.roomuser import TEMPORARY, Account, RoomUser
from deploy.demo.roomview import Message, RoomView
from deploy.demo.state import State
from deploy.demo.webuser import WebUser
from deploy.demo.webwatch import WebWatch

_LINK = re.compile(r"https?://[^\s<>\"]+/sign-in/[A-Za-z2-7]{26}")
ROOM_PATIENCE = 60.0


class NotThere(RuntimeError):
    """The thread has not reached this channel yet; the text says so."""


def alias(forum: str) -> str:
    """The address of a forum's room."""
    return f"#_junto_{forum}:{DOMAIN}"


class Peers:
    """Everybody's clients over one ledger."""

    def __init__(self, state: State, ports: dict[str, int], changed: Callable[[], None]) -> None:
        self.state = state
        self.ports = ports
        self.ledger = Ledger(changed)
        self.office = PostOffice(state.folder("mail"))
        self.base_url = f"http://localhost:{ports['web']}"
        self.web_users: dict[str, WebUser] = {}
        self.room_users: dict[str, RoomUser] = {}
        self.watch = WebWatch(self.web_user(CHIDI), self.ledger, list(FORUMS), self._eager)
        self.room: RoomView | None = None
        for mail in self.office.box(ANA.address):
            self._file(mail, 0.0)
        self.office.arrival = self._arrived

    def _eager(self) -> bool:
        now = time.time()
        return any(entry.page is None and now - entry.at < 180 for entry in self.ledger.handed) or bool(
            self.ledger.handed and now - self.ledger.handed[-1].at < 5
        )

    # Mail
    def _arrived(self, address: str, mail: Mail) -> None:
        if address.lower() == ANA.address:
            self._file(mail, mail.arrived)

    def _file(self, mail: Mail, seen: float) -> None:
        forum = mail.list_slug or mail.to.rpartition("<")[2].partition("@")[0]
        if forum in FORUMS:
            self.ledger.elsewhere("mail", mail.message_id, forum, mail.page, fresh(mail.text), seen)
            self.watch.wake.set()

    async def post_mail(self, member: Member, data: bytes, patience: float = 5.0) -> None:
        """A member's mail program sends, and files its copy."""
        await send(data, member.address, [receiver_of(data)], self.ports["smtp"], patience)
        self.office.keep(member.address, data, sent=True)

    async def say_mail(self, forum: str, root: Page | None, text: str, subject: str, key: str = "") -> Handed:
        """Ana writes: a new thread, or an answer to the newest mail of the thread or to the one of that key."""
        author, message_id = Correspondent(ANA.name, ANA.address), new_id(ANA.address)
        if root:
            data = reply(author, self._answered(root, key), text, message_id=message_id)
        else:
            data = compose(author, f"{forum}@{DOMAIN}", subject, text, message_id=message_id)
        handed = self.ledger.hand("mail", forum, text)
        await self.post_mail(ANA, data)
        return handed

    def _answered(self, root: Page, key: str) -> Mail:
        mails = [
            mail
            for mail in self.office.box(ANA.address)
            if (post := self.ledger.post_of(mail.message_id)) and post.root == root
        ]
        chosen = [mail for mail in mails if mail.key == key] or mails[-1:]
        if not chosen:
            raise NotThere("This thread is not in the mailbox yet.")
        return chosen[0]

    # Web
    def web_user(self, member: Member) -> WebUser:
        """The member's browser."""
        if member.key not in self.web_users:
            kept: dict[str, str] = self.state.part("cookies").setdefault(member.key, {})
            self.web_users[member.key] = WebUser(member.address, self.base_url, kept)
        return self.web_users[member.key]

    async def sign_in(self, member: Member) -> WebUser:
        """The member's browser, signed in by the mailed link if it was not."""
        user = self.web_user(member)
        known = len(self.office.box(member.address))
        await user.sign_in(lambda: self.mailed_link(member, known))
        self.state.save()
        return user

    async def fresh_link(self, member: Member) -> str:
        """A sign-in link that nobody has used yet."""
        known = len(self.office.box(member.address))
        visitor = WebUser(member.address, self.base_url, {})
        try:
            await visitor.request_link()
            return await self.mailed_link(member, known)
        finally:
            await visitor.close()

    async def mailed_link(self, member: Member, known: int, patience: float = 30.0) -> str:
        """The link in the next mail after the first `known` ones. Raises NotThere."""

        def look() -> str | None:
            for mail in self.office.box(member.address)[known:]:
                if found := _LINK.search(mail.text):
                    return found[0]
            return None

        link = await until(look, patience)
        if link is None:
            raise NotThere(f"No sign-in link for {member.address} came within {patience:.0f} s.")
        return link

    async def say_web(self, forum: str, root: Page | None, text: str, subject: str) -> Handed:
        """Chidi writes: a new thread, or an answer by the form under the thread."""
        handed = self.ledger.hand("web", forum, text)
        path = f"/f/{root[0]}/{root[1]}/reply" if root else f"/f/{forum}/new"
        await self.web_user(CHIDI).write(path, text, subject)
        self.watch.wake.set()
        return handed

    # Room
    async def enter_rooms(self, homeserver: str, accounts: dict[str, Account]) -> None:
        """Everybody signs in with their password and joins; Bruno's client is the one that is shown."""
        for key, account in accounts.items():
            kept: dict[str, str] = self.state.part("devices").setdefault(key, {})
            user = self.room_users[key] = RoomUser(account, homeserver, DOMAIN, kept)
            await user.sign_in()
        self.state.save()
        view = RoomView(self.room_users[BRUNO.key], self._heard)
        for forum in FORUMS:
            await view.enter(alias(forum), ROOM_PATIENCE)
            for user in self.room_users.values():
                await user.join(alias(forum), ROOM_PATIENCE)
        self.room = view
        for message in view.all():
            self._heard(message, 0.0)

    def _heard(self, message: Message, seen: float | None = None) -> None:
        forum = self.forum_of(message.room)
        if forum:
            at = message.seen if seen is None else seen
            self.ledger.elsewhere("room", message.id, forum, message.page, message.body, at)
            self.watch.wake.set()

    def forum_of(self, room: str) -> str:
        """The forum of a room's id, "" for other rooms."""
        found = {identity: name for name, identity in (self.room.aliases if self.room else {}).items()}
        return found.get(room, "").partition(":")[0].removeprefix("#_junto_")

    def thread_event(self, root: Page) -> tuple[Message, list[Message]] | None:
        """The thread in the room: its opener and the answers, if it is there."""
        room = self.room.room(alias(root[0])) if self.room else None
        threads = room.threads() if room else []
        return next((found for found in threads if event_root(found[0], self.ledger) == root), None)

    async def say_room(self, forum: str, root: Page | None, text: str) -> Handed:
        """Bruno writes: at room level, or in the Matrix thread."""
        room = self.room.room(alias(forum)) if self.room else None
        if room is None:
            raise NotThere("The room has not opened yet.")
        handed, transaction = self.ledger.hand("room", forum, text), uuid4().hex
        user = self.room_users[BRUNO.key]
        if root is None:
            await user.write(room.id, text, transaction=transaction)
            return handed
        found = self.thread_event(root)
        if found is None:
            self.ledger.handed.remove(handed)
            raise NotThere("This thread is not in the room yet.")
        opener, answers = found
        latest = answers[-1].id if answers else opener.id
        await user.write(room.id, text, transaction=transaction, root=opener.id, latest=latest)
        return handed

    async def close(self) -> None:
        """Closes every client."""
        users: list[WebUser | RoomUser] = [*self.web_users.values(), *self.room_users.values()]
        for user in users:
            with contextlib.suppress(*TEMPORARY):
                await user.close()


def accounts(state: State) -> dict[str, Account]:
    """The Matrix accounts of the members in the room; passwords are made once."""
    kept = state.part("passwords")
    return {
        member.key: Account(member.key, member.name, kept.setdefault(member.key, token_hex(6)))
        for member in MEMBERS.values()
        if member.channel == ROOM
    }
