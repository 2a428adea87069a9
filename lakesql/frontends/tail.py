"""`lakesql tail`: the changes of a table, commit after commit, on standard output.

Each commit is written whole and flushed before a consumer is advanced past it. The first Ctrl-C, or SIGTERM, lets the commit that is being written end, and
then the tail; a second one ends it at once.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TextIO

from lakesql.errors import ConfigError, SqlError, did_you_mean
from lakesql.frontends.output import Output, StandardOutput
from lakesql.frontends.render import FORMATS, Format, renderer
from lakesql.frontends.words import Words

if TYPE_CHECKING:
    from lakesql.frontends.render import Renderer
    from lakesql.session import Session
    from lakesql.tailing import Committed, Tail

COMMAND = "tail"
USAGE = "lakesql tail TABLE [TARGET] [options]"
_OK, _INTERRUPTED, _TERMINATED = 0, 130, 143
_FORMATS = ("jsonl", "csv", "table", "markdown")
_WORDS = {"earliest": "EARLIEST", "latest": "LATEST"}
_DESCRIPTION = """\
The changes of a table, one commit after another, each whole and in order.

TABLE is a name as SQL has it, or a path; TARGET is where names are found.
Rows go to standard output, words to standard error."""


def run(argv: Sequence[str], stdout: TextIO, words: Words) -> int:
    """The command with these arguments, `tail` itself left out; gives the exit code. Raises ConfigError, and what statements raise."""
    options = _parser().parse_args(list(argv))
    words.quiet, words.debug = options.quiet, options.debug
    if options.help:
        stdout.write(help_text())
        stdout.flush()
        return _OK
    if options.table is None:
        raise ConfigError("there is no table to follow", hint=f"usage: {USAGE}")
    text = _statement(options)
    session = _session(options)
    try:
        if options.poll is not None:
            session.settings.set("lakesql.poll_interval", options.poll)
        return _tail(session, text, FORMATS[options.format], StandardOutput(stdout), words)
    finally:
        session.close()


def help_text() -> str:
    """What `lakesql tail --help` prints."""
    return _parser().format_help()


def _tail(session: Session, text: str, format_: Format, output: Output, words: Words) -> int:
    from lakesql import sql
    from lakesql.tailing import Tail

    try:
        tail = Tail(session, sql.parse(text), {}, words.say)
    except SqlError as error:
        raise ConfigError(f"cannot follow that: {error.message}", hint=error.hint) from error
    written = _Written(tail, format_, output)
    with _signals(tail) as signals:
        try:
            for committed in tail.commits():
                written.commit(committed)
                tail.passed(committed.version)
                tail.advanced()
        except KeyboardInterrupt:
            signals.append(_INTERRUPTED)
        finally:
            for note in written.notes():
                words.notice(note)
            words.say(f"to go on: --from '{tail.resume.removeprefix('FROM ')}'")
    return signals[0] if signals else _OK


class _Written:
    """Commits on their way out. JSON lines say their columns themselves, so that these may change; csv has one header, table one for each commit."""

    def __init__(self, tail: Tail, format_: Format, output: Output) -> None:
        self._tail = tail
        self._format = format_
        self._output = output
        self._rows: Renderer | None = None
        self._notes: dict[str, None] = {}

    def commit(self, committed: Committed) -> None:
        """One commit, flushed. Raises ChangedColumnsError, what reading raises, BrokenPipeError."""
        from lakesql.tailing import check_columns

        if self._format.name != "jsonl":
            check_columns(self._tail, committed)
        rows = self._rows
        if rows is None or self._format.name != "csv":
            rows = self._rows = renderer(self._format, self._output, None)  # type: ignore[arg-type]
            rows.begin(committed.schema)
        for batch in committed.rows:
            rows.write(batch)
        if self._format.name != "csv":
            self._notes |= dict.fromkeys(rows.end())
        self._output.flush()

    def notes(self) -> tuple[str, ...]:
        """What the reader of the output should know."""
        if self._format.name == "csv" and self._rows is not None:
            self._notes |= dict.fromkeys(self._rows.end())
        return tuple(self._notes)


@contextmanager
def _signals(tail: Tail) -> Iterator[list[int]]:
    """Stops the tail at the first SIGINT or SIGTERM, of which the exit code is then in the list. A second SIGINT is a KeyboardInterrupt."""
    codes: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield codes
        return

    def stop(number: int, frame: object) -> None:
        if codes and number == signal.SIGINT:
            raise KeyboardInterrupt
        codes.append(_INTERRUPTED if number == signal.SIGINT else _TERMINATED)
        tail.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield codes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _statement(options: argparse.Namespace) -> str:
    """The TAIL statement that the options ask for. Raises ConfigError."""
    if options.start is not None and options.consumer is not None:
        raise ConfigError("--from and --consumer exclude each other: a consumer says where to go on", hint="RESET CONSUMER moves it")
    table = options.table if "/" not in options.table else "'" + options.table.replace("'", "''") + "'"
    if options.consumer is not None:
        start = "SINCE CONSUMER '" + options.consumer.replace("'", "''") + "'"
    else:
        start = f"FROM {_start(options.start or ('latest' if options.follow else 'earliest'))}"
    where = f" WHERE {options.where}" if options.where is not None else ""
    own = f"follow = {str(options.follow).lower()}, on_expired = '{options.on_expired}'"
    return f"TAIL {table} {start}{where} WITH ({own}{', ' + options.options if options.options else ''})"


def _start(text: str) -> str:
    """A start as SQL writes it: a bare number is a version, other text an instant, unless it says itself what it is.

    >>> _start("7"), _start("earliest"), _start("2026-01-03"), _start("version 7 exclusive")
    ('VERSION 7', 'EARLIEST', "TIMESTAMP '2026-01-03'", 'version 7 exclusive')
    """
    first = text.split(None, 1)[0].upper() if text.strip() else ""
    if first in ("VERSION", "TIMESTAMP"):
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    return f"VERSION {text}" if text.isdecimal() else "TIMESTAMP '" + text.replace("'", "''") + "'"


def _session(options: argparse.Namespace) -> Session:
    from lakesql.session import Session  # loads the engine

    target = options.target
    if options.sample:
        from lakesql import sample

        target = str(sample.lake())
    return Session.open(target, config=options.config)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message, hint="lakesql tail --help lists the options")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lakesql tail",
        usage=USAGE,
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("table", metavar="TABLE", nargs="?", help="the table")
    parser.add_argument("target", metavar="TARGET", nargs="?", help="a directory of tables, or a configuration file")
    parser.add_argument("--from", dest="start", metavar="POINT", help="earliest, latest, a version, an instant, or as after FROM in SQL")
    parser.add_argument("--consumer", metavar="NAME", help="go on where this consumer stands, and advance it after each commit")
    parser.add_argument("--follow", action="store_true", help="wait for new commits; without it, end at the latest version")
    parser.add_argument("--where", metavar="CONDITION", help="only rows for which this holds")
    parser.add_argument("--with", dest="options", metavar="OPTIONS", help='options of the change feed, such as "key = (id)"')
    parser.add_argument("--on-expired", choices=("stop", "skip"), default="stop", help="when versions were cleaned up before they were read")
    parser.add_argument("--poll", metavar="SECONDS", help="look for new commits so often; default 1")
    parser.add_argument("--format", metavar="FORMAT", type=_format, default="jsonl", help=f"{', '.join(_FORMATS)}; default jsonl")
    parser.add_argument("--sample", action="store_true", help="use the sample lake that comes with lakesql")
    parser.add_argument("--config", metavar="FILE", help="use this configuration instead of the one that would be found")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors and where to go on")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("-h", "--help", action="store_true", help="print this")
    return parser


def _format(text: str) -> str:
    if text not in _FORMATS:
        raise ConfigError(f'lakesql tail has no format "{text}"', hint=did_you_mean(text, _FORMATS))
    return text
