"""A secret that stands in a URL or a configuration is in no error, history, `--stats`, footer or `doctor`, whoever asks and however."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import lakesql
from lakesql.frontends.shell.history import FileHistory
from lakesql.hidden import hidden

SECRET = "hunter2/hunter2+x"
ROOT = Path(__file__).parents[2]
URLS = (
    f"s3://AKIAX:{SECRET}@bucket/t",
    f"https://user:{SECRET}@host:80/t",
    f"jdbc:x://user:{SECRET}@host/t",
    f"az://c/t?sv=1&sig={SECRET}",
    f"file:///no/where?access_token={SECRET}",
    f"s3a://b/t?x-amz-security-token={SECRET}&client_secret={SECRET}",
)


def statements(url: str) -> list[str]:
    quoted = f"'{url}'"
    return [
        f"SELECT * FROM {quoted}",
        f"SELECT 1 FRM {quoted}",
        f"SELECT 1 +\n  nope FROM (SELECT {quoted} AS x)",
        f"SELECT cuont({quoted})",
        f"DESCRIBE {quoted}",
        f"SELECT * FROM {quoted} CHANGES FROM VERSION x",
        f"SELECT CAST({quoted} AS INT)",
        f"COPY (SELECT 1) TO {quoted}",
        f"SELECT 42; SELECT 1 FRM {quoted}",
    ]


@pytest.fixture(autouse=True)
def _no_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")


@pytest.mark.parametrize("url", [u for u in URLS if not u.startswith("s3a:")])
def test_errors(url: str) -> None:
    with lakesql.connect() as connection:
        for statement in statements(url):
            with pytest.raises(lakesql.Error) as caught:
                connection.execute(statement).fetchall()
            error = caught.value
            shown = [str(error), repr(error), error.message, str(error.hint), str(error.query), *traceback.format_exception_only(error)]
            assert not [text for text in shown if "hunter2" in text], statement
            assert error.query is not None
            assert error.position is None or 0 <= error.position <= len(error.query)
    with pytest.raises(lakesql.Error) as refused:
        lakesql.connect(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", URLS)
def test_history(tmp_path: Path, url: str) -> None:
    history = FileHistory(tmp_path / "history.jsonl")
    for statement in (*statements(url), "SELECT 42"):
        history.add(statement)
    for line in (f"\\connect {url}", f"\\i {url}"):
        history.add(line)
    assert "hunter2" not in history.path.read_text()
    assert "SELECT 42" in history.path.read_text()


def test_the_command_line(tmp_path: Path) -> None:
    """A table that is read, one that is not, and the target: stdout and stderr."""
    (tmp_path / "t?sig=hunter2").symlink_to(ROOT / "catalog" / "impressions")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "lakesql", *arguments], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=100)

    read = run("--stats", "-c", "SELECT count(*) FROM 't?sig=hunter2'", "-c", "SELECT 1 FRM 't?sig=hunter2'", "--format", "csv")
    assert "9908" in read.stdout
    assert '"t?sig=' in read.stderr.replace("'", "")
    for done in (read, run("doctor", URLS[0]), run("--stats", "-c", "SELECT 1", URLS[1]), run("-c", f"SELECT * FROM '{URLS[0]}'")):
        assert "hunter2" not in done.stdout + done.stderr
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_symlink() and b"hunter2" in file.read_bytes()]


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/t@v3",
        "http://localhost:9000/bucket/a@b",
        "abfss://raw@acme.dfs.core.windows.net/lake?version=3",
        "SELECT a = ? AND token = 'x' FROM t WHERE b->'x:y@z'",
        "https://h/t?signed=1&page=2",
        "x://a b:c@d",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize("url", URLS)
def test_places_stay(url: str) -> None:
    assert len(hidden(url)) == len(url)
    assert "hunter2" not in hidden(f"({url})")
