"""Books of a page or two, built as ``make book`` builds the large one, but in this process: torch is imported once."""

from __future__ import annotations

import gc
import os
import warnings
import weakref
from pathlib import Path
from types import SimpleNamespace

from click.testing import CliRunner
from jupyter_book.cli.main import build as jupyter_book_build
from notebooks import ROOT
from sphinx_external_toc import collectors

STRICT = ("-n", "-W", "--keep-going")


def extensions_from(folder: Path) -> str:
    """Where a book in this folder finds the book's own extensions."""
    return os.path.relpath(ROOT / "book" / "_ext", folder)


def objects() -> list[object]:
    """All that Python keeps track of, but for proxies: the tests leave some whose object is gone."""
    return [each for each in gc.get_objects() if type(each) not in (weakref.ProxyType, weakref.CallableProxyType)]


# it asks each object of the process, by isinstance, whether it is one of Sphinx's collectors
collectors.gc = SimpleNamespace(get_objects=objects)


def build(folder: Path, *options: str) -> tuple[int, str]:
    """Build the book of a folder: the status that the command ends with, and its log."""
    with warnings.catch_warnings(action="ignore"):  # Sphinx's own are in the log; the others are Python's, of libraries
        done = CliRunner().invoke(jupyter_book_build, [*options, str(folder)])
    return done.exit_code, done.output
