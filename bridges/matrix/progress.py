"""How far a post has come in a room, kept while it is not there to its end. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from bridges.matrix.compose import Form
from bridges.matrix.uploads import Upload


@dataclass
class Progress:
    """`events` by slot, in the order they were sent; `media` by hash; `shown` are the hashes of pictures in the text that was sent."""

    form: Form = Form.WHOLE
    events: dict[str, str] = field(default_factory=dict)
    media: dict[str, Upload] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    def stored(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, stored: str | None) -> Progress:
        if stored is None:
            return cls()
        found = json.loads(stored)
        media = {hash: Upload(**upload) for hash, upload in found["media"].items()}
        return cls(Form(found["form"]), found["events"], media, found["shown"])
