"""A newcomer's walk: every command and every block of Python in README and CONTRIBUTING is carried out.

They run in a fresh copy that shares this repository's `.venv`, in the order in which they stand there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from notebooks import ROOT
from project_copies import commit, copy_project

PAGES = ["README.md", "CONTRIBUTING.md"]
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:make|\.venv/bin/\S+)(?: .*)?")
# What is carried out in another way than it is written, and why.
INSTEAD = [
    (r"\bmake (?=[a-z])", "make --dry-run "),  # it takes minutes, and `make test` would run this; the rest is tested
    (r"jupyter lab .*", "jupyter lab --version"),  # it is a server, and does not end
    (
        r"(ladder\.py .*)",
        r"\1 --dry-run",
    ),  # it trains for a minute, and has tests of its own
    (r"pretrained NAME$", "pretrained --help"),  # it trains for minutes; NAME is the reader's to choose
]


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


def commands(page: str) -> list[str]:
    """The lines of the blocks of shell, then what stands in backticks and is a command."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"<!--.*?-->", "", text)
    return lines + [span for span in re.findall(r"`([^`\n]+)`", text) if COMMAND.fullmatch(span)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A copy under git, with what `make setup` installs."""
    clone = copy_project(tmp_path_factory.mktemp("home") / "clone")
    commit(clone, "now")
    (clone / ".venv").symlink_to(Path(sys.prefix))
    return clone


def carry_out(command: str, folder: Path) -> subprocess.CompletedProcess:
    for written, done in INSTEAD:
        command = re.sub(written, done, command)
    environment = os.environ | {"HOME": str(folder.parent)}
    return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("page", "command"), [(page, command) for page in PAGES for command in commands(page)])
def test_a_command_can_be_carried_out(page, command, clone):
    done = carry_out(command, clone)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_kind_that_is_carried_out(page):
    fences = re.findall(r"^```(.*)$", (ROOT / page).read_text(encoding="utf-8"), re.M)
    assert set(fences) <= {"sh", "python", ""}
    assert fences[1::2] == [""] * (len(fences) // 2)
    assert "" not in fences[::2]
    assert all(COMMAND.fullmatch(line) for block in blocks(page, "sh") for line in block.splitlines())


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "python")])
def test_a_block_of_python_runs_and_prints(block, tmp_path):
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not done.stderr


def test_the_walk_stumbles(clone):
    """Over a target, a program or an option that is not there."""
    for command in ("make nosuchtarget", ".venv/bin/nosuchprogram", ".venv/bin/pre-commit nosuchcommand"):
        assert carry_out(command, clone).returncode != 0


def test_there_is_no_more_to_carry_out_than_was_found():
    assert "make book" in commands("README.md")
    assert "make serve" in commands("README.md")
    assert ".venv/bin/pre-commit install" in commands("CONTRIBUTING.md")
    assert len(blocks("README.md", "python")) == 1
