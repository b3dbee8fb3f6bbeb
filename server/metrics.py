"""Everything that is counted, declared in one place with its help text. Imports nothing of ours.

Labels hold only small fixed sets of words (a channel, a part, an outcome), never a forum's or a person's name.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ACCEPTED = Counter("junto_posts_total", "Inbound things by channel and result", ["channel", "result"])
ATTEMPTS = Counter("junto_attempts_total", "Delivery attempts by channel and outcome", ["channel", "outcome"])
QUEUED = Gauge("junto_queue_deliveries", "Deliveries that are not settled, by channel and state", ["channel", "state"])
BOUNCES = Counter("junto_bounces_total", "What came back, by what it says of the mailbox; complaints", ["kind"])
STOPPED = Counter("junto_stopped_total", "Mailboxes to which nothing more is sent, by reason", ["reason"])
COMMIT_SECONDS = Histogram("junto_commit_seconds", "Time of a write group from begin to commit")
GROUP_SIZE = Histogram(
    "junto_commit_group_size", "Units of work committed together", buckets=(1, 2, 5, 10, 20, 50, 100)
)
HELD = Counter("junto_held_total", "Posts that had to wait for somebody's word, by reason", ["reason"])
LOOP_ERRORS = Counter("junto_loop_errors_total", "Unexpected errors at a loop's edge, by part", ["part"])
QUARANTINED = Counter("junto_quarantined_total", "Foreign events kept aside because they raised", ["channel"])
PART_UP = Gauge("junto_part_up", "1 if a part works, 0 if it is degraded", ["part"])
REQUESTS = Counter("junto_requests_total", "Web requests by status class", ["status"])
