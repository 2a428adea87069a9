"""What the command line says on standard error: errors, notices, statistics. Never a character that a terminal would obey."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator
from typing import TextIO

from lakesql.errors import Error, InterfaceError
from lakesql.frontends.footer import Facts, footer_json
from lakesql.frontends.progress import ProgressLine

_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Words:
    """Writes to standard error, one line or block at a time. That it cannot be written to is nobody's error."""

    def __init__(self, stderr: TextIO | None, *, quiet: bool = False, debug: bool = False) -> None:
        self._stderr = stderr
        self.quiet = quiet
        self.debug = debug

    def say(self, text: str) -> None:
        """Text that must be seen."""
        if self._stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stderr.write(self.harmless(text) + "\n")
                self._stderr.flush()

    @staticmethod
    def harmless(text: str) -> str:
        """The text with everything that a terminal would obey, line feeds aside, written as escapes."""
        return _OBEYED.sub(lambda m: m[0].encode("unicode_escape", "surrogatepass").decode(), text)

    def notice(self, text: str) -> None:
        """Text that --quiet leaves out."""
        if not self.quiet:
            self.say(f"note: {text}")

    def error(self, error: BaseException, place: str | None = None) -> None:
        """An error: its SQLSTATE, message, marked SQL and hint; with debug its traceback comes first. place: of the statement, None where it is plain."""
        if self.debug:
            self.say("".join(traceback.format_exception(error)).rstrip())
        where = "" if place is None else f"{place}: "
        if isinstance(error, Error):
            code = "" if isinstance(error, InterfaceError) else f" {error.sqlstate}"  # what is wrong with a command line has no SQLSTATE
            self.say(f"{where}error{code}: {error}")
        else:
            text = f"internal error: {type(error).__name__}: {error}\nhint: this is a fault of lakesql: please report it with the output of --debug"
            self.say(where + text)

    @contextlib.contextmanager
    def progress(self) -> Iterator[ProgressLine]:
        """A line about progress, where standard error is a terminal; wiped at the end."""
        line = ProgressLine(None if self.quiet else self._stderr)
        try:
            yield line
        finally:
            line.leave()

    def stats(self, facts: Facts) -> None:
        """What a statement read, as one line of JSON."""
        self.say(footer_json(facts))
