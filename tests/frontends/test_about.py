"""What the command line says of itself, and of the configuration."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lakesql.frontends.options import SHELLS, option_table

from .conftest import run_main

SECRET = "s3cr3t-value"
CONFIG = f"""
[engine]
timeout = 60

[catalogs.lake]
path = "s3://bucket/x"

[storage."s3://bucket"]
region = "eu-central-1"
secret_access_key = "{SECRET}"

[catalogs.prod]
type = "rest"
uri = "https://someone:{SECRET}@catalog.example"
credential = "id:{SECRET}"
properties = {{ "odd.key" = "{SECRET}" }}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "c.toml").write_text(CONFIG)
    return str(tmp_path / "c.toml")


def test_every_flag_is_everywhere() -> None:
    flags = [flag for option in option_table() for flag in option.flags]
    assert len(flags) > 20
    spec = json.loads(run_main(["--spec"]).out)
    assert [flag for option in spec["options"] for flag in option["flags"]] == flags
    manual = run_main(["--man"]).out.decode().replace("\\-", "-")
    scripts = {shell: run_main(["--completions", shell]).out.decode() for shell in SHELLS}
    for flag in flags:
        assert f"\\fB{flag}" in manual
        assert f" {flag} " in scripts["bash"].replace('"', " ")
        assert f"'*{flag}[" in scripts["zsh"]
        assert (f" -l {flag[2:]} " if flag.startswith("--") else f" -s {flag[1:]} ") in scripts["fish"]
    assert run_main(["--completions", "tcsh"]).code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_takes_its_completions() -> None:
    script = run_main(["--completions", "bash"]).out.decode()
    asked = f"{script}\nCOMP_WORDS=(lakesql --format js); COMP_CWORD=2; _lakesql; echo ${{COMPREPLY[@]}}"
    ran = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["json", "jsonl"]


def test_versions() -> None:
    assert run_main(["--version"]).out.startswith(b"lakesql ")
    told = json.loads(run_main(["--version", "--verbose", "--json"]).out)
    assert told["datafusion"].startswith("55.")
    assert {"pyarrow", "python", "formats", "extras"} <= set(told)
    assert b"pyarrow: " in run_main(["--version", "--verbose"]).out
    assert set(json.loads(run_main(["--version", "--json"]).out)) == {"lakesql"}
    assert run_main(["--verbose", "-c", "SELECT 1"]).code == 2


def test_config_show_names_the_place_of_each_value(config: str) -> None:
    ran = run_main(["config", "show", "--config", config])
    lines = ran.out.decode().splitlines()
    assert f"engine.timeout = 60  # {config}:3" in lines
    assert 'engine.name = "datafusion"  # default' in lines
    assert any(line.startswith('catalogs.prod.uri = "https://***@catalog.example"') for line in lines)


@pytest.mark.parametrize("words", [["config", "show"], ["config", "validate"], ["doctor"], ["doctor", "--json"]])
def test_no_secret_is_shown(config: str, words: list[str]) -> None:
    ran = run_main([*words, "--config", config])
    assert ran.code == 0, ran.err
    assert ran.out
    assert SECRET not in ran.out.decode() + ran.err


def test_a_misspelled_key(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[engine]\n\ntimeot = 60\n")
    for words in (["config", "validate"], ["config", "show"], ["-c", "SELECT 1"]):
        ran = run_main([*words, "--config", str(file)])
        assert (ran.code, ran.out) == (2, b"")
        assert f"{file}, line 3" in ran.err
        assert 'did you mean "timeout"?' in ran.err
    told = json.loads(run_main(["doctor", "--json", "--config", str(file)]).out)
    assert "line 3" in told["configuration"]["error"]


def test_a_table_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "doctor").mkdir()
    assert b"versions" not in run_main(["doctor", "-c", "SELECT 1"]).out


def test_xdg_and_a_home_nobody_may_write(tmp_path: Path) -> None:
    (tmp_path / "xdg" / "lakesql").mkdir(parents=True)
    (tmp_path / "xdg" / "lakesql" / "config.toml").write_text("[engine]\ntimeout = 7\n")
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    environment = {k: v for k, v in os.environ.items() if k != "LAKESQL_CONFIG"} | {"HOME": str(home), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}

    def lakesql(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "lakesql", *argv], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path, timeout=60)

    assert f"engine.timeout = 7  # {tmp_path}/xdg/lakesql/config.toml:2" in lakesql("config", "show").stdout
    ran = lakesql("-c", "SELECT 42", "--format", "csv")
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "42"), ran.stderr
    assert list(home.iterdir()) == []


NO_SOCKETS = """
import os, re, socket, sys
WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind")
opened = []
sys.addaudithook(lambda event, args: opened.append((event, args)) if event in WATCHED else None)
import lakesql
with lakesql.connect({lake!r}) as connection:
    connection.execute("SELECT count(*) FROM impressions").fetchall()
    connection.execute("SELECT max(watch_ms) FROM impressions VERSION AS OF 3").fetchall()
    links = [os.readlink(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{{fd}}")]
    ours = {{found[1] for link in links if (found := re.fullmatch(r"socket:.(\\d+).", link))}}
    for table in ("tcp", "tcp6", "udp", "udp6"):  # what the engine, which Python does not see, would hold
        if os.path.exists(f"/proc/self/net/{{table}}"):
            assert not ours & {{line.split()[9] for line in list(open(f"/proc/self/net/{{table}}"))[1:]}}
from lakesql.frontends.cli import main
assert main(["doctor"]) == 0
assert opened == [], opened
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system has no /proc")
def test_local_queries_open_no_socket() -> None:
    lake = str(Path(__file__).parents[2] / "catalog")
    code = NO_SOCKETS.format(lake=lake)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("code", ["main(['--version'])", "main(['--spec'])", "main(['--man'])", "main(['--completions', 'zsh'])"])
def test_questions_about_itself_load_no_engine(code: str) -> None:
    script = (
        f"import sys\nfrom lakesql.frontends.cli import main\n{code}\nassert not set(sys.modules) & {{'datafusion', 'pyarrow', 'prompt_toolkit', 'pandas'}}"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
