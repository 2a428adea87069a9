"""The magics themselves: `%sql`, `%%sql`, `%lakesql`, `%%lakesql`, and what `%config LakesqlMagic` sets. The package's docstring says who does what."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand
from IPython.display import display
from traitlets import Bool, Float, Int, Unicode

from lakesql import sql
from lakesql.errors import ConfigError, Error, QueryCancelledError, SqlError, did_you_mean
from lakesql.frontends.magics import completing, moments, results, variables
from lakesql.frontends.magics import line as lines
from lakesql.frontends.magics.connections import Connections
from lakesql.frontends.magics.line import Request
from lakesql.frontends.magics.progress import Progress
from lakesql.frontends.magics.results import QueryResult
from lakesql.frontends.magics.waiting import Clock, wait_for
from lakesql.frontends.render.cells import visible
from lakesql.frontends.seam import mapped
from lakesql.result import Result

COMMANDS = {
    "open": "open [TARGET] [--name NAME] [--config FILE] [--as-of VERSION]: open a table, a directory of tables, a lakesql.toml, or what is configured",
    "sample": "sample: open the sample lake that comes with lakesql",
    "list": "list: the connections, the current one marked",
    "use": "use NAME: make it the current one",
    "close": "close [NAME]: close it, the current one without NAME",
    "help": "help: these lines, and the options of %sql",
}
"""What `%lakesql` does beside running SQL."""


@magics_class
class LakesqlMagic(Magics):
    """What `%config LakesqlMagic` shows and sets."""

    autopandas = Bool(False, help="Give pandas DataFrames instead of results.").tag(config=True)
    autopolars = Bool(False, help="Give polars DataFrames instead of results.").tag(config=True)
    autoarrow = Bool(False, help="Give pyarrow Tables instead of results.").tag(config=True)
    displaylimit = Int(20, min=0, help="Rows shown of a result, at most.").tag(config=True)
    progress = Bool(True, help="Show a line of progress for statements that run longer than a second.").tag(config=True)
    timeout = Float(0.0, min=0.0, help="Seconds after which a statement is stopped; 0 for never.").tag(config=True)
    traceback = Bool(False, help="Show the traceback of errors.").tag(config=True)
    target = Unicode("", help="What the default connection opens; empty for what is configured.").tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell
        self.connections = Connections()
        self.matcher = completing.matcher(lambda: self.connections.get(None, self.target or None).menu())

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def sql(self, line: str = "", cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Runs SQL with lakesql: `%sql [options] [NAME <<] SQL`, and `%%sql [NAME] [options]` over a cell. `%lakesql help` lists the options."""
        request = Request("")
        try:
            request = lines.parse(line, cell)
            return self._run(request, {**self._shell.user_ns, **(local_ns or {})})
        except Error as error:
            self._word(error, traceback=request.traceback)
            raise

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def lakesql(self, line: str = "", cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        """As `%sql`; and `%lakesql open TARGET`, `list`, `use NAME`, `close`, `help`. Alone it lists the connections."""
        words = line.split(None, 1) if cell is None else []
        if cell is not None or (words and words[0].lower() not in COMMANDS):
            return self.sql(line, cell, local_ns)
        try:
            return self._command(words[0].lower() if words else "list", words[1] if len(words) > 1 else "")
        except Error as error:
            self._word(error, traceback=False)
            raise

    # Running -------------------------------------------------------------------------------------------------------------------------------------

    def _run(self, request: Request, namespace: Mapping[str, Any]) -> Any:
        text = variables.with_identifiers(request.sql, lambda expression: eval(expression, dict(namespace)))  # the user's own code, in the user's own notebook
        spans = sql.split(text)
        if not spans:
            raise SqlError("there is no SQL to run", hint="%lakesql help says what can be written")
        made: Any = None
        for number, span in enumerate(spans):
            if number:
                self._show_early(made)
            try:
                result = self._execute(span.of(text), request, namespace)
                made = self._in_form(result, request)
            except SqlError as error:
                _place_in_cell(error, text, span)
                raise
        if request.name is not None:
            self._shell.user_ns[request.name] = made
        return None if request.silent or (isinstance(made, QueryResult) and not made.returns_rows) else made

    def _execute(self, text: str, request: Request, namespace: Mapping[str, Any]) -> QueryResult:
        """Plans and begins the statement, and takes the rows that will be shown."""
        clock = Clock(request.timeout_seconds or self.timeout or None)
        progress = self._progress(request)
        moment = None if request.as_of is None else moments.moment_of(request.as_of, namespace)

        def begin() -> Result:
            with mapped():
                connection = self.connections.get(request.connection, self.target or None)
                session = connection.session(None if isinstance(moment, tuple) else moment)
                pinned = moments.pinned(text, session, moment) if isinstance(moment, tuple) else text
                return session.execute(pinned, _parameters(text, namespace))

        try:
            result = wait_for(begin, clock, tick=progress.renew, left_behind=Result.close)
            limit = self.displaylimit if request.limit is None else request.limit
            made = QueryResult(text, result, clock, limit=limit, text_columns=_text_columns(), is_plan=_is_plan(text))
            made.take(made.rows_shown if self._frame(request) is None else None, progress)
        except KeyboardInterrupt:
            progress.clear()
            raise QueryCancelledError(f"cancelled after {clock.elapsed_seconds:.1f} s") from None
        except BaseException:  # whatever it is: no line of progress stays in the notebook, and it goes on
            progress.clear()
            raise
        clock.timeout_seconds = None  # rows that are taken later are not timed
        made.new_progress = lambda: self._progress(request)
        return made

    def _progress(self, request: Request) -> Progress:
        return Progress(self._shell, enabled=request.progress and self.progress)

    def _frame(self, request: Request) -> str | None:
        """Which frame is wanted instead of a result: pandas, polars, arrow, or None."""
        return request.frame or ("pandas" if self.autopandas else "polars" if self.autopolars else "arrow" if self.autoarrow else None)

    def _in_form(self, result: QueryResult, request: Request) -> Any:
        """The result, or the frame that is wanted instead."""
        if not result.returns_rows:
            self.connections.get(request.connection).changed()
            for notice in result.notices:
                print(f"note: {notice}")
            return result
        match self._frame(request):
            case "pandas":
                return result.to_pandas()
            case "polars":
                return result.to_polars()
            case "arrow":
                return result.to_arrow()
        return result

    def _show_early(self, made: Any) -> None:
        """Shows the result of a statement that others follow."""
        if not isinstance(made, QueryResult) or made.returns_rows:
            display(made)

    # Connections ---------------------------------------------------------------------------------------------------------------------------------

    def _command(self, command: str, rest: str) -> None:
        match command:
            case "open":
                self._open(rest)
            case "sample":
                from lakesql import sample

                self._say(self.connections.open(rest.strip() or "sample", str(sample.lake())).name)
            case "use":
                self._say(self.connections.use(rest.strip()).name)
            case "close":
                self.connections.close(rest.strip() or self.connections.current or "")
            case "help":
                print("\n".join([f"%lakesql {meaning}" for meaning in COMMANDS.values()] + [f"{o}: {meaning}" for o, meaning in lines.OPTIONS.items()]))
            case _:
                for connection in self.connections:
                    mark = "*" if connection.name == self.connections.current else " "
                    print(f"{mark} {connection.name}: {connection.target or 'as configured'}{'' if connection.is_open else ', not opened yet'}")
                if self.connections.current is None:
                    print("no connection yet: %lakesql open TARGET opens one, and a statement without one opens what is configured")

    def _open(self, rest: str) -> None:
        try:
            words = shlex.split(rest)
        except ValueError as error:
            raise ConfigError(f"%lakesql open: {error}") from error
        known = ("--name", "--config", "--as-of")
        given: dict[str, str] = {}
        targets = []
        while words:
            word, *words = words
            option, _, value = word.partition("=")
            if not option.startswith("--"):
                targets.append(word)
            elif option not in known:
                raise ConfigError(f"%lakesql open has no option {option}", hint=did_you_mean(option, known))
            elif not value and not words:
                raise ConfigError(f"{option} needs a value")
            else:
                given[option] = value or words.pop(0)
        if len(targets) > 1:
            raise ConfigError(f'%lakesql open takes one target, not "{" ".join(targets)}"')
        target = targets[0] if targets else None
        name = given.get("--name") or (target.rstrip("/").rsplit("/", 1)[-1] if target else "default")
        with mapped():
            self.connections.open(name, target, config=given.get("--config"), as_of=given.get("--as-of"))
        self._say(name)

    def _say(self, name: str) -> None:
        print(f"current connection: {name}")

    # Errors --------------------------------------------------------------------------------------------------------------------------------------

    def _word(self, error: Error, *, traceback: bool) -> None:
        """Lets IPython show the error in its own words, with the marked SQL, and without a traceback unless one is asked for. The cell fails all the same."""
        if not (traceback or self.traceback):
            code = "" if isinstance(error, ConfigError | QueryCancelledError) else f"error {error.sqlstate}: "
            text = "\n".join(visible(part) for part in f"{code}{error}".split("\n"))
            error._render_traceback_ = lambda: [text]  # type: ignore[attr-defined]


def load(shell: InteractiveShell) -> None:
    """`%load_ext lakesql`. Where another extension has `%sql`, it keeps it."""
    magic = LakesqlMagic(shell)
    owner = _owner(shell, "sql")
    if owner is not None and not owner.startswith("lakesql."):
        for kind in ("line", "cell"):
            magic.magics[kind].pop("sql", None)
        print(f"%sql belongs to {owner.split('.')[0]} in this notebook: lakesql answers to %lakesql and %%lakesql")
    shell.register_magics(magic)
    shell.Completer.custom_matchers.append(magic.matcher)


def unload(shell: InteractiveShell) -> None:
    """`%unload_ext lakesql`: the magics go, and what runs is stopped."""
    for magic in [c for c in shell.configurables if isinstance(c, LakesqlMagic)]:
        shell.configurables.remove(magic)
        magic.connections.close_all()
        if magic.matcher in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.remove(magic.matcher)
    for kind, magics in shell.magics_manager.magics.items():
        for name in ("sql", "lakesql"):
            if _owned_by(shell.magics_manager.magics[kind].get(name)) == __name__:
                del magics[name]


def _owner(shell: InteractiveShell, name: str) -> str | None:
    """The module whose extension answers to the magic; None for none."""
    return _owned_by(shell.find_line_magic(name) or shell.find_cell_magic(name))


def _owned_by(function: Any) -> str | None:
    return None if function is None else type(getattr(function, "__self__", function)).__module__


def _parameters(text: str, namespace: Mapping[str, Any]) -> dict[str, Any] | None:
    return variables.values_for(sql.parse(text), namespace)


def _is_plan(text: str) -> bool:
    return sql.parse(text).kind in (sql.Kind.EXPLAIN, sql.Kind.EXPLAIN_PRUNING)


def _place_in_cell(error: SqlError, cell: str, span: sql.Span) -> None:
    """Gives an error of one statement its place in the whole cell, so that its line is the cell's."""
    if error.sql == span.of(cell):
        error.move_to(cell, span.start)


def _text_columns() -> int:
    """How wide text is shown: as the terminal is, where there is one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else results.TEXT_COLUMNS
