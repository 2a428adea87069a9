"""SQLAlchemy's suite for dialects, run as its authors mean it to be: `sqlalchemy_suite/requirements.py` says what is closed or left out, and why."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .sqlalchemy_suite.requirements import CLOSED, LEFT_OUT

HERE = Path(__file__).parent
SETTINGS = """[tool:pytest]
addopts =
python_files = suite.py

[sqla_testing]
requirement_cls = frontends.sqlalchemy_suite.requirements:Requirements
profile_file = {folder}/profiles.txt

[db]
default = lakesql:///{folder}/lake
"""


@pytest.mark.skipif(sys.platform == "win32", reason="paths in the URL are POSIX paths")
def test_the_suite_passes(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "lakesql.toml").write_text('[catalogs.lake]\npath = "."\n[session]\ncatalog = "lake"\n')
    (tmp_path / "setup.cfg").write_text(SETTINGS.format(folder=tmp_path))
    plugin = ("--noconftest", "-p", "frontends.sqlalchemy_suite.plugin", "-p", "no:cacheprovider")
    argv = (sys.executable, "-m", "pytest", "-c", "setup.cfg", "--rootdir", str(tmp_path), *plugin, "-q", "--tb=short", "--maxfail=50")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment["PYTHONPATH"] = os.pathsep.join((str(HERE.parents[1]), str(HERE.parent), environment.get("PYTHONPATH", "")))
    ran = subprocess.run([*argv, str(HERE / "sqlalchemy_suite" / "suite.py")], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    last = ran.stdout.strip().splitlines()[-1] if ran.stdout.strip() else ran.stderr
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|errors|skipped|deselected)\b", last)}
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
    assert not counts.keys() & {"failed", "error", "errors"}, last
    assert counts["passed"] >= 300, last
    assert "cache" not in ran.stderr


def test_everything_that_is_left_out_has_a_reason() -> None:
    assert all(len(reason) > 15 and names for reason, names in (*CLOSED.items(), *LEFT_OUT.items()))
