"""What is typed at the shell, and what it answers, over the sample lake. Statements are numbered as in the list of what a shell must pass."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from lakesql.errors import ConfigError
from lakesql.frontends.shell import commands
from lakesql.frontends.shell.history import FileHistory, holds_secret
from lakesql.frontends.shell.loop import pieces
from lakesql.frontends.shell.reading import THEMES, coloured, command_in, fuzzy, is_whole, theme_of
from lakesql.frontends.shell.state import State

from .conftest import Session, SharedClient, Typed

# Editing -------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("select 1", False),
        ("select 1;", True),
        ("select ';", False),
        ("select 1 -- ;", False),
        ("select /* ; */ 1", False),
        ("select 1; -- done", True),
        ("\\d", True),
        ("select 1 \\gx", True),
        ("select '\\g", False),
        ("", True),
    ],
)
def test_enter_submits_only_what_is_whole(text: str, whole: bool) -> None:
    """Statement 11."""
    assert is_whole(text) is whole


def test_a_statement_over_lines_and_semicolons_in_quotes(typed: Typed) -> None:
    """Statement 11: Enter goes on to the next line until a `;` ends the statement."""
    shown = typed("select ';'\nas a, -- ; no\n1 as b;")
    assert "│ ;       │      1 │" in shown


def test_a_pasted_script_runs_once_in_order_with_an_entry_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statement 11: 500 lines in one bracketed paste."""
    session = Session("--sample", "--quiet")
    settings: list[dict[str, str]] = []
    monkeypatch.setattr(SharedClient, "close", lambda client: settings.append(dict(client.settings)) or client.settings.clear())
    script = "\n".join(f"set lakesql.time_zone =\n'Etc/GMT-{1 + i % 14}';" for i in range(250))
    session.typed(f"\x1b[200~{script}\x1b[201~\nshow lakesql.time_zone;")
    assert session.shell is not None
    entries = session.shell.history.get_strings()
    assert len(entries) == 251 + 1
    assert entries[0] == "set lakesql.time_zone =\n'Etc/GMT-1';"
    assert entries[249] == "set lakesql.time_zone =\n'Etc/GMT-12';"
    assert settings[0]["lakesql.time_zone"] == "set lakesql.time_zone =\n'Etc/GMT-12'"
    monkeypatch.undo()
    Session("--sample", "--quiet").typed("set lakesql.time_zone = 'UTC';")


def test_ctrl_c_clears_the_line_and_ctrl_d_leaves(typed: Typed) -> None:
    assert "7" in typed("select nonsense\x03select 7;")
    session = Session("--sample", "--quiet")
    assert session.typed("\x04") == ""


@pytest.mark.parametrize(("keys", "mode"), [("select 12\x1b[D\x7f\x05;\n", "emacs"), ("\\mode vi\nselect 12\x1bhxA;\n", "vi")])
def test_modes(keys: str, mode: str, typed: Typed) -> None:
    """Statement 30: Home, arrows and vi's own keys do what they should."""
    shown = typed(keys)
    assert "│        2 │" in shown


def test_history_is_fuzzy_private_and_free_of_secrets(home: Path) -> None:
    """Statement 27: Ctrl-R matches letters in order; the file is its owner's alone."""
    session = Session("--sample", "--quiet")
    session.typed("select 1 as alpha;\nselect 2 as beta;\nselect 's3://user:hunter2@host/x' as c;\nset x.secret_access_key = 'hush';")
    path = home / "state" / "lakesql" / "history.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "hunter2" not in path.read_text()
    assert "hush" not in path.read_text()
    assert list(FileHistory(path).load_history_strings()) == ["\\q", "select 2 as beta;", "select 1 as alpha;"]
    assert fuzzy("s1alp", ["select 1 as alpha;", "select 2 as beta;"]) == ["select 1 as alpha;"]
    assert "alpha" in Session("--sample", "--quiet").typed("\x12alp\n\n")


