"""The ledger: every displayed equation of the book, what was found out about it, and how."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from diffusion_notes.equations.pages import Equation, judge_page

__all__ = ["entry_anchor", "ledger"]

TAG = re.compile(r"\s*\\tag\{[^}]*\}")


def _shown(latex: str) -> str:
    """The display once more, without its number, which belongs to its chapter."""
    return f"$$\n{TAG.sub('', latex).strip()}\n$$"


def entry_anchor(path: Path, anchor: str) -> str:
    """The anchor of an equation's entry in the ledger.

    Args:
        path: The file of its chapter.
        anchor: Its own anchor there.
    """
    return f"checked-{path.stem}-{anchor}"


def _title(path: Path, equation: Equation) -> str:
    tag = next((verdict.tag for verdict in equation.verdicts if verdict.tag), "")
    if not equation.anchor:
        return "No number"
    here = f'<a id="{entry_anchor(path, equation.anchor)}"></a>'
    return f"{here}[Equation ({tag})]({path.name}#{equation.anchor})"


def ledger(
    pages: Sequence[tuple[str, Path]], judge: Callable[[Path], list[Equation]] | None = None
) -> tuple[str, list[str]]:
    """The ledger as Markdown, and what does not hold.

    Args:
        pages: The title and the file of each chapter. One without displays is left out.
        judge: What judges a page, if not `judge_page`: one that remembers, for instance.

    Returns:
        The text, and a line for each relation that may not stand in the book.
    """
    counts: Counter[str] = Counter()
    bad: list[str] = []
    parts: list[str] = []
    for title, path in pages:
        equations = judge(path) if judge else judge_page(path, ())
        if equations:
            parts.append(f"**{title}**")
        for equation in equations:
            kinds = Counter(verdict.kind for verdict in equation.verdicts)
            counts += kinds
            bad += [f"{path.name}: {v.kind}: {v.latex}: {v.detail}" for v in equation.verdicts if not v.good]
            how = "; ".join(dict.fromkeys(verdict.detail for verdict in equation.verdicts))
            said = ", ".join(f"{kind} ({count} relations)" if count > 1 else kind for kind, count in kinds.items())
            said = f"*{said}*{how.removeprefix(said)}" if how.startswith(said) else f"*{said}*: {how}"
            parts.append(f"{_title(path, equation)}. {said}.\n\n{_shown(equation.latex)}")
    total = sum(counts.values())
    summary = ", ".join(f"{counts[kind]} {name}" for kind, name in NAMES.items() if counts[kind])
    return f"{total} relations in all: {summary}.\n\n" + "\n\n".join(parts) + "\n", bad


NAMES = {
    "proved": "proved symbolically",
    "holds": "found to hold in every world that can compute them",
    "definition": "definitions",
    "fails": "that fail",
    "not understood": "that were not understood",
}
