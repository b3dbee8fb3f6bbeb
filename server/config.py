"""`junto.toml`: sections, defaults, and every problem named at once. Imports only the ground.

The server's own sections stand here; each bridge brings its section as a pydantic model and `load` is handed them.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from server.errors import ConfigError


class Section(BaseModel):
    """Base of every section: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSection(Section):
    base_url: str = Field("http://localhost:8080", description="public address, used in every link")
    data_dir: str = Field("var", description="database, attachments, keys")
    operator: str = Field("", description="where postmaster@ and abuse@ go; empty: their mail is kept in the database")

    @field_validator("operator")
    @classmethod
    def _address(cls, value: str) -> str:
        if value.strip() and "@" not in value:
            raise ValueError("must be an address such as ana@example.org")
        return value.strip()

    @field_validator("base_url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("must be an address such as https://talk.example.org")
        return value.rstrip("/")


class DatabaseSection(Section):
    url: str = Field(
        "sqlite:///var/junto.db",
        description="or postgresql://user:pw@host/name; a relative path is relative to this file",
    )

    @field_validator("url")
    @classmethod
    def _engine(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        if "user:pw@host" in value:
            raise ValueError("still holds the example user and password: write the real ones")
        return value


class WebSection(Section):
    listen: str = Field("127.0.0.1:8080", description="host:port of the pages")

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        host_port(value)
        return value


OWN_SECTIONS: Mapping[str, type[Section]] = {"server": ServerSection, "database": DatabaseSection, "web": WebSection}


class Config(BaseModel):
    """What was read: our own sections, and each bridge's under its name."""

    model_config = ConfigDict(frozen=True)

    server: ServerSection
    database: DatabaseSection
    web: WebSection
    bridges: dict[str, Any]
    root: Path  # the directory that relative paths are relative to

    @property
    def data_dir(self) -> Path:
        return self.root / self.server.data_dir

    @property
    def database_url(self) -> str:
        """The URL with a relative SQLite path made absolute."""
        prefix = "sqlite:///"
        if self.database.url.startswith(prefix):
            return prefix + str((self.root / self.database.url.removeprefix(prefix)).resolve())
        return self.database.url


def host_port(value: str) -> tuple[str, int]:
    """Split "host:port". Raises ValueError with a sentence that says what is wanted."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ValueError("must be host:port, for example 127.0.0.1:8080")
    return host.strip("[]"), int(port)


class _Read(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="JUNTO_", env_nested_delimiter="__", extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def find(path: str | None) -> Path:
    """The file that `--config`, `$JUNTO_CONFIG` or the working directory names."""
    return Path(path or os.environ.get("JUNTO_CONFIG") or "junto.toml")


def load(path: Path, bridge_sections: Mapping[str, type[BaseModel]]) -> Config:
    """Read the file and the environment. Raises ConfigError with every problem, each with its key."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no {path}: run `junto init` here, or name the file with --config.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} is not valid TOML: {problem}") from None
    return parse(data, path.resolve().parent, bridge_sections)


def parse(data: dict[str, Any], root: Path, bridge_sections: Mapping[str, type[BaseModel]]) -> Config:
    """As `load`, of data that is read already."""
    sections: dict[str, type[BaseModel]] = {**OWN_SECTIONS, **bridge_sections}
    fields: dict[str, Any] = {name: (model, Field(default_factory=model)) for name, model in sections.items()}
    reader = create_model("Settings", __base__=_Read, **fields)
    try:
        read = reader(**data)
    except ValidationError as error:
        raise ConfigError("\n".join(_problems(error, sections))) from None
    return Config(
        server=getattr(read, "server"),  # noqa: B009
        database=getattr(read, "database"),  # noqa: B009
        web=getattr(read, "web"),  # noqa: B009
        bridges={name: getattr(read, name) for name in bridge_sections},
        root=root,
    )


def _problems(error: ValidationError, sections: Mapping[str, type[BaseModel]]) -> list[str]:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            section = str(problem["loc"][0])
            known = sections[section].model_fields if section in sections else sections
            lines.append(f"{key}: there is no such key; known here are: {', '.join(known)}.")
        else:
            lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}.")
    return lines


def example(
    bridge_sections: Mapping[str, type[BaseModel]], values: Mapping[str, Mapping[str, Any]] | None = None
) -> str:
    """A whole `junto.toml` with every key, its default and its comment; `values` replace defaults."""
    lines = ["# Junto's configuration. Every key has a default; JUNTO_SECTION__KEY in the environment overrides.", ""]
    for name, model in {**OWN_SECTIONS, **bridge_sections}.items():
        lines.append(f"[{name}]")
        for key, info in model.model_fields.items():
            value = (values or {}).get(name, {}).get(key, info.get_default(call_default_factory=True))
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}  # {info.description}")
        lines.append("")
    return "\n".join(lines)
