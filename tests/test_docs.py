"""The documentation names everything there is, its SQL runs, and nothing in the project is about one machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lakesql
from lakesql import config
from lakesql.frontends import options, tail
from lakesql.frontends.render import FORMATS
from lakesql.frontends.types import base_type_name
from lakesql.settings import DOCS as SETTINGS
from lakesql.table import Latest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def words(text: str) -> set[str]:
    """What stands in backticks, and every word in there."""
    quoted = re.findall(r"`([^`\n]+)`", text)
    return {w for q in quoted for w in (q, *re.findall(r"[\w$.-]+", q), *re.findall(r"\w+", q))}


# Everything is named -------------------------------------------------------------------------------------------------------------------------------


def test_every_option_is_documented() -> None:
    known = set(re.findall(r"(?<![\w-])(-[a-z]|--[a-z-]+)\b", options.help_text().split("examples:")[0] + tail.help_text()))
    assert len(known) > 15
    assert known <= words(page("cli.md"))


def test_every_documented_option_is_one() -> None:
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page("cli.md")))
    assert told <= set(re.findall(r"--[a-z][a-z-]+", options.help_text() + tail.help_text()))


def test_every_format_is_documented() -> None:
    assert set(FORMATS) <= words(page("cli.md"))


def test_every_exit_code_is_documented() -> None:
    told = re.findall(r"^\| (\d+) \|", page("cli.md"), re.MULTILINE)
    assert told == re.findall(r"^ +(\d+)  \w", options.help_text(), re.MULTILINE)


def test_every_configuration_key_is_documented() -> None:
    told = words(page("configuration.md"))
    for key in config.KEYS:
        assert key in told or (key.startswith("storage.") and key.rsplit(".", 1)[1] in told), key


def test_every_setting_is_documented() -> None:
    assert set(SETTINGS) <= words(page("sql.md"))


def test_every_export_is_documented() -> None:
    told = words(page("python.md"))
    assert {name for name in lakesql.__all__ if name not in told} == set()


def test_every_cursor_method_is_documented() -> None:
    told = words(page("python.md"))
    for owner in (lakesql.Cursor, lakesql.Connection):
        public = {n for n in vars(owner) if not n.startswith("_") and not (isinstance(vars(owner)[n], type) and issubclass(vars(owner)[n], Exception))}
        assert {n for n in public - {"setinputsizes", "setoutputsize", "closed", "session", "connection", "Warning"} if n not in told} == set()


def test_every_metadata_table_is_documented(lake: Any) -> None:
    table = lake.session.catalogs.resolve(["impressions"])
    table.snapshot(Latest())
    told = words(page("sql.md")) | words(page("delta.md"))
    assert {name for name in table.metadata_names if f"t${name}" not in told and f'"t${name}"' not in told} == set()


@pytest.mark.parametrize(("format_name", "name"), [("Delta", "impressions"), ("Iceberg", "items"), ("Paimon", "users")])
def test_every_metadata_table_is_documented_with_its_columns(lake: Any, format_name: str, name: str) -> None:
    """Structs that have a field for each column of the table are documented as structs."""
    table = lake.session.catalogs.resolve([name])
    table.snapshot(Latest())
    section = page("metadata-tables.md").split(f"## {format_name}\n")[1].split("\n## ")[0]
    told = {found[1]: found[2] for found in re.finditer(r'^\| `"t\$(\w+)"` \| [^|]+ \| (.+) \|$', section, re.MULTILINE)}
    found = {}
    for word in table.metadata_names:
        if table.view(word) is None:
            found[word] = ", ".join(f"`{f.name}` {base_type_name(f.type).lower()}" for f in table.metadata(word, Latest()).schema)
        else:
            assert f'`"t${word}"`' in section
    assert {word: told.get(text.removeprefix("those of `").removesuffix("`"), text) for word, text in told.items()} == found


# SQL runs ------------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lake() -> Iterator[Any]:
    with lakesql.connect(str(ROOT / "catalog")) as connection:
        yield connection


def examples() -> Iterator[Any]:
    """Blocks marked `sql sample` run over the sample lake, statement by statement; `sql error` must be refused."""
    for file in PAGES:
        for number, block in enumerate(re.finditer(r"^```sql (sample|error)\n(.*?)^```", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)):
            yield pytest.param(block[1], block[2], id=f"{file.stem}-{number}")


@pytest.mark.parametrize(("mark", "text"), list(examples()))
def test_examples_run(mark: str, text: str, lake: Any) -> None:
    from lakesql import sql

    for statement in sql.parse_script(text):
        if mark == "error":
            with pytest.raises(lakesql.Error):
                lake.execute(statement.text).fetchall()
        else:
            cursor = lake.execute(statement.text)
            assert cursor.description is None or cursor.fetchall() is not None


PROGRAMS = {p.stem: blocks for p in PAGES if (blocks := re.findall(r"^```python run\n(.*?)^```", p.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks marked `python run` are the parts of one program, in the folder of this project."""
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    for block in PROGRAMS[name]:
        exec(compile(block, f"docs/{name}.md", "exec"), names)


