"""The tree of errors: what is drawn is what there is, every class says who must act, and messages point at the place."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

import pytest

import lakesql
from lakesql import errors
from lakesql.errors import MissingFileError, SqlError, UnknownColumnError, UnsupportedFeatureError, did_you_mean

CLASSES = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, Exception) and cls.__module__ == errors.__name__}

PEP_249 = {
    "Error": Exception,
    "Warning": Exception,
    "InterfaceError": errors.Error,
    "DatabaseError": errors.Error,
    "DataError": errors.DatabaseError,
    "OperationalError": errors.DatabaseError,
    "IntegrityError": errors.DatabaseError,
    "InternalError": errors.DatabaseError,
    "ProgrammingError": errors.DatabaseError,
    "NotSupportedError": errors.DatabaseError,
}


def drawn() -> Iterator[tuple[str, str]]:
    """(class, parent) of every line of the tree in the module's docstring; the parent of a root is Exception."""
    assert errors.__doc__ is not None
    above: dict[int, str] = {}
    for line in errors.__doc__.splitlines():
        branch = re.match(r"    ([│ ]*(?:[├└]── )?)([A-Z]\w+)", line)
        if branch:
            depth = len(branch[1]) // 4
            above[depth] = branch[2]
            yield branch[2], above[depth - 1] if depth else "Exception"


def test_the_tree_is_drawn_as_it_is() -> None:
    assert dict(drawn()) == {name: cls.__bases__[0].__name__ for name, cls in CLASSES.items()}
    assert all(len(cls.__bases__) == 1 for cls in CLASSES.values())


@pytest.mark.parametrize("name", PEP_249)
def test_pep_249_classes(name: str) -> None:
    assert CLASSES[name].__bases__ == (PEP_249[name],)


def test_every_class_is_public() -> None:
    assert set(CLASSES) <= set(lakesql.__all__)
    assert all(getattr(lakesql, name) is cls for name, cls in CLASSES.items())


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_explains_itself(name: str) -> None:
    cls = CLASSES[name]
    assert cls.__doc__
    assert not cls.__doc__.startswith(cls.__name__), "a docstring of its own"
    if issubclass(cls, errors.Error):
        assert re.fullmatch("[0-9A-Z]{5}", cls.sqlstate)


def test_errors_import_nothing_of_ours_but_what_hides_secrets() -> None:
    nodes = list(ast.walk(ast.parse(inspect.getsource(errors))))
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)} | {
        a.name for node in nodes if isinstance(node, ast.Import) for a in node.names
    }
    assert imported <= {"__future__", "difflib", "collections.abc", "lakesql.hidden"}


# Messages ------------------------------------------------------------------------------------------------------------------------------------------


def test_message_and_hint() -> None:
    assert str(errors.Error("no such thing")) == "no such thing"
    assert str(errors.Error("no such thing", hint="make one")) == "no such thing\nhint: make one"
    assert errors.Error("no such thing").hint is None
    assert errors.Error("no such thing", hint="make one").message == "no such thing"


def test_fields_that_name_things() -> None:
    missing = MissingFileError("it is gone", path="a/b")
    assert (missing.path, str(missing)) == ("a/b", "it is gone")
    assert errors.AccessDeniedError("no", path="a/b", hint="ask").path == "a/b"
    assert UnsupportedFeatureError("not read", feature="rowTracking").feature == "rowTracking"


@pytest.mark.parametrize(
    ("sql", "position", "length", "line", "column", "marked"),
    [
        ("SELECT pirce FROM t", 7, 5, 1, 8, "LINE 1: SELECT pirce FROM t\n               ^^^^^"),
        ("SELECT 1\nFROM nowhere", 14, 7, 2, 6, "LINE 2: FROM nowhere\n             ^^^^^^^"),
        ("SELECT", 6, 1, 1, 7, "LINE 1: SELECT\n              ^"),
        ("", 0, 1, 1, 1, "LINE 1: \n        ^"),
        ("a\n\nb", 2, 1, 2, 1, "LINE 2: \n        ^"),
        ("SELECT x\nFROM t", 7, 100, 1, 8, "LINE 1: SELECT x\n               ^"),
        ("\tx", 1, 1, 1, 2, "LINE 1:  x\n         ^"),
        ("SELECT x", 7, 0, 1, 8, "LINE 1: SELECT x\n               ^"),
        ("\n" * 9 + "x", 9, 1, 10, 1, "LINE 10: x\n         ^"),
    ],
)
def test_sql_errors_mark_the_place(sql: str, position: int, length: int, line: int, column: int, marked: str) -> None:
    error = SqlError("no such column", sql=sql, position=position, length=length)
    assert (error.line, error.column) == (line, column)
    assert str(error) == f"no such column\n{marked}"


def test_sql_errors_with_a_hint_and_without_a_place() -> None:
    error = UnknownColumnError("no such column: pirce", sql="SELECT pirce", position=7, length=5, hint='did you mean "price"?', candidates=["price"])
    assert str(error) == 'no such column: pirce\nLINE 1: SELECT pirce\n               ^^^^^\nhint: did you mean "price"?'
    assert error.candidates == ("price",)
    placeless = SqlError("empty statement", sql="  ")
    assert (str(placeless), placeless.line, placeless.column, placeless.sql) == ("empty statement", None, None, "  ")
    assert str(SqlError("bad", position=3)) == "bad"


@pytest.mark.parametrize(
    ("name", "names", "hint"),
    [
        ("pirce", ["id", "price"], 'did you mean "price"?'),
        ("PRICE", ["id", "Price"], 'did you mean "Price"?'),
        ("zzz", ["id", "price"], "there are: id, price"),
        ("zzz", [f"column_{i:02}" for i in range(12)], "there are: " + ", ".join(f"column_{i:02}" for i in range(10)) + " and 2 more"),
        ("zzz", ["b", "a", "b"], "there are: a, b"),
        ("zzz", [], None),
    ],
)
def test_did_you_mean(name: str, names: list[str], hint: str | None) -> None:
    assert did_you_mean(name, names) == hint
    assert did_you_mean(name, iter(names)) == hint
