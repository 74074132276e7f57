"""Any machine: what is tested here assumes nothing about where it is and whose it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from notebooks import ROOT
from packaging.specifiers import SpecifierSet
from project_copies import copy_project
from test_project import PYPROJECT

# no locale, no home, no time zone that others have, and nothing that others may read
ODD = {"LC_ALL": "C", "LANG": "C", "HOME": "/nonexistent", "TZ": "Asia/Kathmandu", "OMP_NUM_THREADS": "1"}
# what reads and writes files and prints; the checker, which exercises ask for a line, has a test of its own below
MODULES = [
    "tests/test_fitting_checkpoints.py",
    "tests/test_explorables.py",
    "tests/test_notebook_exercises.py",
    "tests/test_notebook_plotting.py",
]
WITHOUT_CHECKER = ["-k", "not line and not form"]


def odd(*command: str | Path, folder: Path = ROOT, **also: str) -> subprocess.CompletedProcess:
    environment = {"PATH": os.environ["PATH"], **ODD, **also}
    command = [sys.executable, "-X", "warn_default_encoding", "-W", "error::EncodingWarning:diffusion_notes", *command]
    return subprocess.run(
        command, cwd=folder, env=environment, umask=0o077, capture_output=True, text=True, check=False, encoding="utf-8"
    )


def test_it_needs_no_locale_no_home_and_no_open_umask(tmp_path):
    own = ["-p", "no:cacheprovider", "--basetemp", tmp_path / "of its own"]
    done = odd("-m", "pytest", "-q", *own, *WITHOUT_CHECKER, *MODULES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("utf8", ["0", "1"])
def test_the_equations_are_read_and_told_in_any_locale(utf8):
    """Without UTF-8 mode, a machine with LC_ALL=C may write ASCII only."""
    done = odd("-m", "diffusion_notes.equations", "book/swiss_roll.ipynb", PYTHONUTF8=utf8, PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def strange():
    """A copy of the repository in a folder with spaces and letters that are not ASCII, open to everyone."""
    above = Path(tempfile.mkdtemp(prefix="the book, läuft "))
    above.chmod(0o755)
    copy = copy_project(above / "Ein Buch über Diffusion")
    yield copy
    shutil.rmtree(above)


def test_a_folder_with_spaces_and_other_letters(strange):
    code = (
        "import diffusion_notes, diffusion_notes.pretrained as p; p.swiss_roll_ddpm(); print(diffusion_notes.__file__)"
    )
    done = odd("-c", code, folder=strange)
    assert done.stdout.strip() == str(strange / "diffusion_notes" / "__init__.py"), done.stderr
    done = subprocess.run(["make", "-n", "book"], cwd=strange, capture_output=True, text=True, check=True)
    assert "No rule" not in done.stderr
    assert "jupyter-book build" in done.stdout


@pytest.mark.parametrize("target", ["book", "test", "setup", "lint"])
def test_a_copy_that_may_not_be_written_to_says_so(strange, target):
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}  # root may write anywhere
    for path in [strange, *strange.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = subprocess.run(["make", target], cwd=strange, capture_output=True, text=True, check=False, **user)
    for path in [strange, *strange.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert done.returncode != 0
    first = done.stderr.splitlines()[0]
    assert first == f"You may not write to {strange}, where the book is built: work in a copy that is yours."


def test_workflows_test_every_python_that_is_promised():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    tested = jobs["test"]["strategy"]["matrix"]["python"]
    assert tested == ["3.11", "3.12", "3.13"]
    assert all(version in SpecifierSet(PYPROJECT["project"]["requires-python"]) for version in tested)
    assert f"Python {tested[0]} to {tested[-1]}" in (ROOT / "requirements.txt").read_text()
    nightly = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text())["jobs"]
    assert nightly["colab"]["steps"][-1]["run"] == "make test-colab"
