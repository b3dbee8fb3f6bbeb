"""What the demo writes and says before anything runs: the configuration, the sample."""

from __future__ import annotations

import tomllib

from deploy.demo.community import FORUMS, MEMBERS, seed_threads
from deploy.demo.junto import set_values
from deploy.demo.picture import bars, tide_curve

TOML = """# Comments stay.
[server]
base_url = "http://localhost:8080"  # public address
data_dir = "var"  # database

[web]
listen = "127.0.0.1:8080"  # host:port
"""


def test_values_are_set_and_comments_stay() -> None:
    text = set_values(TOML, {"server": {"base_url": "http://x:1", "operator": "o@x"}, "matrix": {"nets": ["a", "b"]}})
    assert 'base_url = "http://x:1"  # public address' in text
    assert text.startswith("# Comments stay.\n")
    assert tomllib.loads(text) == {
        "server": {"base_url": "http://x:1", "data_dir": "var", "operator": "o@x"},
        "web": {"listen": "127.0.0.1:8080"},
        "matrix": {"nets": ["a", "b"]},
    }
    assert set_values(text, {"server": {"operator": "o@x"}}) == text


def test_the_sample_is_what_a_visitor_is_promised() -> None:
    threads = seed_threads()
    posts = [post for thread in threads for post in thread.posts]
    assert len(threads) >= 12
    assert {thread.forum for thread in threads} == set(FORUMS)
    assert {post.by.channel for post in posts} == {"mail", "room", "web"}
    assert {post.by.key for post in posts} == set(MEMBERS)
    assert any(post.picture for post in posts)
    assert any("```python" in post.text for post in posts)
    assert any(post.was for post in posts)
    assert any(post.signs for post in posts)
    assert any(thread.talk for thread in threads)
    assert max(len(thread.posts) for thread in threads) >= 10
    for thread in threads:
        for index, post in enumerate(thread.posts):
            if index == 0 or (thread.talk and post.to is None):
                assert post.to is None
            else:
                assert post.to is not None
                assert post.to < index
            assert not (post.was or thread.talk) or post.by.channel == "room"
            assert all(MEMBERS[key].channel == "room" for key in post.signs)
            assert bool(post.days) <= (post.by.channel == "mail")
        assert bool(thread.subject) == (thread.posts[0].by.channel != "room")


def test_drawings_are_png_files() -> None:
    for picture in (tide_curve(), bars([1, 3, 2])):
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert picture.endswith(b"IEND\xaeB`\x82")