@pytest.mark.parametrize("text", ["create secret (token 'x')", "select * from 'https://a:b@c/d'", "SET password = 'x'", "AKIAABCDEFGHIJKLMNOP"])
def test_secrets_are_known(text: str) -> None:
    assert holds_secret(text)


def test_highlighting_and_themes() -> None:
    """Statement 30."""
    found = {text: style for style, text in coloured("SELECT 'a' -- c\nFROM t WHERE x = :y AND 1")}
    assert found["SELECT"] == "class:sql.keyword"
    assert found["'a'"] == "class:sql.string"
    assert found[":y"] == "class:sql.parameter"
    assert found["1"] == "class:sql.number"
    assert found["t"] == ""
    assert found[" -- c\n"] == "class:sql.comment"
    assert list(coloured("SELECT 'open"))[-1] == ("class:sql.string", "'open")
    assert THEMES["light"] != THEMES["dark"]
    assert theme_of("dark", {"NO_COLOR": "1"}) == "none"
    assert theme_of("auto", {"COLORFGBG": "0;15"}) == "light"


def test_commands_are_told_from_sql() -> None:
    assert command_in("SELECT 1 \\g |less") == ("SELECT 1", "\\g |less")
    assert command_in("SELECT '\\d'") is None
    assert command_in("SELECT 1 -- \\d") is None
    assert command_in("  \\x") == ("", "\\x")


# Results -------------------------------------------------------------------------------------------------------------------------------------------


def test_footer_says_what_was_read(typed: Typed) -> None:
    """Statement 6."""
    shown = typed("select * from impressions where day = '2026-11-20' and watch_ms > 60000;", "--sample", "--stats")
    assert "read 0 of" not in shown
    session = Session("--sample", "--stats")
    shown = session.typed("select * from impressions where day = '2026-11-20' and watch_ms > 60000;")
    assert re.search(r"135 rows, \d+\.\d\d s, read 2 of 9 files \(6 by partition, 1 by statistics skipped\), \d+\.\d KiB, impressions@16", shown)
    stats = json.loads(next(line for line in shown.splitlines() if line.startswith('{"rows"')))
    assert (stats["rows"], stats["files_read"], stats["skipped_by_partition"]) == (135, 2, 6)


def test_forty_rows_and_an_early_stop(home: Path) -> None:
    """Statement 13: the scan stopped early, which the bytes prove."""
    shown = Session("--sample").typed("select * from range(100000000) limit 90000000;\nselect impression_id from impressions limit 41;")
    assert "40 of 1,000+ rows" in shown
    assert "1,000+ rows, " in shown
    assert "40 of 41 rows" in shown
    assert "⋮" in shown
    for part in range(24):
        write_deltalake(home / "lake" / "numbers", pa.table({"n": range(part * 50_000, part * 50_000 + 50_000)}), mode="append")
    shown = Session(str(home / "lake")).typed("select * from numbers;")
    read = re.search(r"1,000\+ rows, .* read (\d+) of 24 files, ", shown)
    assert read is not None
    assert 0 < int(read[1]) < 24


def test_wide_rows_fit_turn_and_are_kept(typed: Typed) -> None:
    """Statement 12."""
    columns = ", ".join(f"{i} as column_{i}" for i in range(40))
    shown = typed(f"select {columns};\n\\x auto\nselect {columns};\n\\x off\n\\last")
    first = next(line for line in shown.splitlines() if line.startswith("┌"))
    assert len(first) <= 100
    assert re.search(r"40 columns \(\d+ shown\)", shown)
    assert re.search(r"^column_39 +│ 39$", shown, re.M)
    whole = [line for line in shown.splitlines() if line.startswith("┌")][-1]
    assert len(whole) > 400


def test_cells_cannot_command_the_terminal(typed: Typed) -> None:
    """Statement 17: ESC, BEL, newline, CJK, emoji."""
    shown = typed("select e'\\u001b[31mred\\u0007\nnext' as a, '漢字' as b, '😀' as c;")
    assert "\x1b" not in shown.replace("\x1b[?2004l", "")
    assert "\x07" not in shown
    assert "漢字" in shown


