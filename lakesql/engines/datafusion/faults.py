"""DataFusion's messages -> lakesql's errors. datafusion-python raises ValueError or Exception with text alone, so the text decides."""

from __future__ import annotations

import ast
import re

from lakesql import errors

_NO_FIELD = re.compile(r"No field named (?P<name>.+?)\.?\s*(?:Did you mean '(?P<close>[^']+)'\??\.?)?\s*(?:Valid fields are (?P<valid>.*))?$", re.S)
_NO_TABLE = re.compile(r"table '?(?P<name>[^' ]+)'? not found", re.I)
_NO_FUNCTION = re.compile(r"Invalid function '(?P<name>[^']+)'\.?\s*(?:Did you mean '(?P<close>[^']+)'\?)?")
_NO_STRUCT_FIELD = re.compile(r"Field (?P<name>\S+) not found in struct")
_WINDOW_FUNCTIONS = frozenset(["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"])
_POSITION = re.compile(r"(?:at|,) Line: (\d+), Column: (\d+)")
_MISSING = re.compile(r"Object at location (?P<path>.*?) not found|NotFound \{ path: \"(?P<path2>[^\"]+)\"|No such file or directory", re.S)
_OWN = re.compile(r"PyErr \{ type: <class '[\w.]+'>, value: (?P<kind>\w+)\((?P<words>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.S)
_PREFIX = re.compile(
    r"^(?:DataFusion error: |Error during planning: |(?:Schema|Execution|External|Arrow|SQL) error: |type_coercion\s*|caused by\s*|Shared\("
    r"|Optimizer rule '[^']*' failed\s*|Context: [^\n]*\n)+"
)


def interrupt_in(error: BaseException) -> KeyboardInterrupt | None:
    """The Ctrl-C that an engine's call was hit by: Python wraps it in a SystemError where native code, logging through Python, did not look."""
    cause = error.__cause__ or error.__context__
    return cause if isinstance(error, SystemError) and isinstance(cause, KeyboardInterrupt) else None


def translate(error: BaseException) -> errors.Error:
    """The lakesql error for whatever DataFusion raised. SqlErrors carry no position yet: the session knows the text."""
    if isinstance(error, errors.Error):
        return error
    text = str(error)
    words = _PREFIX.sub("", text.strip()).strip() or text
    if found := _OWN.search(text):
        return _own(found)
    if found := _NO_FIELD.search(text):
        return _unknown_column(found)
    if found := _NO_TABLE.search(text):
        return _unknown_table(found["name"].removeprefix("datafusion.public."))
    if found := _NO_FUNCTION.search(text):
        return _unknown_function(found)
    if found := _NO_STRUCT_FIELD.search(text):
        return _unknown_field(_bare(found["name"]))
    if "ParserError" in text or "TokenizerError" in text:
        wrong = errors.SqlError(_parser_words(words))
        wrong.engine_position = position_of(error)
        return wrong
    if "Ambiguous reference" in text:
        return errors.SqlError(words, hint="name the table: table.column")
    if "laceholder" in text:
        return errors.ParameterError(words)
    if found := _MISSING.search(text):
        path = found["path"] or found["path2"] or ""
        return errors.MissingFileError(f"data file {path or '(unnamed)'} is not there", path=path)
    if "permission denied" in text.lower():
        return errors.AccessDeniedError(words, path="")
    if "Parquet error" in text or "ParquetError" in text or "Parquet argument error" in text:
        return errors.DataFileError(f"a data file cannot be read: {words}", hint="the file is damaged or is no Parquet file")
    if "Resources exhausted" in text:
        return errors.EngineError(words, hint="raise [engine] memory_limit, or read less")
    if "Object Store error" in text or "Generic S3 error" in text or "IO error" in text:
        return errors.StorageError(words)
    if "This feature is not implemented" in text or "NotImplemented" in text:
        return errors.NotSupportedError(words)
    if "failed to match any signature" in text:
        return errors.SqlError(_without_internals(words.removeprefix("Internal error: ")))
    if "Internal error" in text or "panicked" in text:
        return errors.InternalError(words, hint="please report this with the statement")
    if "Error during planning" in text or "Schema error" in text or "type_coercion" in text:
        return errors.SqlError(_without_internals(words))
    return errors.EngineError(_without_internals(words))


def position_of(error: BaseException) -> tuple[int, int] | None:
    """Line and column, from 1, that DataFusion's parser gives; None where it gives none."""
    found = _POSITION.search(str(error))
    return (int(found[1]), int(found[2])) if found else None


def _own(found: re.Match[str]) -> errors.Error:
    """An exception of a function of ours that the engine called: it comes back as text."""
    kind = getattr(errors, found["kind"], errors.EngineError)
    words = str(ast.literal_eval(found["words"]))
    plain = isinstance(kind, type) and issubclass(kind, errors.Error) and not issubclass(kind, errors.MissingFileError | errors.AccessDeniedError)
    feature = {"feature": words} if kind is errors.UnsupportedFeatureError else {}
    return kind(words, **feature) if plain else errors.EngineError(words)


def _unknown_column(found: re.Match[str]) -> errors.UnknownColumnError:
    name = _bare(found["name"])
    valid = [_bare(v) for v in (found["valid"] or "").split(", ") if v]
    valid += [_bare(found["close"])] if found["close"] else []
    hint = errors.did_you_mean(name.rsplit(".", 1)[-1], [v.rsplit(".", 1)[-1] for v in valid])
    unknown = errors.UnknownColumnError(f'no column is called "{name}"', hint=hint, candidates=valid)
    unknown.name = name
    return unknown


def _unknown_table(name: str) -> errors.UnknownTableError:
    unknown = errors.UnknownTableError(f'no table is called "{name}"')
    unknown.name = name
    return unknown


def _unknown_function(found: re.Match[str]) -> errors.SqlError:
    close = found["close"]
    if found["name"].lower() in _WINDOW_FUNCTIONS:
        unplaced = errors.SqlError(f"{found['name']} is a window function", hint=f"write {found['name']}(...) OVER (...)")
        unplaced.name = found["name"]
        return unplaced
    unknown = errors.UnknownFunctionError(
        f'no function is called "{found["name"]}"', hint=close and f'did you mean "{close}"?', candidates=[close] if close else ()
    )
    unknown.name = found["name"]
    return unknown


def _unknown_field(name: str) -> errors.UnknownColumnError:
    unknown = errors.UnknownColumnError(f'the struct has no field "{name}"')
    unknown.name = name
    return unknown


def _bare(name: str) -> str:
    return name.replace('"', "").strip().rstrip(".")


def _parser_words(words: str) -> str:
    found = re.search(r"(?:ParserError|TokenizerError)\(\"(.*?)\"\)", words, re.S)
    return _POSITION.sub("", found[1] if found else words).strip()


def _without_internals(words: str) -> str:
    return words.split("\n\nbacktrace")[0].strip()
