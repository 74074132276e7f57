"""Check the displayed equations of Markdown files, notebooks and LaTeX sources.

Prints a line for each relation and the numbers of each file. The exit status is 1 as soon as a relation fails; 2 if
none fails, but one was not understood or a file could not be read; and 0 if all hold.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from diffusion_notes.equations.pages import judge_page
from diffusion_notes.equations.tally import Checked, as_json, lines, status, summary

__all__ = ["main"]

PATIENCE = 4.0
"""So many seconds it looks, for each file, for what would make its wrong lines true."""


def main(arguments: list[str] | None = None) -> int:
    """Check the files that are named; returns the exit status."""
    parser = argparse.ArgumentParser(prog="check-derivation", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="Markdown, a notebook, or a LaTeX source")
    parser.add_argument("-q", "--quiet", action="store_true", help="show only what does not hold, and the numbers")
    parser.add_argument("--allow-unread", action="store_true", help="exit with 0 where a line was not understood")
    parser.add_argument("--json", action="store_true", help="print JSON, for other programs")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that has no Greek is no reason to stop
    files = []
    with suppress(BrokenPipeError):  # nor is a reader who has seen enough
        for path in options.files:
            files.append(_checked(path))
            if not options.json:
                _say(lines(files[-1], options.quiet))
        if options.json:
            _say([json.dumps(as_json(files), indent=2)])
        elif options.quiet or len(files) > 1:
            _say([summary(files)])
        return _status(files, options.allow_unread)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _status(files, options.allow_unread)


def _status(files: list[Checked], allow_unread: bool) -> int:
    found = status(files)
    unreadable = any(checked.unreadable for checked in files)  # a path may be misspelt
    return 0 if found == 2 and allow_unread and not unreadable else found


def _say(lines: list[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def _checked(path: Path) -> Checked:
    """A file with its verdicts; whatever is wrong with it is said in a sentence."""
    try:
        return Checked(path, tuple(judge_page(path, patience=PATIENCE)))
    except OSError as error:
        return Checked(path, unreadable=error.strerror or str(error))
    except ValueError as why:
        return Checked(path, unreadable=str(why))
    except Exception as error:  # no file may end the others' check
        return Checked(path, unreadable=f"the reader broke: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
