"""A displayed equation as it stands in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diffusion_notes.equations.language.macros import Macro
from diffusion_notes.equations.verdicts.judge import Verdict

__all__ = ["Equation", "Piece", "Unreadable"]


class Unreadable(ValueError):  # noqa: N818 it says what a file is
    """A file that is no Markdown, no notebook and no LaTeX, or none that can be read; and why."""


@dataclass(frozen=True)
class Piece:
    """A stretch of mathematics in a text.

    Args:
        kind: `display`, or `formula` if it stands in the run of a sentence.
        latex: The mathematics; an environment with its begin and its end.
        line: The line of the text on which it begins; the first is 1.
        anchor: The id before it, for a link; or nothing.
        trouble: Why it cannot be told what is displayed here; or nothing.
    """

    kind: str
    latex: str
    line: int
    anchor: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Equation:
    """A displayed equation of a file.

    Args:
        latex: What stands between the dollars, as it was typed.
        anchor: The id before it, for a link; or nothing.
        verdicts: What was found out about its relations; nothing, before it is judged.
        line: The line of the file on which it begins, or of the cell; the first is 1.
        cell: The number of its cell in a notebook, of all cells, from 1; nothing elsewhere.
        file: The file in which it stands: the one that was asked for, or one that it brings in.
        trouble: Why it cannot be told what is displayed here; or nothing.
        macros: The author's own commands that hold here.
    """

    latex: str
    anchor: str = ""
    verdicts: tuple[Verdict, ...] = ()
    line: int = 1
    cell: int | None = None
    file: Path | None = None
    trouble: str = ""
    macros: Mapping[str, Macro] = field(default_factory=dict, repr=False)
