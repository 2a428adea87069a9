"""The command line's options: argv -> Options. Loads nothing heavy, so that --help and mistakes answer at once."""

from __future__ import annotations

import argparse
import json
import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lakesql.errors import ConfigError, did_you_mean
from lakesql.frontends.render import FORMATS, NULL_TEXT_FORMATS, Format, format_of_file

USAGE = "lakesql [TARGET] [-c SQL | -f FILE]... [options]"

DESCRIPTION = """\
SQL over lakehouse tables: Delta, Iceberg, Paimon, Hudi, Lance.

TARGET is a table, a directory of tables, or a lakesql.toml, as a path or URL.
Without one, lakesql.toml of the working directory is used, if it is there.
SQL comes from -c and -f, in the order given, else from standard input; on a
terminal without either, the shell opens.
Rows go to standard output, words to standard error.

lakesql tail TABLE follows a table's changes: lakesql tail --help."""

SHELLS = ("bash", "zsh", "fish")

COMMANDS = {
    "config show": "say each value of the configuration and where it is from",
    "config validate": "check the configuration; exit code 2 where it is wrong",
    "doctor": "say versions, extras and the configuration",
}
"""What TARGET may be instead of a table, where no file of that name is there."""

EXIT_CODES = {
    0: "all statements ran",
    1: "a statement failed: its SQL, a value, the engine",
    2: "the command line or the configuration is wrong",
    3: "storage or a table's metadata failed, or a table needs more than lakesql reads",
    4: "the time limit of --timeout was reached",
    130: "interrupted",
}

_EPILOG = """\
examples:
  lakesql --sample -c "SELECT * FROM impressions LIMIT 5"
  lakesql lake/ -c "SELECT count(*) FROM orders WHERE day = :day" --param day=2026-01-03
  lakesql -c "SELECT * FROM 's3://bucket/orders' VERSION AS OF 12" -o orders.parquet
  lakesql lake/ -f report.sql --format csv > report.csv
  lakesql tail orders lake/ --from earliest --follow
  echo "EXPLAIN PRUNING SELECT * FROM orders WHERE id = 7" | lakesql lake/

commands:
{commands}

exit codes:
{codes}"""


@dataclass(frozen=True)
class Source:
    """Where SQL comes from. text: the SQL itself, None for a file; path: of the file, `-` for standard input."""

    text: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class Options:
    """What the command line asks for. parameters: None where it gives none; timeout_seconds: of each statement."""

    target: str | None
    sources: tuple[Source, ...]
    format: Format
    output: str | None
    as_of: str | None
    parameters: Mapping[str, Any] | None
    timeout_seconds: float | None
    on_error: str
    null_string: str | None
    sample: bool
    config: str | None
    stats: bool
    quiet: bool
    debug: bool
    help: bool
    version: bool
    verbose: bool = False
    json: bool = False
    spec: bool = False
    man: bool = False
    completions: str | None = None
    command: str | None = None

    @property
    def is_about(self) -> bool:
        """Whether it asks about lakesql itself, and runs nothing."""
        return self.help or self.version or self.spec or self.man or self.completions is not None


@dataclass(frozen=True)
class Option:
    """One line of the option table. metavar: None for options that take no value."""

    flags: tuple[str, ...]
    metavar: str | None
    help: str


def option_table() -> list[Option]:
    """Every option there is."""
    return [Option(tuple(a.option_strings), a.metavar if isinstance(a.metavar, str) else None, a.help or "") for a in _parser()._actions if a.option_strings]


def parse(argv: Sequence[str]) -> Options:
    """The options in argv (without the program's name). Raises ConfigError."""
    words = list(argv)
    command = next((name for name in COMMANDS if words[: name.count(" ") + 1] == name.split() and not os.path.exists(words[0])), None)
    given = _parser().parse_intermixed_args(words if command is None else words[command.count(" ") + 1 :])
    if (given.verbose and not given.version) or (given.json and not given.version and command != "doctor"):
        raise ConfigError("--verbose goes with --version, --json with --version or doctor", hint="rows as JSON are --format json")
    if given.help or given.version or given.spec or given.man or given.completions:
        given.sample = given.target = given.output = given.format = None
    if given.sample and given.target is not None:
        raise ConfigError(f'--sample and the target "{given.target}" exclude each other')
    format_ = _format(given.format, given.output)
    if given.null_string is not None and format_.name not in NULL_TEXT_FORMATS:
        raise ConfigError(f"--null-string is for {', '.join(NULL_TEXT_FORMATS)}, not for {format_.name}")
    return Options(
        given.target,
        tuple(given.sources or ()),
        format_,
        given.output,
        given.as_of,
        dict(given.parameters) if given.parameters else None,
        given.timeout,
        given.on_error,
        given.null_string,
        bool(given.sample),
        given.config,
        given.stats,
        given.quiet,
        given.debug,
        given.help,
        given.version,
        given.verbose,
        given.json,
        given.spec,
        given.man,
        given.completions,
        command,
    )


