"""What was typed, kept in a file that only its owner can read, with secrets left out.

One entry is a line of JSON, so that statements of several lines are one entry. The file is cut when it has grown to twice what is kept.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

from lakesql.hidden import hidden

KEPT_ENTRIES = 10_000
_SECRET = re.compile(
    r"(?ix) \b(password|passwd|pwd|secret(?:_?access)?(?:_?key)?|token|credential|api_?key|access_?key(?:_?id)?|sas_?token|account_?key|private_?key) \b"
    r" ['\"]? (?: \s* (?:=>|:=|=|:) \s* ['\"]? \S | \s+ ['\"] \S )"
    r" | ://[^/\s:@'\"]+:[^/\s@'\"]+@ | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b | [?&](?:sig|signature|X-Amz-Signature|sv)= "
)


def holds_secret(text: str) -> bool:
    """Whether a text seems to hold a password, key or token: it is not written down.

    >>> holds_secret("SET x.secret_access_key = 'abc'"), holds_secret("SELECT * FROM 's3://u:pw@h/t'"), holds_secret("SELECT token FROM t")
    (True, True, False)
    """
    return bool(_SECRET.search(text)) or hidden(text) != text


def state_folder() -> Path:
    """Where the shell keeps what it remembers: $XDG_STATE_HOME/lakesql."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.local/state")) / "lakesql"


class FileHistory(History):
    """Entries in a file. One that cannot be read or written is no error: the shell remembers for as long as it runs."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def load_history_strings(self) -> Iterable[str]:
        """The newest first, each text once."""
        return dict.fromkeys(reversed(self._entries()))

    def append_string(self, string: str) -> None:
        """Does nothing: what was submitted may be many statements, each of which the shell adds by itself."""

    def add(self, string: str) -> None:
        """Adds an entry, unless it is the last one again."""
        if string.strip() and self.get_strings()[-1:] != [string]:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """Adds an entry at the end."""
        if holds_secret(string):
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "a", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(json.dumps(string, ensure_ascii=False) + "\n")
        except OSError:
            return

    def trim(self) -> None:
        """Keeps the newest entries of a file that has grown long."""
        entries = self._entries()
        if len(entries) < 2 * KEPT_ENTRIES:
            return
        try:
            handle, name = tempfile.mkstemp(dir=self.path.parent)  # 0600
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(e, ensure_ascii=False) + "\n" for e in entries[-KEPT_ENTRIES:])
            os.replace(name, self.path)
        except OSError:
            return

    def _entries(self) -> list[str]:
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        entries = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, str) and entry.strip():
                entries.append(entry)
        return entries


class SavedQueries:
    """Queries that were given a name (`\\ns`), in a file of the same kind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> dict[str, str]:
        """Every query by its name."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def save(self, queries: dict[str, str]) -> None:
        """Writes them all. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(queries, file, ensure_ascii=False, indent=1, sort_keys=True)
        os.replace(name, self._path)
