r"""Backslash commands: each has a name, a usage, a line of help, and a function of the shell, the words after it, and the SQL before it on the line.

`\?` prints the table, docs/shell.md is held to it by a test, and completion offers it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lakesql.errors import ConfigError, SqlError, did_you_mean
from lakesql.frontends.options import parameter_value
from lakesql.frontends.shell.showing import show_kept
from lakesql.frontends.shell.state import CHOICES, OPTIONS, switched

if TYPE_CHECKING:
    from lakesql.frontends.shell.loop import Shell


class Action(Protocol):
    """What a command does. rest: the words after its name; before: the SQL before it."""

    def __call__(self, shell: Shell, rest: str, before: str, /) -> None: ...


@dataclass(frozen=True)
class Command:
    """One command. group: under which `\\?` lists it; completes: what its words are, for completion."""

    name: str
    usage: str
    help: str
    group: str
    action: Action
    completes: str = ""


class UnknownCommandError(ConfigError):
    """No command of this name."""


def run(shell: Shell, text: str, before: str) -> None:
    """Runs a command, from its backslash on. before: the SQL on the same line. Raises ConfigError and what the command raises."""
    found = re.match(r"\\([A-Za-z]+\+?|\?|!)\s*(.*)", text, re.S)
    name, rest = (found[1], found[2].strip()) if found is not None else (text[1:2], "")
    command = COMMANDS.get(ALIASES.get(name, name))
    if command is None:
        raise UnknownCommandError(f"there is no command \\{name}", hint=did_you_mean(name, COMMANDS) or "\\? lists the commands")
    command.action(shell, rest.rstrip(";").rstrip() if command.name not in ("!", "ns", "set") else rest, before)


def offered(before: str, variables: Iterable[str], saved: Iterable[str], tables: Callable[[], Iterable[str]]) -> Iterator[tuple[str, int, str]]:
    """Completions inside a command: text, where it begins, what it is."""
    text = before.lstrip()
    offset = len(before) - len(text)
    name, space, rest = text[1:].partition(" ")
    if not space:
        yield from ((f"\\{c.name}", offset, c.help) for c in COMMANDS.values() if c.name.startswith(name))
        return
    command = COMMANDS.get(ALIASES.get(name, name))
    word = re.split(r"[\s|]", rest)[-1]
    start = len(before) - len(word)
    kinds: dict[str, Callable[[], Iterable[str]]] = {
        "table": tables,
        "option": lambda: OPTIONS,
        "variable": lambda: variables,
        "query": lambda: saved,
        "file": lambda: _files(word),
    }
    if command is None:
        return
    values = CHOICES.get(command.completes) or (kinds[command.completes]() if command.completes in kinds else ())
    yield from ((v, start, command.completes) for v in values if v.startswith(word))


def help_text() -> str:
    """What `\\?` prints."""
    lines = []
    width = max(len(c.usage) for c in COMMANDS.values())
    for group in dict.fromkeys(c.group for c in COMMANDS.values()):
        lines += [group, *(f"  {c.usage:{width}}  {c.help}" for c in COMMANDS.values() if c.group == group), ""]
    return "\n".join(lines)


# Looking around --------------------------------------------------------------------------------------------------------------------------------------


def _describe(shell: Shell, rest: str, before: str) -> None:
    shell.run_sql(f"DESCRIBE {rest}" if rest else "SHOW TABLES")


def _describe_more(shell: Shell, rest: str, before: str) -> None:
    if not rest:
        shell.run_sql("SHOW TABLES")
        return
    for line in shell.details(rest):
        shell.say(line)
    shell.run_sql(f"SELECT * FROM {_with_metadata(rest, 'schema')}")


def _tables(shell: Shell, rest: str, before: str) -> None:
    shell.run_sql(f"SHOW TABLES{_like(rest)}")


def _catalogs(shell: Shell, rest: str, before: str) -> None:
    shell.run_sql(f"SHOW CATALOGS{_like(rest)}")


def _schemas(shell: Shell, rest: str, before: str) -> None:
    shell.run_sql(f"SHOW SCHEMAS{_like(rest)}")


def _views(shell: Shell, rest: str, before: str) -> None:
    for name, text in shell.client.views.items():
        shell.say(f"{name}: {' '.join(text.split())}")


def _functions(shell: Shell, rest: str, before: str) -> None:
    wanted = rest.lower().replace("*", "").replace("%", "")
    for f in shell.client.names.functions():
        if wanted in f.name:
            shell.say(f"{f.signature}  [{f.kind.lower()}]  {f.description}".rstrip())


def _history(shell: Shell, rest: str, before: str) -> None:
    shell.run_sql(f"DESCRIBE HISTORY {_needed(rest, 'a table')}")


def _diff(shell: Shell, rest: str, before: str) -> None:
    words = shlex.split(_needed(rest, "a table, and one or two versions"), posix=False)
    versions = [w if w.upper().startswith(("VERSION", "TIMESTAMP")) else f"VERSION {w if w.isdecimal() or w[0] in chr(39) else repr(w)}" for w in words[1:]]
    states = f"{words[0]} {', '.join(versions)}".rstrip()
    if shell.run_sql(f"DIFF STAT {states}"):
        shell.run_sql(f"DIFF {states}")


def _tail(shell: Shell, rest: str, before: str) -> None:
    shell.run_sql(f"TAIL {_needed(rest, 'a table')}", is_endless=True)


# Running -----------------------------------------------------------------------------------------------------------------------------------------------


def _go(shell: Shell, rest: str, before: str) -> None:
    shell.run_script(before or shell.state.last_sql, output=rest or None)


def _go_vertical(shell: Shell, rest: str, before: str) -> None:
    saved = shell.state.option("expanded")
    shell.state.set_option("expanded", "on")
    try:
        shell.run_script(before or shell.state.last_sql, output=rest or None)
    finally:
        shell.state.set_option("expanded", saved)


def _gset(shell: Shell, rest: str, before: str) -> None:
    names, values = shell.single_row(before or shell.state.last_sql)
    for name, value in zip(names, values, strict=True):
        shell.state.variables[f"{rest}{name}"] = value


def _watch(shell: Shell, rest: str, before: str) -> None:
    try:
        seconds = float(rest or 2)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise ConfigError(f'"{rest}" is no number of seconds above 0')
    text = before or shell.state.last_sql
    if not text:
        raise ConfigError("there is no statement to watch yet")
    with suppress(KeyboardInterrupt):
        while True:
            shell.say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} (every {seconds:g} s)")
            if not shell.run_script(text):
                return
            time.sleep(seconds)


def _last(shell: Shell, rest: str, before: str) -> None:
    if shell.state.last is None:
        raise ConfigError("there is no result yet")
    show_kept(shell.state, shell.terminal, whole=True)


def _print(shell: Shell, rest: str, before: str) -> None:
    shell.say(shell.state.last_sql)


def _edit(shell: Shell, rest: str, before: str) -> None:
    text = before or shell.state.last_sql
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    if rest:
        subprocess.run([*shlex.split(editor), os.path.expanduser(rest)], check=False)
        shell.include(rest)
        return
    with tempfile.NamedTemporaryFile("w+", suffix=".sql", encoding="utf-8", delete=False) as file:
        file.write(text + "\n" if text else "")
    try:
        done = subprocess.run([*shlex.split(editor), file.name], check=False)
        with open(file.name, encoding="utf-8") as edited:
            shell.pending = edited.read().strip() if done.returncode == 0 else ""
    finally:
        os.unlink(file.name)


def _include(shell: Shell, rest: str, before: str) -> None:
    shell.include(_needed(rest, "a file"))


# Output --------------------------------------------------------------------------------------------------------------------------------------------------


def _output(shell: Shell, rest: str, before: str) -> None:
    shell.state.output = rest or None
    shell.say(f"rows go to {rest}" if rest else "rows go to the screen")


def _option(name: str) -> Action:
    def change(shell: Shell, rest: str, before: str) -> None:
        shell.state.set_option(name, switched(shell.state.option(name), rest, CHOICES.get(name, ("",))) or shell.state.option(name))
        shell.say(f"{name} is {shell.state.option(name)}")

    return change


def _pset(shell: Shell, rest: str, before: str) -> None:
    name, _, value = rest.partition(" ")
    if not name:
        for option, meaning in OPTIONS.items():
            shell.say(f"{option:9} {shell.state.option(option):9} {meaning}")
        return
    name = {"x": "expanded", "pager_min_lines": "pager"}.get(name, name)
    shell.state.set_option(name, value.strip().strip("'") if value else shell.state.options.get(name, ""))
    shell.say(f"{name} is {shell.state.option(name)}")


def _echo(shell: Shell, rest: str, before: str) -> None:
    shell.say(rest)


# Variables and queries -----------------------------------------------------------------------------------------------------------------------------------


def _set(shell: Shell, rest: str, before: str) -> None:
    name, _, value = rest.partition(" ")
    if not name:
        for known, held in sorted(shell.state.variables.items()):
            shell.say(f"{known} = {held!r}")
        return
    if not name.isidentifier():
        raise ConfigError(f'"{name}" is no name for a variable')
    shell.state.variables[name] = variable_value(value.strip())


def _unset(shell: Shell, rest: str, before: str) -> None:
    if shell.state.variables.pop(rest, shell) is shell:
        raise ConfigError(f'there is no variable "{rest}"', hint=did_you_mean(rest, shell.state.variables))


def variable_value(text: str) -> Any:
    """What `\\set` makes of its words: text in quotes is that text, the rest as --param reads it.

    >>> variable_value('"\\'; drop"'), variable_value("12"), variable_value("a b")
    ("'; drop", 12, 'a b')
    """
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace(text[0] * 2, text[0])
    return parameter_value(text)


def _save(shell: Shell, rest: str, before: str) -> None:
    name, _, text = rest.partition(" ")
    text = text.strip() or before or shell.state.last_sql
    if not name or not text:
        raise ConfigError("\\ns takes a name, and a query where none has run before")
    shell.saved.save({**shell.saved.all(), name: text})
    shell.say(f'saved as "{name}"')


def _named(shell: Shell, rest: str, before: str) -> None:
    queries = shell.saved.all()
    name, _, values = rest.partition(" ")
    if not name:
        for known, text in queries.items():
            shell.say(f"{known}: {' '.join(text.split())}")
        return
    if name not in queries:
        raise ConfigError(f'no query is saved as "{name}"', hint=did_you_mean(name, queries))
    given = {str(i): variable_value(v) for i, v in enumerate(shlex.split(values), 1)}
    kept = dict(shell.state.variables)
    shell.state.variables.update(given)
    try:
        shell.run_script(queries[name])
    finally:
        shell.state.variables = kept


def _forget(shell: Shell, rest: str, before: str) -> None:
    queries = shell.saved.all()
    if queries.pop(rest, None) is None:
        raise ConfigError(f'no query is saved as "{rest}"', hint=did_you_mean(rest, queries))
    shell.saved.save(queries)


# The shell -----------------------------------------------------------------------------------------------------------------------------------------------


def _connect(shell: Shell, rest: str, before: str) -> None:
    shell.connect(rest or None)


def _connection(shell: Shell, rest: str, before: str) -> None:
    for line in shell.about():
        shell.say(line)


def _system(shell: Shell, rest: str, before: str) -> None:
    subprocess.run(rest or os.environ.get("SHELL") or "sh", shell=True, check=False)


def _typed(shell: Shell, rest: str, before: str) -> None:
    for entry in shell.history.get_strings()[-50:]:
        shell.say(entry)


def _help(shell: Shell, rest: str, before: str) -> None:
    shell.say(help_text())


def _quit(shell: Shell, rest: str, before: str) -> None:
    raise EOFError


def _needed(rest: str, what: str) -> str:
    if not rest:
        raise ConfigError(f"name {what}")
    return rest


def _like(pattern: str) -> str:
    return "" if not pattern else " LIKE '" + pattern.replace("*", "%").replace("'", "''") + "'"


def _with_metadata(table: str, word: str) -> str:
    """`t` as `"t$word"`, whatever its last part looks like."""
    from lakesql import sql
    from lakesql.frontends.completion_names import table_text
    from lakesql.frontends.completion_scope import TableRef

    mentions = sql.parse(f"DESCRIBE {table}").mentions
    if len(mentions) != 1:
        raise SqlError("name one table")
    mention = mentions[0]
    if mention.path is not None:
        return table_text(TableRef((), f"{mention.path}${word}"))
    name = mention.name or ()
    return table_text(TableRef((*name[:-1], f"{name[-1]}${word}")))


def _files(word: str) -> list[str]:
    folder, _, begin = os.path.expanduser(word).rpartition("/")
    head = word[: len(word) - len(begin)]
    with suppress(OSError):
        return [head + e.name + ("/" if e.is_dir() else "") for e in os.scandir(folder or ("/" if word.startswith("/") else ".")) if e.name.startswith(begin)][
            :200
        ]
    return []


_LOOK, _RUN, _OUT, _VARS, _SHELL = "Look around", "Run", "Output", "Variables and saved queries", "The shell"

COMMANDS: dict[str, Command] = {
    c.name: c
    for c in (
        Command("d", "\\d [TABLE]", "columns of a table; without one, the tables", _LOOK, _describe, "table"),
        Command("d+", "\\d+ TABLE", "a table's format, snapshot, files, rows, partitioning, and columns with their ids", _LOOK, _describe_more, "table"),
        Command("dt", "\\dt [PATTERN]", "tables", _LOOK, _tables),
        Command("dn", "\\dn [PATTERN]", "schemas", _LOOK, _schemas),
        Command("dv", "\\dv", "views of this session", _LOOK, _views),
        Command("df", "\\df [PATTERN]", "functions, and how they are called", _LOOK, _functions),
        Command("l", "\\l [PATTERN]", "catalogs", _LOOK, _catalogs),
        Command("history", "\\history TABLE", "commits of a table", _LOOK, _history, "table"),
        Command("diff", "\\diff TABLE A [B]", "what differs between two versions of a table: in numbers, then row by row", _LOOK, _diff, "table"),
        Command("tail", "\\tail TABLE", "rows of new commits as they come, until Ctrl-C", _LOOK, _tail, "table"),
        Command("g", "\\g [FILE | |PROGRAM]", "run the statement on this line, or the last; its rows to a file or program", _RUN, _go, "file"),
        Command("gx", "\\gx", "the same, each row as lines", _RUN, _go_vertical),
        Command("gset", "\\gset [PREFIX]", "run it, and keep the one row's columns as variables", _RUN, _gset),
        Command("watch", "\\watch [SECONDS]", "run it again and again, until Ctrl-C", _RUN, _watch),
        Command("last", "\\last", "the last result whole, without running it again", _RUN, _last),
        Command("p", "\\p", "print the last statement", _RUN, _print),
        Command("e", "\\e [FILE]", "edit the last statement, or a file, in $EDITOR", _RUN, _edit, "file"),
        Command("i", "\\i FILE", "run the statements and commands in a file", _RUN, _include, "file"),
        Command("o", "\\o [FILE | |PROGRAM]", "send rows to a file or program; without one, to the screen again", _OUT, _output, "file"),
        Command("x", "\\x [on|off|auto]", "rows one below the other; auto: where they are wider than the screen", _OUT, _option("expanded"), "expanded"),
        Command("format", "\\format NAME", "how rows are written: table, csv, json, ...", _OUT, _option("format"), "format"),
        Command("timing", "\\timing [on|off]", "the line about time and files after each statement", _OUT, _option("timing"), "timing"),
        Command("pager", "\\pager [auto|on|off]", "whether what is taller than the screen goes through $PAGER", _OUT, _option("pager"), "pager"),
        Command("pset", "\\pset [OPTION VALUE]", "the shell's options, or change one", _OUT, _pset, "option"),
        Command("echo", "\\echo TEXT", "print a text", _OUT, _echo),
        Command("set", "\\set [NAME VALUE]", "variables, or set one; a statement binds it as :NAME", _VARS, _set, "variable"),
        Command("unset", "\\unset NAME", "forget a variable", _VARS, _unset, "variable"),
        Command("n", "\\n [NAME [VALUE]...]", "saved queries, or run one; values for $1, $2, ...", _VARS, _named, "query"),
        Command("ns", "\\ns NAME [QUERY]", "save a query, or the last statement", _VARS, _save),
        Command("nd", "\\nd NAME", "forget a saved query", _VARS, _forget, "query"),
        Command("c", "\\c [TARGET]", "connect to another lake, or to a connection of the configuration", _SHELL, _connect, "file"),
        Command("conninfo", "\\conninfo", "what the shell is connected to, and its files", _SHELL, _connection),
        Command("mode", "\\mode [emacs|vi]", "keys for editing", _SHELL, _option("mode"), "mode"),
        Command("theme", "\\theme [auto|dark|light|none]", "colours", _SHELL, _option("theme"), "theme"),
        Command("s", "\\s", "what was typed, the last 50 entries", _SHELL, _typed),
        Command("!", "\\! [COMMAND]", "run a command of the system's shell", _SHELL, _system, "file"),
        Command("?", "\\?", "this list", _SHELL, _help),
        Command("q", "\\q", "leave; so does Ctrl-D", _SHELL, _quit),
    )
}

ALIASES = {
    "h": "?",
    "help": "?",
    "quit": "q",
    "exit": "q",
    "connect": "c",
    "a": "pset",
    "H": "format",
    "t": "pset",
    "du": "conninfo",
    "ir": "i",
    "dS": "dt",
    "r": "p",
    "f": "n",
}
"""What other shells call these."""
