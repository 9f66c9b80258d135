"""Settings: one frozen object, read once from the environment (CHANGKE_*) and from `changke.toml` at home."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from changke.kernel.i18n import Locale, parse_locale


def default_home() -> Path:
    """Return the folder for data and keys: /var/lib/changke for root, else ~/.local/share/changke."""
    if os.geteuid() == 0:
        return Path("/var/lib/changke")
    return Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")).expanduser() / "changke"


class Settings(BaseSettings):
    """Everything that can be set from outside. Unknown names in the file are refused."""

    model_config = SettingsConfigDict(env_prefix="CHANGKE_", frozen=True, extra="forbid")

    home: Path = Field(default_factory=default_home, description="folder for the embedded server, keys and logs")
    database_url: str | None = Field(default=None, description="any PostgreSQL 15 or later; empty: the embedded server")
    host: str = Field(default="127.0.0.1", description="address the server listens on")
    port: int = Field(default=8700, ge=1, le=65535, description="port the server listens on")
    pool_size: int = Field(default=16, ge=2, le=200, description="database connections of one process")
    pool_timeout_seconds: float = Field(default=2.0, gt=0, le=60, description="longest wait for a connection")
    lock_timeout_ms: int = Field(default=2000, ge=10, le=60000, description="longest wait for a member's lock")
    statement_timeout_ms: int = Field(default=60000, ge=100, le=3_600_000, description="longest statement of a request")
    lanes: str = Field(default="0-15", description="lanes of the event log this worker reads, as in 0-7")
    default_region: str = Field(
        default="CN", min_length=2, max_length=2, description="region of phones without a prefix"
    )
    language: str | None = Field(default=None, description="zh or en for the command line; empty: from LANG")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    rate_limit_per_second: int = Field(default=2000, ge=1, le=1_000_000, description="calls a second of one API key")
    event_log_retention_days: int = Field(default=7, ge=1, le=3650)
    telemetry_endpoint: str | None = Field(default=None, description="OTLP/HTTP collector; needs changke[telemetry]")
    mqtt_url: str | None = Field(default=None, description="mqtt://user:secret@host:port; needs changke[mqtt]")
    mqtt_topics: str = Field(
        default="changke/{source}/events", description="MQTT topics: patterns with + or {name}, =event.type behind"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, changke.toml."""
        home = Path(os.environ.get("CHANGKE_HOME") or default_home())
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, home / "changke.toml")

    @property
    def locale(self) -> Locale:
        """The language of the command line."""
        return parse_locale(self.language or os.environ.get("LC_ALL") or os.environ.get("LANG"))

    @property
    def lane_numbers(self) -> tuple[int, ...]:
        """The lanes this worker reads, as numbers."""
        first, _, last = self.lanes.partition("-")
        return tuple(range(int(first), int(last or first) + 1))
