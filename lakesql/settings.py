"""What a session can change while it runs: `SET lakesql.prune = off`, `SHOW lakesql.prune`. Each setting has a name, a meaning and a way to read its text."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field

from lakesql.config import Config
from lakesql.errors import ConfigError, did_you_mean
from lakesql.location import absolute, is_local
from lakesql.table import At
from lakesql.travel import at_default, zone

DOCS = {
    "lakesql.prune": "on: files that metadata proves useless are left out, and counts come from metadata; off: every file is read, which gives the same rows",
    "lakesql.time_zone": "the zone of instants written without one, in AS OF",
    "lakesql.as_of": "the instant or version at which every table is read, unless the statement says otherwise; latest: as it stands",
    "lakesql.poll_interval": "seconds between looks for new commits, in TAIL",
    "lakesql.consumers": "the file with the positions of named consumers",
}
"""Every setting, with its meaning."""

LATEST = "latest"

_ON, _OFF = frozenset(("on", "true", "1", "yes")), frozenset(("off", "false", "0", "no"))


@dataclass
class Settings:
    """The current values. as_of: None for the latest state of every table; as_of_text: as it was given. defaults: what RESET goes back to."""

    prune: bool = True
    time_zone: str = "UTC"
    as_of: At | None = None
    as_of_text: str = LATEST
    poll_interval_seconds: float = 1.0
    consumers: str = ""
    defaults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config, as_of: At | None = None) -> Settings:
        """The values a configuration starts with. as_of: of the connection."""
        session = config.session
        made = cls(time_zone=session.time_zone, poll_interval_seconds=session.poll_interval_seconds or 1.0, consumers=session.consumers or consumers_file())
        made.pin(as_of)
        made.defaults = made.values()
        return made

    def pin(self, as_of: At | None) -> None:
        """Reads every table at this state from now on."""
        self.as_of, self.as_of_text = as_of, LATEST if as_of is None else str(getattr(as_of, "text", LATEST))

    def set(self, name: str, text: str) -> None:
        """Changes one; DEFAULT is what it was at the start. Raises ConfigError for a name or text that is none."""
        key = _key(name)
        if text.upper() == "DEFAULT" and key in self.defaults:
            text = self.defaults[key]
        match key:
            case "lakesql.prune":
                if text.lower() not in _ON | _OFF:
                    raise ConfigError(f'{key} is on or off, not "{text}"')
                self.prune = text.lower() in _ON
            case "lakesql.as_of":
                self.pin(None if text.lower() == LATEST else at_default(text, self.time_zone))
            case "lakesql.poll_interval":
                self.poll_interval_seconds = _seconds(key, text)
            case "lakesql.consumers":
                self.consumers = _local(key, text)
            case _:
                zone(text)
                self.time_zone = text

    def reset(self, name: str | None) -> None:
        """Goes back to what it was at the start; None: all of them. Raises ConfigError."""
        for key in self.defaults if name is None else (_key(name),):
            self.set(key, "DEFAULT")

    def values(self) -> dict[str, str]:
        """Every setting as text."""
        return {
            "lakesql.prune": "on" if self.prune else "off",
            "lakesql.time_zone": self.time_zone,
            "lakesql.as_of": self.as_of_text,
            "lakesql.poll_interval": f"{self.poll_interval_seconds:g}",
            "lakesql.consumers": self.consumers,
        }

    def get(self, name: str) -> str:
        """One setting as text. Raises ConfigError."""
        return self.values()[_key(name)]


def consumers_file() -> str:
    """Where positions of consumers are kept where nothing else is said: `lakesql/consumers.db` in the user's XDG state directory."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "lakesql", "consumers.db")


def _seconds(key: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(f'{key} is "{text}", no number of seconds above 0')
    return seconds


def _local(key: str, text: str) -> str:
    place = absolute(text)
    if not is_local(place):
        raise ConfigError(f'{key} is "{text}", which is no file of this machine')
    return place


def _key(name: str) -> str:
    lowered = name.lower()
    for key in (lowered, f"lakesql.{lowered}"):
        if key in DOCS:
            return key
    raise ConfigError(f'no setting is called "{name}"', hint=did_you_mean(name, DOCS))
