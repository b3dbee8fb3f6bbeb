"""The `[matrix]` section of `junto.toml`. Checks the form of values only; touches no network and no file."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from bridges.matrix.names import is_server_name, split_user
from server.config import Section, host_port


class Settings(Section):
    """How to reach the homeserver, and where it reaches us."""

    homeserver: str = Field(
        "", description='address of the homeserver, such as https://matrix.example.org; "" turns the bridge off'
    )
    server_name: str = Field("", description="the part after the colon in @user:example.org")
    mode: str = Field(
        "appservice", description='"appservice", which the homeserver\'s admin registers, or "bot", an ordinary account'
    )
    user: str = Field("", description="the account of a bot, such as @junto:example.org")
    token_file: str = Field(
        "var/matrix-token.json", description="where a bot's token and device are kept; made by `junto matrix login`"
    )
    listen: str = Field("127.0.0.1:8009", description="host:port where the homeserver pushes to")
    registration: str = Field(
        "var/matrix-registration.yaml", description="the registration file, made at the first start; never overwritten"
    )

    @field_validator("homeserver")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc):
            raise ValueError('must be an address such as https://matrix.example.org, or "" to turn the bridge off')
        return value.rstrip("/")

    @field_validator("server_name")
    @classmethod
    def _name(cls, value: str) -> str:
        if value and not is_server_name(value):
            raise ValueError("must be a server name such as example.org, without https:// and without a path")
        return value.lower()

    @field_validator("mode")
    @classmethod
    def _mode(cls, value: str) -> str:
        if value not in ("appservice", "bot"):
            raise ValueError('must be "appservice" or "bot"')
        return value

    @field_validator("user")
    @classmethod
    def _user(cls, value: str) -> str:
        if value and split_user(value) is None:
            raise ValueError("must be a Matrix id such as @junto:example.org")
        return value

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        host_port(value)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.homeserver and self.mode == "bot":
            if not self.user:
                raise ValueError('mode is "bot", so user is needed too: its account, such as @junto:example.org')
            server = self.user.partition(":")[2]
            if self.server_name and self.server_name != server.lower():
                raise ValueError(f"user is of {server}, so server_name must be that too, or empty")
            object.__setattr__(self, "server_name", server)
        if self.homeserver and not self.server_name:
            raise ValueError("homeserver is set, so server_name is needed too: the part after the colon in user ids")
        return self
