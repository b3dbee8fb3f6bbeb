"""A digest as the server hands it over, for the tests of composing."""

from __future__ import annotations

from bridges.email.tests.posts import VIA, file, post
from server.bridge import DigestEntry, DigestItem, Post, Writer
from tests.fakes import forum

PATTERN = """\
I went down at low water this morning and counted along the north face, from the rusty ladder to the cleft. \
Forty limpets on the first two metres, which is more than in any year since we began.

Two things I noticed:

 - the home scars are all on the shaded side
 - nothing grazes above the line of the barnacles

    quadrat   limpets   dogwhelks
    1              14           2
    2              26           0

Has anybody seen the same at the south end?
"""
RICH = """\
<p>Same here, but <b>only</b> below the barnacles. I drew it up:</p>
<blockquote class="quote"><p>the home scars are all on the shaded side</p></blockquote>
<p>At ours they are on both. See <a href="https://tides.example/charts?area=south&amp;year=2026">the chart of the south end</a>
and the counts:</p>
<table><tr><th>quadrat</th><th>limpets</th></tr><tr><td>1</td><td>9</td></tr><tr><td>2</td><td>31</td></tr></table>
<pre>for each in quadrats:
    print(each.name, len(each.limpets), "limpets in this quadrat, counted twice by two people")</pre>
<p><img src="blob:HASH" alt="ladder"></p>
"""
RICH_TEXT = """\
Same here, but only below the barnacles. I drew it up:

> the home scars are all on the shaded side

At ours they are on both. See the chart of the south end <https://tides.example/charts?area=south&year=2026> and the counts.
"""


def words(number: int, name: str, text: str, html: str = "", **more: object) -> Post:
    """A post of that person with these new words."""
    paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in text.strip().split("\n\n"))
    return post(
        id=number,
        number=number,
        url=f"https://talk.test/f/tides/{number}",
        message_id=f"<{number}@members.test>",
        writer=Writer(f"key{number}", name, VIA),
        text=text,
        fresh_text=text,
        fresh_html=html or paragraphs,
        **{"written_at": 1_793_600_000_000 + number * 4_000_000} | more,
    )


def entry(of: Post, thread: int, topic: str, answers: str = "") -> DigestEntry:
    return DigestEntry(
        of, f"{of.number:0>2}".translate(str.maketrans("0123456789", "abcdefghij")) * 13, thread, topic, answers
    )


def item(*entries: DigestEntry, **changes: object) -> DigestItem:
    values: dict[str, object] = {
        "id": 5,
        "forum": forum(),
        "message_id": "<0199b1c0-0000-7000-8000-0000000000d5@lists.test>",
        "created_at": 1_793_689_200_000,
        "entries": entries or sample(),
        "timezone": "Europe/Lisbon",
        "subject": "Tide pools digest, 3 Nov 2026: 5 posts",
        "reply": "w" * 26,
    }
    return DigestItem(**(values | changes))  # type: ignore[arg-type]


def sample() -> tuple[DigestEntry, ...]:
    """Five posts in two threads, by three people."""
    limpets, buckets = "Limpets on the north face", "Who brings buckets & nets on Saturday? <bring your own>"
    ladder = file("ladder.png", b"a picture of a ladder", size=840_000)
    return (
        entry(words(11, "Ana Mariño", PATTERN, f"<pre>{PATTERN}</pre>"), 1, limpets),
        entry(
            words(12, "Bruno Öst", RICH_TEXT, RICH.replace("HASH", ladder.hash), files=(ladder,)),
            1,
            limpets,
            "Ana Mariño",
        ),
        entry(words(15, "Chidi", "Twelve at the south end, all of them small."), 1, limpets, "Bruno Öst"),
        entry(words(13, "Dolores", "I have three buckets, and no net.\n\nThe tide turns at eleven."), 2, buckets),
        entry(words(14, "Ana Mariño", "I bring two nets."), 2, buckets, "Dolores"),
    )
