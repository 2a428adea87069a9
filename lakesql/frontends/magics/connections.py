"""The sessions of a notebook, by name: opened when first used, one of them the current one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from lakesql.config import load_config
from lakesql.errors import ConfigError, did_you_mean
from lakesql.frontends.completion_menu import Menu
from lakesql.frontends.completion_names import SessionNames

if TYPE_CHECKING:
    from lakesql.session import Session

DEFAULT = "default"
_MOMENTS_KEPT = 4


@dataclass
class NamedConnection:
    """How a connection is opened, and its sessions: one as it was opened, and some at instants that statements asked for."""

    name: str
    target: str | None = None
    config: str | None = None
    as_of: str | None = None
    _sessions: dict[str | int | datetime | None, Session] = field(default_factory=dict)
    _menu: Menu | None = None

    def session(self, as_of: str | int | datetime | None = None) -> Session:
        """The session, opened if need be. as_of: another version or instant at which it reads tables; its views are not there.

        Raises what Session.open raises.
        """
        from lakesql.session import Session  # loads the engine

        if as_of not in self._sessions:
            if len(self._sessions) > _MOMENTS_KEPT:
                oldest = next(key for key in self._sessions if key is not None)
                self._sessions.pop(oldest).close()
            self._sessions[as_of] = Session.open(self.target, as_of=self.as_of if as_of is None else as_of, config=self.config)
        session = self._sessions[as_of]
        if as_of is not None:
            for setting, value in self.session().settings.values().items():
                if setting != "lakesql.as_of":
                    session.settings.set(setting, value)
        return session

    def menu(self) -> Menu:
        """What completes names of its session. Raises what Session.open raises."""
        if self._menu is None:
            self._menu = Menu(SessionNames(self.session()))
        return self._menu

    def changed(self) -> None:
        """Names may mean something else now."""
        if self._menu is not None:
            self._menu.forget()

    @property
    def is_open(self) -> bool:
        return bool(self._sessions)

    def close(self) -> None:
        """Closes its sessions. It opens them again when it is used again."""
        sessions, self._sessions = self._sessions, {}
        menu, self._menu = self._menu, None
        if menu is not None:
            menu.close()
        for session in sessions.values():
            session.close()


class Connections:
    """All connections of a notebook."""

    def __init__(self) -> None:
        self._named: dict[str, NamedConnection] = {}
        self._current: str | None = None

    def open(self, name: str, target: str | None, *, config: str | None = None, as_of: str | None = None) -> NamedConnection:
        """Opens a connection and makes it the current one; one of the same name is closed. target: also the name of a connection in the configuration.

        Raises what Session.open raises.
        """
        configured = None if target is None else load_config(None, config).shell.connections.get(target)
        if configured is not None:
            target, as_of = configured.target, as_of or configured.as_of
        made = NamedConnection(name, target, config, as_of)
        made.session()
        if name in self._named:
            self._named[name].close()
        self._named[name] = made
        self._current = name
        return made

    def use(self, name: str) -> NamedConnection:
        """Makes a connection the current one. Raises ConfigError."""
        found = self.get(name)
        self._current = name
        return found

    def get(self, name: str | None, default_target: str | None = None) -> NamedConnection:
        """The connection of that name. None: the current one, which without any is the default, on `default_target`. Raises ConfigError."""
        if name is None:
            name = self._current or DEFAULT
            if name not in self._named:
                self._named[name] = NamedConnection(name, default_target)
            self._current = name
        if name not in self._named:
            raise ConfigError(f'no connection is called "{name}"', hint=did_you_mean(name, self._named) or "%lakesql open TARGET opens one")
        return self._named[name]

    def close(self, name: str) -> None:
        """Closes and forgets a connection. Raises ConfigError."""
        self.get(name).close()
        del self._named[name]
        if self._current == name:
            self._current = next(iter(self._named), None)

    def close_all(self) -> None:
        """Closes and forgets all."""
        for name in list(self._named):
            self.close(name)

    @property
    def current(self) -> str | None:
        """The name of the current connection; None before the first."""
        return self._current

    def __iter__(self) -> Iterator[NamedConnection]:
        return iter(self._named.values())
