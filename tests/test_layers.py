"""The arrows of the design: which part of lakesql may import which, where heavy libraries live, and what `import lakesql` does not load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lakesql

PACKAGE = Path(lakesql.__file__).parent

BASE = {"errors", "location"}
STORAGE = BASE | {"storage", "store_options", "toml_section"}
CONTRACTS = {"relation", "predicate", "table"}

MAY_IMPORT: dict[str, set[str]] = {
    "hidden": set(),
    "errors": {"hidden"},
    "location": {"errors"},
    "toml_section": BASE,
    "store_options": BASE | {"toml_section"},
    "storage": BASE,
    "object_storage": STORAGE,
    "config": STORAGE,
    "stores": STORAGE | {"config", "object_storage"},
    "relation": {"errors"},
    "predicate": {"errors"},
    "disk_cache": {"errors", "storage"},
    "table": {"errors", "relation", "predicate", "storage"},
    "changes": {"errors", "relation", "table"},
    "matching": {"errors"} | CONTRACTS,
    "differences": {"errors", "changes", "matching"} | CONTRACTS,
    "inserts": {"errors", "changes"} | CONTRACTS,
    "change_check": {"errors", "changes", "result", "sql", "storage", "table"},
    "type_names": set(),
    "diff_stat": {"errors", "differences", "matching", "type_names"} | CONTRACTS,
    "diffing": {"errors", "differences", "diff_stat", "relation", "sql", "table"},
    "pruning": {"errors", "predicate"},
    "avro": BASE | {"storage"},
    "formats": BASE | CONTRACTS | {"storage", "pruning", "avro", "changes", "kept"},
    "variant": {"errors"},
    "engines": BASE | CONTRACTS | {"storage", "store_options", "stores", "variant", "avro"},
    "catalogs": STORAGE | CONTRACTS | {"config", "stores", "formats", "disk_cache"},
    "sql": {"errors", "table"},
    "travel": {"errors", "table"},
    "result": {"errors", "table"},
    "answers": {"errors", "engines"} | CONTRACTS,
    "explain": {"errors", "engines", "result"} | CONTRACTS,
    "settings": {"errors", "config", "location", "table", "travel"},
    "consumer_store": BASE,
    "consumers": {"errors", "changes", "consumer_store", "settings"} | CONTRACTS,
    "consumer_statements": {"errors", "sql", "changes", "consumer_store", "consumers", "result", "table"},
    "tailing": {"errors", "sql", "changes", "consumer_statements", "consumer_store", "consumers", "result", "table"},
    "sample": {"errors", "config"},
    "catalog_statements": {"errors", "change_check", "sql", "settings", "result", "catalogs", "formats", "table", "travel", "type_names"},
    "kept_plans": set(),
    "kept": set(),
    "resolving": {"errors", "catalogs", "changes", "consumers", "diffing", "inserts", "relation", "settings", "sql", "table", "travel"},
    "renames": {"errors", "result", "table"},
    "session": STORAGE
    | CONTRACTS
    | {
        "config",
        "sql",
        "catalogs",
        "engines",
        "answers",
        "explain",
        "settings",
        "travel",
        "result",
        "catalog_statements",
        "consumer_statements",
        "consumers",
        "tailing",
        "kept",
        "kept_plans",
        "renames",
        "resolving",
    },
    "opened": {
        "errors",
        "answers",
        "catalogs",
        "config",
        "consumers",
        "engines",
        "location",
        "predicate",
        "relation",
        "resolving",
        "result",
        "settings",
        "sql",
        "storage",
        "table",
    },
    "frontends": {
        "errors",
        "hidden",
        "engines",
        "opened",
        "predicate",
        "relation",
        "config",
        "location",
        "session",
        "result",
        "settings",
        "sample",
        "sql",
        "table",
        "tailing",
        "toml_section",
        "lakesql",
    },
    "lakesql": {"errors", "config", "frontends", "result", "session"},
    "__main__": {"frontends"},
}
"""What each part may import besides itself; parts are the modules and folders directly below the package, and `lakesql` is the package itself."""

WRAPPED_BY = {
    "datafusion": {"engines/datafusion", "avro/decode.py"},
    "google": {"engines/datafusion"},
    "obstore": {"object_storage.py"},
    "pyiceberg": {"catalogs/pyiceberg_catalogs.py"},
    "requests": {"catalogs/pyiceberg_catalogs.py"},
    "harlequin": {"frontends/harlequin.py"},
    "sqlalchemy": {"catalogs/pyiceberg_catalogs.py", "frontends/sqlalchemy.py"},
    "pyroaring": {"formats/delta", "formats/iceberg", "formats/paimon", "engines/merge_functions.py"},
    "prompt_toolkit": {"frontends/shell"},
    "IPython": {"frontends/magics"},
    "traitlets": {"frontends/magics"},
    "polars": {"frontends"},
}
"""Where a heavy library may be imported."""

LOADS_BY_NAME = {"__init__.py", "formats/__init__.py", "frontends/render/__init__.py"}
"""Files that import modules by a name made at run time, which the tests here cannot see: public names, formats and output formats on first use."""

NEVER = {"deltalake", "duckdb", "pandas", "pyspark", "moto", "hypothesis", "pytest"}


def modules() -> Iterator[Path]:
    return (p for p in sorted(PACKAGE.rglob("*.py")) if "_sample" not in p.parts)


def imports(file: Path) -> Iterator[str]:
    """Modules that a file imports when it runs, whole names; those for type checkers alone are left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {id(n) for b in ast.walk(tree) if isinstance(b, ast.If) and "TYPE_CHECKING" in ast.unparse(b.test) for s in b.body for n in ast.walk(s)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"lakesql.{a.name}" for a in node.names) if node.module == "lakesql" else (node.module or "",)