def test_null_and_empty(typed: Typed) -> None:
    """Statement 16."""
    shown = typed("\\format csv\nselect null as a, '' as b;\n\\pset null (none)\nselect null as a, '' as b;")
    assert '\n,""\n' in shown
    assert '\n(none),""\n' in shown


def test_explain_pruning_and_plans_are_shown_as_text(typed: Typed) -> None:
    assert "6 dropped by partition" in typed("explain pruning select * from impressions where day = '2026-11-20' and watch_ms > 60000;")


def test_explain_analyze_is_a_tree(typed: Typed) -> None:
    """Statement 23."""
    shown = typed("explain analyze select count(*) from impressions where watch_ms > 60000;\nexplain analyze verbose select 1;")
    assert re.search(r"^ *└─ .*Scan \d+ files", shown, re.M)
    assert "Plan with Metrics" in shown


def test_a_column_that_was_renamed(typed: Typed) -> None:
    """Statement 20, in each format that can rename."""
    shown = typed("select position from impressions;\nselect duration_s from items;\nselect nosuch from items;\nselct 1;")
    assert 'renamed to "slot" in version 8 (2026-11-24)' in shown
    assert 'renamed to "length_s" in schema 1 (2026-11-24)' in shown
    assert "there are: category" in shown
    assert 'did you mean "SELECT"?' in shown


# Commands ------------------------------------------------------------------------------------------------------------------------------------------


def test_every_command_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "shell.md").read_text()
    told = [row.replace("\\|", "|") for row in re.findall(r"^\| `(\\.*?)` \|", page, re.M)]
    assert told == [c.usage for c in commands.COMMANDS.values()]
    for alias, name in commands.ALIASES.items():
        assert name in commands.COMMANDS, alias


