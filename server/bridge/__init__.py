"""THE PORT: what a bridge may say to the server and what the server says to a bridge. No I/O, no rules, no bridge by name.

A bridge is a folder under `bridges/` whose package offers two names:

* `Settings`: a pydantic model, its section of `junto.toml`; each field has a default and a description;
* `create(house, settings) -> Bridge | None`: None when the settings turn it off.

It imports this package and the ground (`config errors log metrics clock limits tokens i18n render subjects`), nothing else of the server.
It hears (`run`, handing what came to `house.accept`) and says (`deliver`). What it raises in `run` is `Rejected` or `Deferred`.
Both sides import every name from here; the files are for reading, one idea each.
"""

from __future__ import annotations

from server.bridge.abilities import (
    Bridge,
    Check,
    Checks,
    Claims,
    Commands,
    ForumDefaults,
    Health,
    Reader,
    Source,
    Way,
    Ways,
)
from server.bridge.house import House, Kept, Rows
from server.bridge.inbound import (
    Accepted,
    Act,
    Bounce,
    Correct,
    Duplicate,
    Edit,
    Held,
    Inbound,
    Join,
    Leave,
    Letter,
    NewPost,
    Reaction,
    Report,
    Request,
    Result,
    Retract,
)
from server.bridge.lots import Failed, Later, Lot, Outcome, Sent, Settle, Target, Traits
from server.bridge.outbound import (
    Community,
    CorrectionItem,
    DigestEntry,
    DigestItem,
    EditItem,
    File,
    Forum,
    LetterItem,
    NoticeItem,
    Outbound,
    Post,
    PostItem,
    ReactionItem,
    RetractionItem,
    StateItem,
    Writer,
)
from server.bridge.shared import MESSAGE_ID, WEB, Attachment, Author, Doubt, Proof, Ref, Refusal, Spam

__all__ = [
    "MESSAGE_ID",
    "WEB",
    "Accepted",
    "Act",
    "Attachment",
    "Author",
    "Bounce",
    "Bridge",
    "Check",
    "Checks",
    "Claims",
    "Commands",
    "Community",
    "Correct",
    "CorrectionItem",
    "DigestEntry",
    "DigestItem",
    "Doubt",
    "Duplicate",
    "Edit",
    "EditItem",
    "Failed",
    "File",
    "Forum",
    "ForumDefaults",
    "Health",
    "Held",
    "House",
    "Inbound",
    "Join",
    "Kept",
    "Later",
    "Leave",
    "Letter",
    "LetterItem",
    "Lot",
    "NewPost",
    "NoticeItem",
    "Outbound",
    "Outcome",
    "Post",
    "PostItem",
    "Proof",
    "Reaction",
    "ReactionItem",
    "Reader",
    "Ref",
    "Refusal",
    "Report",
    "Request",
    "Result",
    "Retract",
    "RetractionItem",
    "Rows",
    "Sent",
    "Settle",
    "Source",
    "Spam",
    "StateItem",
    "Target",
    "Traits",
    "Way",
    "Ways",
    "Writer",
]