def test_every_statement_and_clause_has_an_example() -> None:
    from lakesql.sql import Kind, clauses, parse_script

    kinds, spelled = set(), set()
    for example in examples():
        for statement in parse_script(example.values[1]):
            kinds.add(statement.kind)
            for mention in statement.mentions:
                if mention.at is not None and mention.at.span is not None:
                    written = mention.at.span.of(statement.text).upper()
                    spelled |= set(re.findall(r"\w+", written)) | ({"@"} if written.startswith("@") else set()) | ({"FOR"} & {written[:3]})
                spelled |= {"CHANGES"} if mention.changes is not None else set()
                spelled |= {"OPTIONS"} if mention.options else set()
    assert set(Kind) - kinds == {Kind.OTHER, Kind.TAIL}  # a tail never ends
    assert {*clauses.VERSION_WORDS, *clauses.TIME_WORDS, "FOR", "AT", "@", "CHANGES", "OPTIONS"} - spelled == set()


def test_there_are_examples() -> None:
    assert len(list(examples())) >= 8


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config as Traits

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = Traits()
    settings.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance(config=settings)
    InteractiveShell.instance().run_cell("%unload_ext lakesql")
    InteractiveShell.clear_instance()


def test_cells_run(notebook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks marked `python cell` are cells of one notebook, in order; `python cell error` must be refused."""
    cells = re.findall(r"^```python cell( error)?\n(.*?)^```", page("jupyter.md"), re.MULTILINE | re.DOTALL)
    assert len(cells) > 5
    for fails, cell in cells:
        done = notebook.run_cell(cell)
        error = done.error_in_exec or done.error_before_exec
        assert isinstance(error, lakesql.Error) if fails else error is None, cell
    told = re.search(r"`(5 rows, 0\.05 s, .*?)`", page("jupyter.md"))
    assert told is not None
    assert re.sub(r"\d\.\d\d s", "0.05 s", told[1]) in re.sub(r"\d\.\d\d s", "0.05 s", capsys.readouterr().out)


def test_every_part_of_the_magics_is_documented() -> None:
    from lakesql.frontends.magics import line
    from lakesql.frontends.magics.magic import COMMANDS, LakesqlMagic
    from lakesql.frontends.magics.results import QueryResult

    told = words(page("jupyter.md"))
    settings = set(LakesqlMagic.class_trait_names(config=True)) - set(LakesqlMagic.__bases__[0].class_trait_names(config=True))
    assert len(settings) > 5
    public = {name for name in vars(QueryResult) if not name.startswith("_")} - {"rows_shown", "progress_line"}
    assert {n for n in (*line.OPTIONS, *COMMANDS, *settings, *public) if n not in told} == set()
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page("jupyter.md"))) <= {*line.OPTIONS, "--name", "--config"}


# Nothing is about one machine ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every text file of the project that git knows, tables of other writers apart."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout: there is no list of the project's own files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = {}
    for name in filter(None, listed):
        if not name.startswith(("catalog/", "tests/conformance/cases/")) and (ROOT / name).is_file():
            content = (ROOT / name).read_bytes()
            if b"\0" not in content:
                found[name] = content.decode("utf-8")
    return found


def test_no_path_of_this_machine(texts: dict[str, str]) -> None:
    here = {f"{ROOT.parent}/", f"{Path.home()}/"} - {"//", "/"}
    homes = re.compile("/(?:home|Users)" + r"/(?!me/)\w+/")
    assert {name for name, text in texts.items() if any(p in text for p in here) or homes.search(text)} == set()


def test_no_registry_is_named(texts: dict[str, str]) -> None:
    hosts = re.compile("|".join((r"pypi\." + "org", "python" + "hosted", r"registry\." + "npmjs", r"conda\." + "anaconda")))
    assert {name for name, text in texts.items() if hosts.search(text)} == set()


def test_readme_s_commands_are_what_ci_runs(texts: dict[str, str]) -> None:
    blocks = dict(re.findall(r"^```sh (\w+)\n(.*?)^```", texts["README.md"], re.MULTILINE | re.DOTALL))
    assert set(blocks) == {"tour", "test"}
    assert texts["README.md"].index("```sh test") < 1500
    for name, command in blocks.items():
        assert f"as_told {name}" in texts[".ci/run"]
        assert ".venv/bin/" in command
        assert "://" not in command


def test_links_lead_somewhere(texts: dict[str, str]) -> None:
    for name in (n for n in texts if n.endswith(".md") and not n.startswith("tests/")):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", texts[name]):
            assert (ROOT / name).parent.joinpath(target).exists(), f"{name} links to {target}"