def part_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "lakesql" if first == "__init__" else first


def imported_part(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (parts[1] in MAY_IMPORT or (PACKAGE / parts[1]).exists() or (PACKAGE / f"{parts[1]}.py").exists()) else "lakesql"


@pytest.mark.parametrize("file", list(modules()), ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_arrows(file: Path) -> None:
    part = part_of(file)
    assert part in MAY_IMPORT, f"say in MAY_IMPORT what {part} may import"
    used = {imported_part(name) for name in imports(file) if name.split(".")[0] == "lakesql"}
    assert used - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("file", list(modules()), ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_libraries_stay_where_they_are_wrapped(file: Path) -> None:
    place = file.relative_to(PACKAGE).as_posix()
    for name in {name.split(".")[0] for name in imports(file)}:
        assert name not in NEVER, f"{name} is for tests and benchmarks"
        assert name not in WRAPPED_BY or any(place.startswith(home) for home in WRAPPED_BY[name]), f"{name} is wrapped by {WRAPPED_BY[name]}"


@pytest.mark.parametrize("file", list(modules()), ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_modules_are_read_in_one_sitting(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").count("\n")
    assert lines <= 600, f"{lines} lines: look for the noun hiding inside"


def test_imports_are_seen() -> None:
    """Imports by a name in a string would pass every other test here."""
    hidden = re.compile(r"\bimport_module\b|\b__import__\b|\bexec\(|\bspec_from_file_location\b")
    found = {f.relative_to(PACKAGE).as_posix() for f in modules() if hidden.search(f.read_text(encoding="utf-8"))}
    assert found <= LOADS_BY_NAME


def test_arrows_make_no_circle() -> None:
    """Whatever a part may import, directly or not, may not import it. The package itself names everything, on first use, and is left out."""

    def reached(part: str) -> set[str]:
        seen: set[str] = set()
        waiting = [part]
        while waiting:
            for other in MAY_IMPORT[waiting.pop()] - seen - {"lakesql"}:
                seen.add(other)
                waiting.append(other)
        return seen

    assert [part for part in MAY_IMPORT if part in reached(part)] == []
    assert "engines" not in reached("formats")
    assert "formats" not in reached("engines")
    assert {part for part in MAY_IMPORT if "sql" in reached(part)} <= {
        "sql",
        "change_check",
        "diffing",
        "resolving",
        "opened",
        "session",
        "catalog_statements",
        "consumer_statements",
        "tailing",
        "frontends",
        "lakesql",
        "__main__",
    }


def test_no_format_imports_another() -> None:
    formats = {p.name for p in (PACKAGE / "formats").iterdir() if p.is_dir()}
    for file in (PACKAGE / "formats").glob("*/**/*.py"):
        own = file.relative_to(PACKAGE / "formats").parts[0]
        imported = {name.split(".")[2] for name in imports(file) if name.startswith("lakesql.formats.")}
        assert not imported & formats - {own}, f"{file.relative_to(PACKAGE)} imports another format"


def loaded_by(code: str) -> set[str]:
    """The top-level modules that are there after the code ran in a new interpreter."""
    listing = "import sys\nprint(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{listing}"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_is_light() -> None:
    assert not loaded_by("import lakesql; lakesql.Error") & {"datafusion", "pyarrow", "numpy", "prompt_toolkit", "google", "obstore", "pyroaring"}


def test_import_loads_nothing_foreign() -> None:
    """Whatever it is called: only lakesql and Python itself, beside what the interpreter of this environment always loads."""
    foreign = loaded_by("import lakesql") - loaded_by("pass") - sys.stdlib_module_names
    assert foreign == {"lakesql"}


@pytest.mark.parametrize("module", ["pruning", "relation", "table", "storage", "formats.delta", "sql"])
def test_what_plans_loads_no_engine(module: str) -> None:
    """pandas is not asked for: where it is installed, pyarrow loads it as soon as a value is made."""
    assert not loaded_by(f"import lakesql.{module}") & {"datafusion", "prompt_toolkit", "google", "obstore", "torch", "IPython"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--no-such-option"]])
def test_words_of_the_command_line_load_no_engine(arguments: list[str]) -> None:
    assert not loaded_by(f"from lakesql.frontends.cli import main\nmain({arguments!r})") & {"datafusion", "prompt_toolkit", "google", "obstore"}
