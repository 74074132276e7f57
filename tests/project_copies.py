"""Copies of the project as it stands here, with what is not committed yet and without what was built."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from notebooks import ROOT

BUILT = (".venv*", ".git", "_build*", "node_modules", "build", "*.egg-info", ".hypothesis", "*_cache", "__pycache__")


def copy_project(to: Path) -> Path:
    """A copy in a new folder."""
    return shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*BUILT))


def git(*arguments: str | Path, folder: Path) -> None:
    """Run git there, as somebody whom no configuration names."""
    identity = ["-c", "user.name=a test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, tag: str) -> None:
    """Put a folder under git, with a tag."""
    for command in (["init"], ["add", "--all"], ["commit", "--message=Release"], ["tag", tag]):
        git(*command, folder=folder)
