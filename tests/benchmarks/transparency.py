"""Whether mail of real lists goes on without breaking what its author's domain signed.

`python -m tests.benchmarks.transparency DIRECTORY…` passes each message through and compares, for each aligned DKIM signature, the header
bytes that it signs and the canonical body before and after, as dkimpy reads them. Messages whose `h=` names one of the three fields
that we must change are counted beside. Ends with 1 where fewer than 99.9 % of the others stay the same.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import dkim
from dkim.canonicalization import CanonicalizationPolicy

from bridges.email import headers, passage
from bridges.email.compose import MUST, Passage, compose
from bridges.email.dkim_check import Signature, message, signatures
from bridges.email.tests.posts import mailed, target
from tests.benchmarks.mailfiles import messages

WANTED = 0.999
LEAVE_URL, MUTE_URL = "https://talk.test/leave/", "https://talk.test/mute/"


def _aligned(signature: Signature, author: str) -> bool:
    """Relaxed, as far as it can be told without a DNS: one is the other, or below it."""
    one = signature.domain
    return one == author or one.endswith("." + author) or author.endswith("." + one)


def _covered(raw: bytes, signature: Signature) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The header fields that the signature signs and the body, in the forms that are hashed."""
    fields, body = dkim.rfc822_parse(raw)
    kinds = ["relaxed" if relaxed else "simple" for relaxed in (signature.relaxed_header, signature.relaxed_body)]
    form = CanonicalizationPolicy.from_c_value("/".join(kinds).encode())
    chosen = dkim.select_headers(form.canonicalize_headers(fields), signature.names)
    return [tuple(field) for field in chosen], form.canonicalize_body(body)


def _kept(raw: bytes, sent: bytes, signature: Signature) -> bool:
    return _covered(raw, signature) == _covered(sent, signature)


def _look(name: str, raw: bytes, count: Counter[str]) -> None:
    of = message(raw)
    author = passage.author_domain(of.fields)
    theirs = [one for one in signatures(of.fields) if author is not None and _aligned(one, author)]
    post = mailed(raw)
    able = [one for one in theirs if not MUST & set(one.names)]
    promised = passage.promised([one for one in passage.survivors(post, of.fields) if one in theirs])
    count["messages"] += 1
    if not theirs:
        return
    count["aligned signature"] += 1
    count["body is what was signed"] += all(of.holds_body_of(one) for one in theirs)
    sent = compose(post, {}, LEAVE_URL, Passage(promised=promised), MUTE_URL).copy(target(mute="m" * 26))
    if not able:
        count["over one of the three"] += 1
        count["over one of the three, body the same"] += all(
            _covered(raw, one)[1] == _covered(sent, one)[1] for one in theirs
        )
        return
    count["others"] += 1
    if all(_kept(raw, sent, one) for one in able):
        count["others, the same"] += 1
    else:
        print("BROKEN", name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="+")
    count: Counter[str] = Counter()
    for where in parser.parse_args().directory:
        found: Counter[str] = Counter()
        for name, raw in messages(where):
            section, _gap, body = headers.cut(raw)
            crlf = b"".join((*headers.tidy(section), headers.CRLF, headers.mended(body)))
            try:
                _look(name, crlf, found)
            except dkim.MessageFormatError:
                found["no header that dkimpy reads"] += 1
        print(where.name, dict(found))
        count += found
    share = count["others, the same"] / count["others"] if count["others"] else 1.0
    print(f"together {dict(count)}", f"the same: {share:.4%} of {count['others']}", sep="\n")
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
