"""How one takes part by the other channels, as their bridges tell it. Names none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from server import bridge
from server.archive import portable
from server.archive.masking import Mask


def to_forum(bridges: Mapping[str, bridge.Bridge], forum: bridge.Forum) -> list[tuple[str, bridge.Way]]:
    """(channel, way) of writing to the forum."""
    able = [(name, b) for name, b in bridges.items() if isinstance(b, bridge.Ways)]
    return [(name, way) for name, b in able for way in b.ways(forum, None)]


def channels(bridges: Mapping[str, bridge.Bridge]) -> list[str]:
    """The channels whose ways name posts, for `posts`."""
    return [name for name, b in bridges.items() if isinstance(b, bridge.Ways)]


def posts(tx: Connection, names: list[str], post_id: int, base_url: str) -> dict[str, bridge.Post]:
    """The post as each of these channels knows it."""
    return {name: portable.port_post(tx, post_id, name, base_url) for name in names}


def to_post(bridges: Mapping[str, bridge.Bridge], posts: Mapping[str, bridge.Post]) -> list[tuple[str, bridge.Way]]:
    """(channel, way) of answering the post; a stranger sees them, so no subject tells an address."""
    able = [(post, name, b) for name, post in posts.items() if isinstance(b := bridges[name], bridge.Ways)]
    return [(name, way) for post, name, b in able for way in b.ways(post.forum, _masked(post))]


def _masked(post: bridge.Post) -> bridge.Post:
    return replace(post, subject=Mask(post.forum.slug, post.forum.mail_domain).text(post.subject))
