"""The notebook's magics, in an IPython shell of this process: over the sample lake, over a small Delta table, and over the double."""

from __future__ import annotations

import datetime as dt
import html
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

import lakesql
from lakesql.frontends.magics import line, progress
from lakesql.frontends.magics.magic import COMMANDS, LakesqlMagic
from lakesql.frontends.magics.results import QueryResult

from .doubles import FakeSession
from .tables import TEXT

LAKE = str(Path(__file__).parents[2] / "catalog")


class Notebook:
    """A shell whose cells either give their value or raise what they fail with. printed, shown: what the last cell wrote, and its outputs by MIME type."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        config = Config()
        config.HistoryManager.enabled = False
        self.shell = InteractiveShell.instance(config=config)
        self.printed = ""
        self.shown: list[dict[str, str]] = []
        self.run("%load_ext lakesql")

    def run(self, cell: str) -> Any:
        with capture_output() as captured:
            done = self.shell.run_cell(cell)
        self.printed, self.shown = captured.stdout + captured.stderr, [output.data for output in captured.outputs]
        if not done.success:
            raise done.error_in_exec or done.error_before_exec
        return done.result

    def error(self, cell: str) -> str:
        """What a cell prints that must fail with an error of lakesql."""
        with pytest.raises(lakesql.Error):
            self.run(cell)
        return self.printed.strip()

    @property
    def magic(self) -> LakesqlMagic:
        return next(c for c in self.shell.configurables if isinstance(c, LakesqlMagic))


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("LAKESQL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    made = Notebook()
    yield made
    made.run("%unload_ext lakesql")
    InteractiveShell.clear_instance()


@pytest.fixture
def notebook(bare: Notebook) -> Notebook:
    bare.run(f"%lakesql open {LAKE}")
    return bare


@pytest.fixture
def double(bare: Notebook, fake: FakeSession, monkeypatch: pytest.MonkeyPatch) -> Notebook:
    monkeypatch.setattr("lakesql.session.Session.open", lambda *args, **options: fake)
    monkeypatch.setattr("lakesql.sql.parse", lambda text: _Anything())
    return bare


class _Anything:
    kind = None
    placeholders = ()


# 48: what is shown ---------------------------------------------------------------------------------------------------------------------------------


def test_markup_in_data_is_text(notebook: Notebook) -> None:
    """48."""
    image = "<img src=x onerror=alert(1)>"
    bundle = notebook.run(f"%sql SELECT '{image}' AS \"<b>\", NULL AS n")._repr_mimebundle_()
    assert "&lt;img src=x onerror=alert(1)&gt;" in bundle["text/html"]
    assert "<img" not in bundle["text/html"]
    assert "<b>" not in bundle["text/html"]
    assert image in bundle["text/plain"]


def test_markup_in_names_notes_and_footers_is_text(tmp_path: Path, bare: Notebook) -> None:
    write_deltalake(tmp_path / "<i>t", pa.table({"<u>": pa.array([{"<s>": 1}])}))
    shown = bare.run(f"%sql SELECT * FROM '{tmp_path}/<i>t'").bundle()["text/html"]
    assert re.findall(r"<(?!/)(\w+)", shown) == ["div", "table", "thead", "tr", "th", "tr", "th", "tbody", "tr", "td", "div"]
    assert "&lt;i&gt;t" in shown


def test_a_result_says_types_nulls_and_what_was_read(notebook: Notebook) -> None:
    bundle = notebook.run("%sql SELECT day, NULL AS nothing, sum(watch_ms) AS n FROM impressions WHERE day = '2026-11-20' GROUP BY day").bundle()
    markup = bundle["text/html"]
    assert re.findall(r"<th [^>]*>(.*?)</th>", markup) == ["day", "nothing", "n", "date", "null", "bigint"]
    assert re.search(r'<td [^>]*color:#888">NULL</td>', markup)
    for shown in bundle.values():
        assert re.search(r"1 row, \d\.\d\d s, read 3 of 9 files \(6 by partition skipped\), [\d.]+ KiB, impressions@16", shown)


def test_plans_keep_their_lines(notebook: Notebook) -> None:
    plan = notebook.run("%sql EXPLAIN PRUNING SELECT count(*) FROM impressions WHERE day = '2026-11-20'")
    for shown in plan.bundle().values():
        assert "\n  predicates  day = DATE '2026-11-20'\n" in html.unescape(shown)


# 50: every way to say it ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("magic", ["sql", "lakesql"])
def test_all_ways_to_run(notebook: Notebook, magic: str) -> None:
    """50."""
    assert list(notebook.run(f"%{magic} SELECT 42")) == [(42,)]
    assert list(notebook.run(f"%%{magic}\nSELECT 41\n  + 1")) == [(42,)]
    assert notebook.run(f"%{magic} x << SELECT 1 AS a") is None
    assert list(notebook.run("x")) == [(1,)]
    assert notebook.run(f"y = %{magic} SELECT 2 AS a") is None
    assert list(notebook.run("y")) == [(2,)]
    assert list(notebook.run(f"%%{magic} z --limit 3\nSELECT 3")) == list(notebook.run("z")) == [(3,)]
    assert notebook.run(f"%%{magic} z <<\nSELECT 4") is None
    assert list(notebook.run("z")) == [(4,)]
    assert list(notebook.run(f"%%{magic} SELECT 5\n+ 6")) == [(11,)]


def test_values_are_bound(notebook: Notebook) -> None:
    """50."""
    notebook.run('v = "\'; DROP TABLE impressions; --"')
    assert list(notebook.run("%sql SELECT :v AS v, ':v' AS w, 'a'::varchar AS c -- :u")) == [("'; DROP TABLE impressions; --", ":v", "a")]


def test_values_of_one_style(notebook: Notebook) -> None:
    notebook.run("day, slots = __import__('datetime').date(2026, 11, 20), __import__('numpy').int64(2)")
    (literal,) = notebook.run("%sql SELECT count(*) FROM impressions WHERE day = DATE '2026-11-20' AND slot < 2")
    assert list(notebook.run("%sql SELECT count(*) FROM impressions WHERE day = :day AND slot < :slots")) == [literal]
    assert list(notebook.run("%sql SELECT count(*) FROM impressions WHERE day = $day AND slot < $slots")) == [literal]
    assert list(notebook.run("def f(k):\n    r = %sql SELECT :k + 1\n    return r\nf(6)")) == [(7,)]  # a local variable
    assert 'did you mean "slots"' in notebook.error("%sql SELECT :slotz")
    assert "has no name" in notebook.error("%sql SELECT ?")


def test_braces_are_identifiers(notebook: Notebook) -> None:
    """50."""
    notebook.run("t, c, where, bad = 'impressions', 'day', ('clips', 'impressions'), 'x\" FROM secrets --'")
    assert list(notebook.run("%sql SELECT min({{c}}) FROM {{t}}")) == list(notebook.run("%sql SELECT min(day) FROM {{where}}")) == [(dt.date(2026, 11, 16),)]
    assert list(notebook.run("%sql SELECT '{{t}}', 1 -- {{t}}")) == [("{{t}}", 1)]
    assert 'no column is called "x FROM secrets --"' in notebook.error("%sql SELECT {{bad}} FROM impressions")
    assert "NameError" in notebook.error("%sql SELECT {{nothing}}")
    assert "identifiers alone" in notebook.error("%sql SELECT {{1 + 1}}")


def test_several_statements(notebook: Notebook) -> None:
    assert list(notebook.run("%%sql\nCREATE VIEW late AS SELECT 7 AS seven;\nSELECT * FROM late; SELECT 2")) == [(2,)]
    assert ["│      7 │" in shown["text/plain"] for shown in notebook.shown] == [True]
    assert notebook.run("%sql SET lakesql.prune = off") is None
    assert notebook.printed == ""


def test_options(notebook: Notebook) -> None:
    bundle = notebook.run("%sql --limit 2 SELECT * FROM range(5)").bundle()
    assert bundle["text/html"].count("<td ") == 2
    assert "first 2 rows" in bundle["text/plain"]
    assert list(notebook.run("%sql --as-of 4 SELECT count(*) FROM impressions")) == list(notebook.run("%sql SELECT count(*) FROM impressions VERSION AS OF 4"))
    notebook.run("then = 4")
    assert notebook.run("%sql --as-of=then SELECT count(*) FROM impressions").snapshots[0].version == "4"
    assert 'did you mean "--limit"' in notebook.error("%sql --limt 2 SELECT 1")
    for wrong in ("--limit x SELECT 1", "--limit", "--timeout 0 SELECT 1", "--arrow=1 SELECT 1", "", "--connection nobody SELECT 1"):
        assert notebook.error(f"%sql {wrong}")
    assert notebook.error("%%sql name --limit 1 SELECT 1\nSELECT 2")


def test_frames(notebook: Notebook) -> None:
    assert isinstance(notebook.run("%sql --pandas SELECT 1 AS a"), pandas.DataFrame)
    for setting, kind in (("autopandas", pandas.DataFrame), ("autopolars", polars.DataFrame), ("autoarrow", pa.Table)):
        notebook.run(f"%config LakesqlMagic.{setting} = True")
        frame = notebook.run("%sql SELECT * FROM range(30000)")
        notebook.run(f"%config LakesqlMagic.{setting} = False")
        assert isinstance(frame, kind)
        assert len(frame) == 30000
    notebook.run("%config LakesqlMagic.displaylimit = 3")
    assert notebook.run("%sql SELECT * FROM range(9)").bundle()["text/html"].count("<td ") == 3


def test_jupysql_keeps_its_magic(tmp_path: Path) -> None:
    """50: jupysql itself, loaded first; in a process of its own, since its module is called `sql` like a folder of these tests."""
    script = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
for cell in ("%load_ext sql", "%load_ext lakesql", "r = %lakesql SELECT 42", "%%lakesql s\\nSELECT 43", "print(list(r), list(s))",
             "print(type(get_ipython().find_line_magic('sql').__self__).__module__)", "%unload_ext lakesql",
             "print(get_ipython().find_line_magic('sql') is not None, get_ipython().find_line_magic('lakesql'))"):
    shell.run_cell(cell).raise_error()
"""
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(Path(lakesql.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    told = done.stdout[done.stdout.index("%sql belongs") :].splitlines()
    assert told[0] == "%sql belongs to sql in this notebook: lakesql answers to %lakesql and %%lakesql"
    assert [line for line in told if line.startswith(("[(", "sql.", "True"))] == ["[(42,)] [(43,)]", "sql.magic", "True None"]


def test_loading_twice(notebook: Notebook) -> None:
    notebook.run("%reload_ext lakesql")
    assert notebook.printed == ""
    assert list(notebook.run("%sql SELECT 1")) == [(1,)]


def test_connections(bare: Notebook, tmp_path: Path) -> None:
    write_deltalake(tmp_path / "a", pa.table({"x": [1]}))
    write_deltalake(tmp_path / "b", pa.table({"x": [2]}))
    (tmp_path / "lakesql.toml").write_text('[tables]\nt = "a"\n[connections]\nshop = "b"\n')
    bare.run("%lakesql")
    assert "no connection yet" in bare.printed
    assert list(bare.run("%sql SELECT x FROM t")) == [(1,)]  # what is configured
    bare.run(f"%lakesql open {tmp_path}/b --name second")
    assert bare.printed == "current connection: second\n"
    assert list(bare.run("%sql SELECT x FROM t")) == [(2,)]
    assert list(bare.run("%sql --connection default SELECT x FROM t")) == [(1,)]
    bare.run("%lakesql list")
    assert bare.printed == f"  default: as configured\n* second: {tmp_path}/b\n"
    bare.run("%lakesql use default")
    assert list(bare.run("%sql SELECT x FROM t")) == [(1,)]
    bare.run("%lakesql close")
    assert list(bare.run("%sql SELECT x FROM t")) == [(2,)]
    for wrong in ("use nobody", "open a b", "open --naem x", "open --name", "open 'a", f"open {tmp_path}/nothing"):
        assert bare.error(f"%lakesql {wrong}")
    bare.run("%lakesql open shop")
    assert bare.printed == "current connection: shop\n"
    assert list(bare.run("%sql SELECT x FROM t")) == [(2,)]
    bare.run("%lakesql sample")
    assert list(bare.run("%sql SELECT count(*) > 0 FROM impressions")) == [(True,)]


def test_help_names_everything(bare: Notebook) -> None:
    bare.run("%lakesql help")
    assert all(word in bare.printed for word in (*COMMANDS, *line.OPTIONS))


# 51: errors ----------------------------------------------------------------------------------------------------------------------------------------


def test_a_misspelled_column(notebook: Notebook) -> None:
    """51: under nbclient in test_notebook.py."""
    printed = notebook.error("%%sql\nSELECT 1;\nSELECT dya\nFROM impressions")
    assert printed.endswith('error 42703: no column is called "dya"\nLINE 2: SELECT dya\n               ^^^\nhint: did you mean "day"?')
    assert "Traceback" not in printed
    assert "Traceback" in notebook.error("%sql --traceback SELECT dya FROM impressions")
    notebook.run("%config LakesqlMagic.traceback = True")
    assert "Traceback" in notebook.error("%sql SELECT dya FROM impressions")


def test_errors_obey_no_terminal(notebook: Notebook) -> None:
    printed = notebook.error('%sql SELECT "\x1b[31m" FROM impressions')
    assert "\x1b" not in printed
    assert "\\x1b[31m" in printed


def test_errors_of_rows(notebook: Notebook) -> None:
    assert "error 22" in notebook.error("%sql SELECT 1 / (value - 5) FROM range(10)")


# 52: the same rows again ---------------------------------------------------------------------------------------------------------------------------


def test_an_earlier_result_names_versions(bare: Notebook, tmp_path: Path) -> None:
    """52."""
    write_deltalake(tmp_path / "t", pa.table({"id": [1, 2]}))
    write_deltalake(tmp_path / "u", pa.table({"id": [2, 3]}))
    bare.run(f"%lakesql open {tmp_path}")
    bare.run("res = %sql SELECT * FROM t JOIN u USING (id)")
    assert [(s.name, s.version) for s in bare.run("res.snapshots")] == [("t", "0"), ("u", "0")]
    write_deltalake(tmp_path / "t", pa.table({"id": [3]}), mode="append")
    write_deltalake(tmp_path / "u", pa.table({"id": [1]}), mode="append")
    again = "\nSELECT id FROM t JOIN default.u AS u USING (id) ORDER BY id"
    assert list(bare.run(f"%%sql{again}")) == [(1,), (2,), (3,)]
    assert list(bare.run(f"%%sql --as-of res{again}")) == [(2,)]
    bare.run("snapshots = res.snapshots")
    assert list(bare.run(f"%sql --as-of res SELECT count(*) FROM '{tmp_path}/t' AS p, t")) == [(4,)]
    assert list(bare.run("%sql --as-of res WITH u AS (SELECT * FROM t) SELECT count(*) FROM u")) == [(2,)]
    assert list(bare.run(f"%%sql now --as-of snapshots{again}")) == [(2,)]
    assert list(bare.run("%sql --as-of res SELECT count(*) FROM t WHERE id NOT IN (SELECT id FROM t VERSION AS OF 1)")) == [(0,)]
    assert list(bare.run('%sql --as-of now SELECT count(*) FROM "t$files"')) == [(1,)]


def test_what_an_earlier_result_does_not_say(bare: Notebook, tmp_path: Path) -> None:
    for name in ("t", "u"):
        write_deltalake(tmp_path / name, pa.table({"id": [1]}))
        write_deltalake(tmp_path / name, pa.table({"id": [2]}), mode="append")
    bare.run(f"%lakesql open {tmp_path}")
    bare.run("res = %sql SELECT * FROM t")
    bare.run("two = %sql SELECT * FROM t VERSION AS OF 0 a JOIN t USING (id)")
    assert 'did not read "u"' in bare.error("%sql --as-of res SELECT * FROM u")
    assert "several versions: 0, 1" in bare.error("%sql --as-of two SELECT * FROM t")
    bare.run("%sql CREATE VIEW v AS SELECT * FROM t")
    assert "is a view" in bare.error("%sql --as-of res SELECT * FROM v")
    assert "have no end" in bare.error("%sql --as-of res SELECT * FROM t CHANGES FROM VERSION 0")
    bare.run("other = [1]")
    assert "type list" in bare.error("%sql --as-of other SELECT 1")


# 53: no more than is shown -------------------------------------------------------------------------------------------------------------------------


def test_a_billion_rows(notebook: Notebook) -> None:
    """53: over the engine."""
    result = notebook.run("%sql SELECT value, value * 2 AS twice FROM range(1000000000)")
    bundle = result.bundle()
    assert bundle["text/html"].count("<td ") == 40
    assert bundle["text/plain"].count("│") == 2 * 3 + 20 * 3
    for shown in bundle.values():
        assert "first 20 rows; there are more, which were not fetched" in shown
        assert "8,192+ rows" in shown


def test_one_batch_is_taken(double: Notebook, fake: FakeSession) -> None:
    """53: over the double, which counts."""
    batch = pa.record_batch({"a": range(100)})
    taken = []

    def endless() -> Iterator[pa.RecordBatch]:
        while True:
            taken.append(1)
            yield batch

    fake.answers["SELECT a"] = lambda parameters: lakesql.Result(batch.schema, endless())
    result = double.run("%sql SELECT a")
    assert "first 20 rows" in double.printed
    assert len(taken) == 1
    rows = iter(result)
    assert [next(rows) for _ in range(150)][-1] == (49,)
    assert len(taken) == 2


def test_nothing_runs_twice(double: Notebook, fake: FakeSession) -> None:
    table = pa.table({"a": range(1000), "s": ["x", None] * 500})
    fake.answers["SELECT a"] = table
    result = double.run("%sql SELECT a")
    assert len(fake.log) == 1
    assert result.to_arrow() == pa.table(result) == table
    assert polars.DataFrame(result).equals(result.to_polars())
    assert result.to_pandas()["a"].sum() == 499_500
    assert list(result) == list(result) == list(zip(*table.to_pydict().values(), strict=True))
    assert result.is_complete
    assert (result.row_count, result.schema) == (1000, table.schema)
    assert len(fake.log) == 1
    assert "first 20 of 1,000 rows" in result.bundle()["text/plain"]


def test_frames_that_are_not_installed(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    result = notebook.run("%sql SELECT 1 AS a")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(lakesql.NotSupportedError, match="polars is not installed"):
        result.to_polars()


def test_plots_are_pandas(notebook: Notebook) -> None:
    plot = notebook.run("%sql SELECT day, count(*) AS n FROM impressions GROUP BY day").plot
    assert type(plot).__module__.startswith("pandas.plotting")


def test_a_result_nobody_holds_stops(double: Notebook, fake: FakeSession) -> None:
    batch = pa.record_batch({"a": range(100)})
    fake.answers["SELECT a"] = lambda parameters: fake.endless(batch)
    double.run("%sql x << SELECT a")
    assert not fake.cancelled.is_set()
    double.run("del x")
    assert fake.cancelled.is_set()


def test_a_closed_result_keeps_what_it_has(double: Notebook, fake: FakeSession) -> None:
    batch = pa.record_batch({"a": range(100)})
    fake.answers["SELECT a"] = lambda parameters: fake.endless(batch)
    result: QueryResult = double.run("%sql SELECT a")
    result.close()
    assert "100+ rows" in repr(result)
    with pytest.raises(lakesql.InterfaceError, match="closed before"):
        result.to_arrow()


def test_cells_agree_with_the_text_of_tables(double: Notebook, fake: FakeSession) -> None:
    fake.answers["SELECT a"] = TEXT
    assert "\\x1b[31mred" in double.run("%sql SELECT a").bundle()["text/html"]


# 54: progress --------------------------------------------------------------------------------------------------------------------------------------


def test_one_line_of_progress(double: Notebook, fake: FakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """54: over the double; in a saved notebook in test_notebook.py."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.2)
    sent: list[tuple[str, str, float]] = []
    publish = double.shell.display_pub.publish

    def publishing(data: Any, *args: Any, transient: Any = None, update: bool = False, **options: Any) -> None:
        sent.append((data["text/plain"], (transient or {}).get("display_id", ""), time.monotonic()))
        publish(data, *args, transient=transient, update=update, **options)

    def slow(parameters: Any) -> lakesql.Result:
        def batches() -> Iterator[pa.RecordBatch]:
            for _ in range(6):
                time.sleep(0.25)
                yield pa.record_batch({"a": [1]})

        time.sleep(0.5)
        return lakesql.Result(pa.schema({"a": pa.int64()}), batches())

    fake.answers["SELECT a"] = slow
    monkeypatch.setattr(double.shell.display_pub, "publish", publishing)
    double.shell.run_cell("%sql SELECT a")
    *lines, footer, result = [text for text, _, _ in sent]
    assert len({display_id for _, display_id, _ in sent}) == 1
    assert len(lines) >= 4
    assert lines[0].startswith("planning, ")
    assert re.match(r"running, \d\.\d s, \d rows so far", lines[-1])
    assert re.match(r"6 rows, \d\.\d\d s", footer)
    assert result.startswith("┌")
    moments = [moment for _, _, moment in sent[: len(lines)]]
    assert min(b - a for a, b in itertools.pairwise(moments)) > 0.2
    sent.clear()
    double.shell.run_cell("%sql --no-progress SELECT a")
    assert sent == []
    assert not [m for m in sys.modules if m.startswith("ipywidgets")]


def test_time_is_up(double: Notebook, fake: FakeSession) -> None:
    fake.answers["SELECT a"] = lambda parameters: fake.stuck(pa.record_batch({"a": [1]}))
    assert "ran longer than the 0.2 s" in double.error("%sql --timeout 0.2 SELECT a")
    assert fake.cancelled.is_set()


def test_numbers_of_numpy() -> None:
    from lakesql.frontends.magics.variables import plain

    assert type(plain(np.float32(1.5))) is float
    assert type(plain(np.datetime64("2026-01-01"))) is dt.date


# 49: completion ------------------------------------------------------------------------------------------------------------------------------------


def completions(notebook: Notebook, text: str) -> list[tuple[str, str]]:
    """What Tab offers at the `|` of a cell: text and type."""
    from IPython.core.completer import provisionalcompleter

    cursor = text.index("|")
    with provisionalcompleter():
        return [(c.text, c.type) for c in notebook.shell.Completer.completions(text.replace("|", ""), cursor)]


COLUMNS = {"day", "device", "impression_id", "item_id", "liked", "slot", "ts", "user_id", "watch_ms"}


@pytest.mark.parametrize(
    "cell",
    [
        "%%sql\nselect o.| from impressions o",
        "%%sql res --limit 5\nselect 1;\nselect *\nfrom impressions o\nwhere o.|",
        "%%lakesql\nselect o.| from impressions o",
        "%sql select o.| from impressions o",
        "x = 1\ny = %sql --limit 3 select o.| from impressions o",
        "%sql --pandas x << select o.| from impressions o",
    ],
)
def test_columns_are_completed(notebook: Notebook, cell: str) -> None:
    """49."""
    found = completions(notebook, cell)
    assert {text.rsplit(".", 1)[-1] for text, _ in found} == COLUMNS
    assert {kind for _, kind in found} == {"column"}


def test_system_tables_are_completed(notebook: Notebook) -> None:
    """49."""
    found = completions(notebook, "%%sql\nselect * from impressions$|")
    assert {kind for _, kind in found} == {"system"}
    assert any("snapshots" in text for text, _ in found)
    assert len(found) >= 5


def test_tables_and_options_are_completed(notebook: Notebook) -> None:
    names = [text for text, _ in completions(notebook, "%%sql\nselect * from imp|")]
    assert names[0] == "impressions"
    assert not {"import", "ImportError"} & set(names)
    assert {text for text, _ in completions(notebook, "%%sql --a|")} == {"--as-of", "--arrow"}


def test_python_is_completed_as_ever(notebook: Notebook) -> None:
    assert "import" in [text for text, _ in completions(notebook, "impor|")]
    assert "import" in [text for text, _ in completions(notebook, "x = %sql select 1\nimpor|")]
