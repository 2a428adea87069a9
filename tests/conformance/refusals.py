"""Is an error what a read's `error` asks for: of lakesql's own classes, of the right one, and with words a user can act on?

The rule, for every read that must fail:

1. What is raised is a `lakesql.Error`, but neither InternalError (that would be our fault) nor EngineError (nothing was computed yet), and its text shows
   no raw exception of a library.
2. The class belongs to what the expected text is about (`ABOUT`): versions, expired versions, missing files, unsupported features, bad metadata, columns.
3. The facts of the expected text stand in ours: its numbers (leading zeros aside), its names in CamelCase, snake_case or after a colon. Where the text
   names no version but the SQL asks for one, that version (or the day of the instant) stands in ours. A missing file is named by its path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakesql import errors

VERSION = (errors.NoSuchVersionError,)
EXPIRED = (errors.ExpiredVersionError,)
GONE = (errors.ExpiredVersionError, errors.MissingFileError)
METADATA = (errors.MetadataError,)

ABOUT: tuple[tuple[str, tuple[type[errors.Error], ...]], ...] = (
    (r"expired or unknown|is that old|at or before (this|that)", (errors.NoSuchVersionError, errors.ExpiredVersionError)),
    (r"no such (version|snapshot|tag|branch)|(version|snapshot) \d+ does not exist|instant is (before|after)|not an instant|not an ancestor", VERSION),
    (r"commits are gone|has expired|is expired|no longer there|were cleaned", EXPIRED),
    (r"are gone|is gone", GONE),
    (r"^commit \d+ is missing", METADATA),
    (r"is missing", GONE),
    (r"not supported|unsupported|unknown (type|aggregate)|not known|managed by a catalog", (errors.NotSupportedError,)),
    (r"malformed|has no schema|the log holds no|not complete JSON|cannot be parsed", METADATA),
    (r"a map key is null", (errors.DataFileError,)),
    (r"no (such )?column", (errors.UnknownColumnError,)),
    (r"is not enabled", (errors.UnknownColumnError, errors.NotSupportedError)),
)
"""What an expected text is about, and the classes that may say so; the first pattern that is found counts."""

RAW = re.compile(r"Traceback|DataFusion error|Arrow(Invalid| error)|\b(Key|Value|Type|Index|OS|Attribute|Runtime)Error\b|NoneType|<class |object at 0x")


def complaint(error: errors.Error, expected: str, sql: str) -> str | None:
    """What is wrong with `error` as the answer to a read that must fail as `expected`; None where nothing is."""
    text = str(error)
    if isinstance(error, (errors.InternalError, errors.EngineError)) or RAW.search(text):
        return f"{type(error).__name__} shows a fault of ours or a library's raw text: {text}"
    classes = classes_of(expected)
    if not isinstance(error, classes):
        return f"{type(error).__name__} instead of {' or '.join(c.__name__ for c in classes)} for {expected!r}: {text}"
    absent = [name for name, pattern in facts(expected, sql, classes) if not re.search(pattern, text)]
    return f"{type(error).__name__} does not say {', '.join(absent)} for {expected!r}: {text}" if absent else None


def classes_of(expected: str) -> tuple[type[errors.Error], ...]:
    """The classes that may carry this message. Raises KeyError for a text no rule covers, so that a new text gets one."""
    for pattern, classes in ABOUT:
        if re.search(pattern, expected):
            return classes
    raise KeyError(f"no rule in refusals.ABOUT covers {expected!r}")


def facts(expected: str, sql: str, classes: tuple[type[errors.Error], ...]) -> Iterator[tuple[str, str]]:
    """What the error's text must hold: a name for it, and the pattern that finds it."""
    numbers = re.findall(r"\b\d+\b", expected)
    for number in numbers:
        yield number, rf"(?<!\d)0*{number}(?!\d)"
    for name in re.findall(r"\b[a-z]+[A-Z]\w+|\b[a-z]+_\w+|\b[A-Z]{4,}\b(?<!JSON)|(?<=: )\w+$|(?<=function )\w+|(?<=no column )\w+", expected):
        yield name, re.escape(name)
    if classes in (VERSION, EXPIRED, GONE) and not numbers:
        asked = re.search(r"VERSION\s+AS\s+OF\s+(?:'([^']*)'|(\d+))", sql)
        if asked:
            yield "the version asked for", re.escape(asked[1] or asked[2])
        asked = re.search(r"TIMESTAMP\s+AS\s+OF\s+'(\d{4}-\d\d-\d\d)", sql)
        if asked:
            yield "the day asked for", asked[1]
    if "is missing" in expected and classes is GONE:
        yield "the path of the file", r"\S+/\S+"