def help_text() -> str:
    """What --help prints."""
    return _parser().format_help()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message, hint="lakesql --help lists the options")


class _AddSource(argparse.Action):
    """Keeps -c and -f in one list, because their order matters."""

    def __call__(self, parser: object, namespace: argparse.Namespace, value: Any, option: str | None = None) -> None:
        source = Source(text=value) if self.option_strings[0] == "-c" else Source(path=value)
        namespace.sources = [*(namespace.sources or ()), source]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lakesql",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=_EPILOG.format(
            commands="\n".join(f"  lakesql {name:17}{words}" for name, words in COMMANDS.items()),
            codes="\n".join(textwrap.fill(f"{code:5}  {words}", 80, subsequent_indent=" " * 7) for code, words in EXIT_CODES.items()),
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("target", metavar="TARGET", nargs="?", help="a table, a directory of tables, or a configuration file")
    sql = parser.add_argument_group("SQL")
    sql.add_argument("-c", "--command", dest="sources", metavar="SQL", action=_AddSource, help="run these statements; may be given again")
    sql.add_argument("-f", "--file", dest="sources", metavar="FILE", action=_AddSource, help="run the statements in a file, - for standard input")
    sql.add_argument(
        "-v",
        "--param",
        dest="parameters",
        metavar="NAME=VALUE",
        type=_parameter,
        action="append",
        help="bind a value to :NAME or $NAME; numbers, true, false and null as in JSON, else text; may be given again",
    )
    sql.add_argument("--as-of", metavar="VERSION", help="read every table at this version or time, unless the statement says otherwise")
    sql.add_argument(
        "--on-error",
        metavar="WHAT",
        choices=("stop", "continue"),
        default="stop",
        help="stop at the first statement that fails, or continue with the others; the exit code is that of the first failure",
    )
    sql.add_argument("--timeout", metavar="SECONDS", type=_seconds, help="stop a statement that runs longer than this")
    lake = parser.add_argument_group("lake")
    lake.add_argument("--sample", action="store_true", help="use the sample lake that comes with lakesql")
    lake.add_argument("--config", metavar="FILE", help="use this configuration instead of the one that would be found")
    output = parser.add_argument_group("output")
    output.add_argument("--format", metavar="FORMAT", help=f"{', '.join(FORMATS)}; by default what the ending of -o says, else table")
    output.add_argument("-o", "--output", metavar="FILE", help="write rows to a file, which appears only when it is complete")
    output.add_argument("--null-string", metavar="TEXT", help="what stands for null, in table, vertical and csv")
    output.add_argument("--stats", action="store_true", help="after each statement, write one line of JSON about what was read to standard error")
    output.add_argument("--quiet", action="store_true", help="say nothing but errors")
    output.add_argument("--debug", action="store_true", help="show the traceback of an error")
    about = parser.add_argument_group("about")
    about.add_argument("--version", action="store_true", help="print the version")
    about.add_argument("--verbose", action="store_true", help="with --version: those of all that lakesql stands on, too")
    about.add_argument("--json", action="store_true", help="with --version or doctor: as JSON")
    about.add_argument("--spec", action="store_true", help="print the command line as JSON, for programs")
    about.add_argument("--man", action="store_true", help="print the manual page")
    about.add_argument("--completions", metavar="SHELL", type=_shell, help=f"print completions for {', '.join(SHELLS)}")
    about.add_argument("-h", "--help", action="store_true", help="print this")
    return parser


def _format(name: str | None, output: str | None) -> Format:
    if name is not None:
        if name not in FORMATS:
            raise ConfigError(f'no format is called "{name}"', hint=did_you_mean(name, FORMATS))
        return FORMATS[name]
    return (format_of_file(output) if output is not None else None) or FORMATS["table"]


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not (name.isidentifier() or name.isdecimal()):
        raise argparse.ArgumentTypeError(f'"{text}" is not of the form NAME=VALUE')
    return name, parameter_value(value)


def parameter_value(text: str) -> Any:
    """A JSON scalar, or the text itself.

    >>> parameter_value("12"), parameter_value("2026-01-03"), parameter_value('"12"'), parameter_value("null"), parameter_value("[1]")
    (12, '2026-01-03', '12', None, '[1]')
    """
    try:
        value = json.loads(text, parse_constant=lambda word: word)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, list | dict) or (isinstance(value, float) and not math.isfinite(value)) else value


def _shell(text: str) -> str:
    if text not in SHELLS:
        raise argparse.ArgumentTypeError(f'"{text}" is none of {", ".join(SHELLS)}')
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f'"{text}" is no number of seconds above 0')
    return seconds
