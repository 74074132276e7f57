"""What was found out about files: as lines to read, as JSON, in numbers, and as an exit status."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion_notes.equations.sources import Equation
from diffusion_notes.equations.verdicts.judge import Verdict

__all__ = ["Checked", "as_json", "lines", "status", "summary"]

KINDS = {
    "proved": ("proved", "proved"), "holds": ("holds", "hold"), "definition": ("definition", "definitions"),
    "fails": ("fails", "fail"), "not understood": ("not understood", "not understood"),
}  # fmt: skip
"""The kinds of verdicts, as they are said of one relation and of several."""
VERSION = 1
"""Of the format of the JSON; it changes where a key changes its meaning or goes away."""


@dataclass(frozen=True)
class Checked:
    """A file, and what was found out about it.

    Args:
        path: The file, as it was named.
        equations: Its displays with their verdicts.
        unreadable: Why it cannot be read; or nothing.
    """

    path: Path
    equations: tuple[Equation, ...] = ()
    unreadable: str = ""

    @property
    def counts(self) -> Counter[str]:
        """How many displays and relations it has, and how many relations of each kind."""
        verdicts = [verdict for equation in self.equations for verdict in equation.verdicts]
        counts = Counter(verdict.kind for verdict in verdicts)
        return counts + Counter({"displays": len(self.equations), "relations": len(verdicts)})


def status(files: Sequence[Checked]) -> int:
    """The exit status: 1 if a relation fails; else 2 if one was not understood, or a file not read; else 0."""
    kinds = sum((checked.counts for checked in files), Counter[str]())
    if kinds["fails"]:
        return 1
    return 2 if kinds["not understood"] or any(checked.unreadable for checked in files) else 0


# To read


def lines(checked: Checked, quiet: bool = False) -> list[str]:
    """A line for each relation of a file, and one for its numbers.

    Args:
        checked: The file.
        quiet: Whether only what may not stand is said.
    """
    if checked.unreadable:
        return [f"{checked.path}: cannot be read: {checked.unreadable}"]
    said = [_line(checked.path, e, v) for e in checked.equations for v in e.verdicts if not (quiet and v.good)]
    return said if quiet else [*said, f"{checked.path}: {_numbers(checked.counts)}"]


def summary(files: Sequence[Checked]) -> str:
    """The numbers of all files together."""
    unread = sum(bool(checked.unreadable) for checked in files)
    numbers = _numbers(sum((checked.counts for checked in files), Counter[str]()))
    many = f"{len(files)} files: " if len(files) > 1 else ""
    return many + numbers + (f"; {_many(unread, 'file')} not read" if unread else "")


def _numbers(counts: Counter[str]) -> str:
    if not counts["displays"]:
        return "no displayed equations"
    kinds = ", ".join(f"{counts[kind]} {words[counts[kind] > 1]}" for kind, words in KINDS.items() if counts[kind])
    return f"{_many(counts['displays'], 'display')}, {_many(counts['relations'], 'relation')}: {kinds}"


def _many(count: int, word: str) -> str:
    return f"{count} {word}" + "s" * (count != 1)


def _line(path: Path, equation: Equation, verdict: Verdict) -> str:
    tag = f" ({verdict.tag})" if verdict.tag else ""
    pointer = f" (here: {_pointed_at(equation, verdict)})" if verdict.place else ""
    return f"{_where(path, equation, verdict)}{tag}: {verdict.told}{pointer}\n    {verdict.latex}"


def _where(path: Path, equation: Equation, verdict: Verdict) -> str:
    """Where a relation stands, as editors and terminals have it; a cell of a notebook has its own lines."""
    cell = f"cell {equation.cell}:" if equation.cell else ""
    return f"{equation.file or path}:{cell}{_line_number(equation, verdict)}"


def _line_number(equation: Equation, verdict: Verdict) -> int:
    """The line of what is pointed at, or of the relation; of the display, if the relation is not found in it."""
    if verdict.place:
        begin = verdict.place[0]
    else:
        found = re.search(r"[\s&]*".join(map(re.escape, verdict.latex.split())), equation.latex)
        begin = found.start() if found else 0
    return equation.line + equation.latex.count("\n", 0, begin)


def _pointed_at(equation: Equation, verdict: Verdict) -> str:
    return " ".join(equation.latex[slice(*verdict.place or (0, 0))].split())


# For programs


def as_json(files: Sequence[Checked]) -> dict[str, Any]:
    """What was found out about files, for other programs.

    Args:
        files: The files.
    """
    return {
        "version": VERSION,
        "status": status(files),
        "counts": _all_counts(sum((checked.counts for checked in files), Counter[str]())),
        "files": [
            {
                "path": str(checked.path),
                "unreadable": checked.unreadable or None,
                "counts": _all_counts(checked.counts),
                "displays": [_display(checked, equation) for equation in checked.equations],
            }
            for checked in files
        ],
    }


def _all_counts(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in ("displays", "relations", *KINDS)}


def _display(checked: Checked, equation: Equation) -> dict[str, Any]:
    return {
        "path": str(equation.file or checked.path),
        "cell": equation.cell,
        "line": equation.line,
        "latex": equation.latex,
        "relations": [_relation(equation, verdict) for verdict in equation.verdicts],
    }


def _relation(equation: Equation, verdict: Verdict) -> dict[str, Any]:
    begin, end = verdict.place or (None, None)
    return {
        "verdict": verdict.kind,
        "latex": verdict.latex,
        "tag": verdict.tag or None,
        "detail": verdict.detail,
        "reading": verdict.reading or None,
        "hint": verdict.hint or None,
        "line": _line_number(equation, verdict),
        "begin": begin,
        "end": end,
    }