def test_habits(typed: Typed, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statement 27: psql's habits work."""
    (home / "s.sql").write_text("select 'from a file' as x;\n\\echo said\n")
    editor = home / "editor"
    editor.write_text("#!/bin/sh\necho \"select 'edited' as x;\" > $1\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    keys = [
        "\\dt",
        "\\dt it*",
        "\\l",
        "\\dn",
        "\\d users",
        "\\df date_tr*",
        "\\timing off",
        "\\x on",
        "select 5 as five;",
        "\\x off",
        "\\i s.sql",
        "select 6 as six \\g out.csv",
        "select 7 as seven \\g |cat",
        "select 8 as eight \\gx",
        "\\o o.jsonl",
        "select 9 as nine;",
        "\\o",
        "\\e\n",
        "\\conninfo",
        "\\? ",
        "\\pset",
        "\\nosuch",
        "\\ns two select $1 + 2 as sum",
        "\\n two 40",
        "\\n",
        "\\p",
        "\\s",
    ]
    shown = typed("\n".join(keys))
    for wanted in ("item_embeddings", "│ lake", "│ clips", "handle", "date_trunc(", "five │ 5", "from a file", "said", "eight │ 8", "edited", "history:"):
        assert wanted in shown, wanted
    assert "there is no command \\nosuch" in shown
    assert re.search(r"│ +42 │", shown)
    assert (home / "out.csv").read_text() == "six\n6\n"
    assert (home / "o.jsonl").read_text() == '{"nine":9}\n'
    assert "Traceback" not in shown


def test_describe_with_everything(typed: Typed) -> None:
    """Statement 18."""
    shown = typed("\\d+ impressions\n\\d+ items\n\\d+ users")
    for wanted in (
        "format: delta, reader version 3, writer version 7",
        "snapshot: 16 of 2026-11-24 01:57:31.601Z",
        "files: 9, rows: 9,908, bytes: 273.4 KiB",
        "deletion vectors: 4",
        "partitioned by: day",
        "partitioned by: category, month as published_at_month",
        "delete files: 11",
        "primary key: user_id",
        "format: iceberg, version 2",
        "sort order: none",
        "field_id",
    ):
        assert wanted in shown, wanted


def test_history_and_diff(typed: Typed) -> None:
    """Statement 19: commits, and the difference as DIFF gives it."""
    shown = typed("\\history users\n\\diff users 3 5")
    assert "COMPACT" in shown
    assert "_change_type" in shown
    assert "no statement begins with" not in shown


def test_variables_are_bound_and_gset(typed: Typed) -> None:
    """Statement 25."""
    shown = typed(
        "\\set x \"'; drop table t\"\nselect :x as a, :given + 1 as b;\nselect 41 as n, 'w' as w \\gset p_\nselect :p_n + 1 as c, :p_w as d;\nselect :missing;",
        "--sample",
        "-v",
        "given=6",
    )
    assert "│ '; drop table t │" in shown
    assert "│      7 │" in shown
    assert "│     42 │ w" in shown
    assert "missing" in shown
    assert "\\set NAME VALUE" in shown


def test_writes_are_refused(typed: Typed) -> None:
    """Statement 28."""
    shown = typed("insert into users values (1);\ncopy (select 1) to 'x.csv';\ncreate external table e stored as csv location 'x';")
    assert shown.count("is turned off") == 3
    assert shown.count("allow_write = true") == 3


def test_a_failing_statement_ends_the_rest_and_places_are_said(typed: Typed, home: Path) -> None:
    """Statement 24, inside the shell."""
    (home / "s.sql").write_text("select 1 as one;\n\nselct 2;\nselect 3 as three;\n")
    shown = typed("\\i s.sql")
    assert "s.sql:3" in shown
    assert "three" in shown
    assert "three" not in typed("\\pset on_error stop\n\\i s.sql")
    assert "after" not in typed("select nosuch; select 'after';").replace("'after'", "")


def test_settings_and_views_of_the_session(typed: Typed) -> None:
    shown = typed("create view v as select 5 as five;\n\\dv\nselect * from v;\nset lakesql.prune = off;\nshow lakesql.prune;")
    assert "v: create view v as select 5 as five" in shown
    assert re.search(r"│ off +│", shown)


def test_output_to_parquet(typed: Typed, home: Path) -> None:
    """Statement 14."""
    typed("\\o rows.parquet\nselect cast(1.25 as decimal(9, 2)) as d, [1, 2] as xs;\n\\o\nselect 1;")
    read = pq.read_table(home / "rows.parquet")
    assert (str(read.schema.field("d").type), read.column("xs").to_pylist()) == ("decimal128(9, 2)", [[1, 2]])


def test_connections_and_options_of_the_configuration(home: Path, typed: Typed) -> None:
    from lakesql import sample

    (home / "config" / "lakesql").mkdir(parents=True)
    (home / "config" / "lakesql" / "config.toml").write_text(
        f"[connections]\nhere = '{sample.lake()}'\n[shell]\nexpanded = 'on'\nnull = '-'\n"
        f"[connections.then]\ntarget = '{sample.lake()}'\nas_of = '2026-11-24T01:54:00Z'\n"
    )
    shown = typed("select count(*) as n from users;\n\\c then\nselect count(*) as n from users;\n\\c nosuch\nselect 'still' as here;\n\\conninfo", "here")
    counts = re.findall(r"n │ (\d+)", shown)
    assert len(counts) == 2
    assert counts[0] != counts[1]
    assert "still" in shown
    assert "connection: then" in shown


def test_options_are_checked() -> None:
    state = State()
    for name, value in (("theme", "pink"), ("nosuch", "x"), ("rows", "0")):
        with pytest.raises(ConfigError):
            state.set_option(name, value)


def test_files_are_told_into_statements_and_commands() -> None:
    assert list(pieces("select 1;\n\\x\nselect '\n\\no';\n")) == [("select 1;\n", 0), ("\\x\n", 1), ("select '\n\\no';\n", 2)]
