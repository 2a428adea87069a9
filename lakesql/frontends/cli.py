"""The command line: options -> scripts -> statements -> a session -> rows on standard output and words on standard error.

    1. options    options.parse        argv -> Options
    2. scripts    scripts.read_scripts -c, -f and standard input -> Script
    3. statements scripts.steps_of     Script -> statements, with their places; what the output cannot hold is refused here
    4. run        running.Running      statement -> Result, batches; in a thread, so that Ctrl-C and --timeout are heard
    5. render     render.renderer      batches -> bytes
    6. write      output               bytes -> standard output, or a file that appears when complete

Exit codes: `options.help_text()` lists them. Nothing here prints a traceback but --debug.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, TextIO

from lakesql.errors import (
    ChangedColumnsError,
    ConfigError,
    DataError,
    DataFileError,
    Error,
    ExpiredVersionError,
    InterfaceError,
    InternalError,
    MetadataError,
    QueryCancelledError,
    QueryTimeoutError,
    RecreatedTableError,
    SqlError,
    StorageError,
    UnsupportedFeatureError,
)
from lakesql.frontends import options as command_line
from lakesql.frontends import tail
from lakesql.frontends.footer import facts_of, tables_of
from lakesql.frontends.options import USAGE, Options
from lakesql.frontends.output import FileOutput, Output, OutputError, StandardOutput
from lakesql.frontends.progress import ProgressLine
from lakesql.frontends.render import PLAN, Format, renderer
from lakesql.frontends.running import Running
from lakesql.frontends.scripts import ScriptError, Step, read_scripts, steps_of
from lakesql.frontends.words import Words

if TYPE_CHECKING:
    from lakesql.result import Result
    from lakesql.session import Session

OK, SQL_FAILED, WRONG_USE, LAKE_FAILED, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3, 4, 130
_TERMINATED = 143


def main(argv: Sequence[str] | None = None, stdin: TextIO | None = None, stdout: TextIO | None = None, stderr: TextIO | None = None) -> int:
    """Runs the command line and returns its exit code. Streams default to the process's own; rows go to `stdout.buffer`.

    As the program itself (argv None) it also answers SIGTERM, and ends the process: see `_leave`.
    """
    is_program = argv is None
    if is_program:
        signal.signal(signal.SIGTERM, _terminated)
    words = Words(stderr or sys.stderr)
    try:
        code = _run(sys.argv[1:] if argv is None else argv, stdin or sys.stdin, stdout or sys.stdout, words)
    except BrokenPipeError:
        code = OK
        _let_go_of(stdout or sys.stdout)
    except KeyboardInterrupt:
        code = INTERRUPTED
        words.say("interrupted")
    except SystemExit as leaving:  # SIGTERM
        code = leaving.code if isinstance(leaving.code, int) else SQL_FAILED
    except Exception as error:
        code = exit_code(error)
        words.error(error)
    if is_program:
        _leave(code)
    return code


def exit_code(error: BaseException) -> int:
    """The exit code that stands for an error."""
    match error:
        case QueryTimeoutError():
            return TIMED_OUT
        case QueryCancelledError():
            return INTERRUPTED
        case InterfaceError():
            return WRONG_USE
        case (
            StorageError()
            | MetadataError()
            | DataFileError()
            | ExpiredVersionError()
            | UnsupportedFeatureError()
            | RecreatedTableError()
            | ChangedColumnsError()
        ):
            return LAKE_FAILED
        case _:
            return SQL_FAILED


def _run(argv: Sequence[str], stdin: TextIO | None, stdout: TextIO, words: Words) -> int:
    if argv and argv[0] == tail.COMMAND:
        return tail.run(argv[1:], stdout, words)
    options = command_line.parse(argv)
    words.quiet, words.debug = options.quiet, options.debug
    if options.is_about or options.command is not None:
        stdout.write(_about(options))
        stdout.flush()
        return OK
    scripts = read_scripts(options.sources, stdin)
    if scripts is None and stdin is not None and stdin.isatty() and stdout.isatty() and options.output is None:
        from lakesql.frontends.shell.loop import run  # the shell, which loads prompt-toolkit

        return run(options)
    if scripts is None:
        words.say(f"usage: {USAGE}\nThere is no SQL to run: give it with -c or -f, or on standard input. lakesql --help says more.")
        return WRONG_USE
    try:
        steps = steps_of(scripts, options.parameters)
    except ScriptError as failed:
        words.error(failed.__cause__ or failed, failed.script.place(_position(failed.__cause__)))
        return SQL_FAILED
    _check_output(options, steps, stdout)
    session = _session(options)
    try:
        output = StandardOutput(stdout) if options.output is None else FileOutput(options.output)
        try:
            return _run_steps(steps, session, output, options, words)
        finally:
            output.discard()
    finally:
        session.close()


def _run_steps(steps: Sequence[Step], session: Session, output: Output, options: Options, words: Words) -> int:
    wrote, failed = False, OK
    for step in steps:
        started = time.monotonic()
        try:
            with words.progress() as line:
                wrote |= _run_step(step, session, output, options, words, line, another=wrote)
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            words.say(f"cancelled after {time.monotonic() - started:.1f} s")
            return INTERRUPTED
        except Exception as error:
            words.error(error, step.script.place(step.start + _position(error)))
            failed = failed or exit_code(error)
            if options.on_error == "stop" or isinstance(error, OutputError | QueryCancelledError):
                return failed
    if wrote and not failed:
        output.complete()
    return failed


def _run_step(step: Step, session: Session, output: Output, options: Options, words: Words, line: ProgressLine, *, another: bool) -> bool:
    """Runs one statement and writes its rows; whether there were any to write, even none. another: there were results before."""
    with Running(session, step.text, step.parameters, options.timeout_seconds) as running, _all_given(running.result()) as (result, given):
        tables = tables_of(result)
        if line.is_on:
            running.on_wait = lambda: line.show(running.elapsed_seconds, tables, result.progress())
        written: tuple[str, ...] = ()
        row_count, complete = 0, True
        if result.returns_rows:
            batches = running.batches()
            first = next(batches, None)  # what fails at once fails before a header is out
            if output.screen is not None:
                line.leave()  # the screen is for rows now
            if another:
                output.write(b"\n")
            format_ = PLAN if step.is_plan and options.format.name == "table" else options.format
            rows = renderer(format_, output, output.screen, options.null_string)  # type: ignore[arg-type]
            with _rendering(format_):
                rows.begin(result.schema)
            for batch in itertools.chain([] if first is None else [first], batches):
                row_count += batch.num_rows
                with _rendering(format_):
                    if not rows.write(batch):
                        complete = False
                        break
                output.flush()
            with _rendering(format_):
                written = rows.end()
            output.flush()
            is_cut = output.screen is not None and format_.name in ("table", "vertical") and row_count > output.screen.row_cap
            given.is_whole = complete and not is_cut
        else:
            for _ in running.batches():
                pass
            given.is_whole = True
        line.leave()
        for notice in (*result.notices, *written):
            words.notice(notice)
        if options.stats:
            rows_given = row_count if result.returns_rows else None
            words.stats(facts_of(tables, rows_given, running.elapsed_seconds, result.progress(), complete=complete))
    return result.returns_rows


def _check_output(options: Options, steps: Sequence[Step], stdout: TextIO) -> None:
    """Refuses, before anything runs, what the output format cannot do."""
    format_ = options.format
    if format_.one_result and len(steps) > 1:
        raise ConfigError(f"{format_.name} output holds one result, and there are {len(steps)} statements", hint="table, csv, jsonl and markdown hold several")
    if format_.binary and options.output is None and stdout is not None and stdout.isatty():
        raise ConfigError(f"{format_.name} output is not for terminals", hint="write it to a file with -o, or into a pipe")


def _session(options: Options) -> Session:
    from lakesql.frontends.targets import place_of
    from lakesql.session import Session  # loads the engine

    target, as_of = place_of(options)
    return Session.open(target, as_of=as_of, config=options.config)


class _Given:
    """Whether all rows of a result were written."""

    is_whole = False


@contextmanager
def _all_given(result: Result) -> Iterator[tuple[Result, _Given]]:
    """Tells a result whose rows were not all written, for whatever reason: rows are read ahead, and no consumer may move past what nobody saw."""
    given = _Given()
    try:
        yield result, given
    finally:
        if not given.is_whole:
            result.leave_out()


@contextmanager
def _rendering(format_: Format) -> Iterator[None]:
    """Maps what Arrow says of rows that have no form in the output format."""
    import pyarrow as pa

    try:
        yield
    except (Error, OSError):
        raise
    except pa.ArrowException as error:
        raise DataError(f"the rows cannot be written as {format_.name}: {error}") from error
    except Exception as error:
        raise InternalError(f"cannot write {format_.name}: {type(error).__name__}: {error}", hint="this is a fault of lakesql: please report it") from error


def _position(error: BaseException | None) -> int:
    """Where in its statement an error is; its beginning, where the error does not say."""
    return (error.position or 0) if isinstance(error, SqlError) else 0


def _about(options: Options) -> str:
    """The answer to a question about lakesql itself. Raises ConfigError where the configuration that it is about is wrong."""
    if options.help:
        return command_line.help_text()
    if options.version and not (options.verbose or options.json):
        return _version()
    if options.spec or options.man or options.completions is not None:
        import lakesql
        from lakesql.frontends import manual

        return manual.spec() if options.spec else manual.man(lakesql.__version__) if options.man else manual.completions(options.completions or "")
    from lakesql.config import load_config
    from lakesql.frontends import doctor

    if options.command is None:
        told = doctor.versions() if options.verbose else {"lakesql": doctor.versions()["lakesql"]}
    elif options.command == "doctor":
        told = doctor.examined(options.target, options.config)
    else:
        loaded = load_config(options.target, options.config)
        return doctor.config_text(loaded) if options.command == "config show" else f"{loaded.source or 'no configuration file'}: fine\n"
    return doctor.as_json(told) if options.json else doctor.as_text(told)


def _version() -> str:
    import lakesql

    return f"lakesql {lakesql.__version__}\n"


def _terminated(number: int, frame: object) -> None:
    sys.exit(_TERMINATED)


def _leave(code: int) -> NoReturn:
    """Ends the process without the interpreter's own farewell: a cancelled join may hold its threads for long, and a thread of the engine that comes back from
    its last batch meanwhile would crash the process."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _let_go_of(stdout: TextIO | None) -> None:
    """Leaves the interpreter nothing to complain about when it flushes a pipe that nobody reads."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stdout.fileno())  # type: ignore[union-attr]
        os.close(null)
