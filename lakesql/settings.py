"""What a session can change while it runs: `SET lakesql.prune = off`, `SHOW lakesql.prune`. Each setting has a name, a meaning and a way to read its text."""

from __future__ import annotations

from dataclasses import dataclass

from lakesql.config import Config
from lakesql.errors import ConfigError, did_you_mean
from lakesql.travel import zone

DOCS = {
    "lakesql.prune": "on: files that metadata proves useless are left out, and counts come from metadata; off: every file is read, which gives the same rows",
    "lakesql.time_zone": "the zone of instants written without one, in AS OF",
}
"""Every setting, with its meaning."""

_ON, _OFF = frozenset(("on", "true", "1", "yes")), frozenset(("off", "false", "0", "no"))


@dataclass
class Settings:
    """The current values."""

    prune: bool = True
    time_zone: str = "UTC"

    @classmethod
    def of(cls, config: Config) -> Settings:
        """The values a configuration starts with."""
        return cls(time_zone=config.session.time_zone)

    def set(self, name: str, text: str) -> None:
        """Changes one. Raises ConfigError for a name or text that is none."""
        key = _key(name)
        if key == "lakesql.prune":
            if text.lower() not in _ON | _OFF:
                raise ConfigError(f'{key} is on or off, not "{text}"')
            self.prune = text.lower() in _ON
        else:
            zone(text)
            self.time_zone = text

    def values(self) -> dict[str, str]:
        """Every setting as text."""
        return {"lakesql.prune": "on" if self.prune else "off", "lakesql.time_zone": self.time_zone}

    def get(self, name: str) -> str:
        """One setting as text. Raises ConfigError."""
        return self.values()[_key(name)]


def _key(name: str) -> str:
    lowered = name.lower()
    for key in (lowered, f"lakesql.{lowered}"):
        if key in DOCS:
            return key
    raise ConfigError(f'no setting is called "{name}"', hint=did_you_mean(name, DOCS))
