"""What becomes of a ghost whose author is called otherwise, or is a member no more."""

from __future__ import annotations

from bridges.matrix import MatrixBridge
from bridges.matrix.tests.homeserver import Homeserver
from bridges.matrix.tests.samples import ANA, post
from bridges.matrix.tests.test_private import GHOST, deliver
from server.bridge import MemberItem, PostItem, Sent, Writer
from tests.fakes import RecordingHouse, forum


async def test_a_ghost_is_renamed_and_leaves_with_its_member(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    assert await deliver(bridge, MemberItem(forum(), ANA, False), "!room") == Sent(detail="they have no ghost")
    await deliver(bridge, PostItem(post()), "!room", "post")
    renamed = Writer(ANA.key, "Ana F")
    await deliver(bridge, MemberItem(forum(), renamed, True), "!room", "renamed")
    names = [asked.body["displayname"] for asked in homeserver.asked if asked.path.endswith("/displayname")]
    assert names[-1] == "Ana F"
    assert homeserver.count("/leave") == 0
    for _attempt in range(2):
        await deliver(bridge, MemberItem(forum(), Writer(ANA.key, "A former member"), False), "!room", "gone")
    assert homeserver.count("/rooms/!room/leave") == 1
    told = [
        asked.path.rpartition("/")[2] for asked in homeserver.asked if GHOST in asked.path or "/leave" in asked.path
    ]
    assert told[-3:] == [GHOST, "leave", "displayname"]  # renamed there, gone, and then renamed elsewhere
    joins = homeserver.count("/join/")
    await deliver(bridge, PostItem(post()), "!room", "again")
    assert homeserver.count("/join/") == joins + 1
