"""`python -m diffusion_notes.equations FILE…` checks the displayed equations of Markdown files and notebooks.

Prints one line a relation. The exit status is 0 if all hold, 1 if one fails, 2 if one was not understood.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from diffusion_notes.equations.pages import judge_page
from diffusion_notes.equations.verdicts.judge import Verdict

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Check the files that are named; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m diffusion_notes.equations", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a Markdown file or a notebook")
    parser.add_argument("-q", "--quiet", action="store_true", help="show only what does not hold")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    for path in options.files:
        try:
            equations = judge_page(path)
        except (OSError, ValueError, KeyError) as error:
            print(f"{path}: cannot be read: {error}")
            counts["not understood"] += 1
            continue
        for equation in equations:
            for verdict in equation.verdicts:
                counts[verdict.kind] += 1
                if verdict.good and options.quiet:
                    continue
                tag = f" ({verdict.tag})" if verdict.tag else ""
                why = verdict.detail + pointer(equation.latex, verdict)
                print(f"{path.name}{tag}: {verdict.kind}: {verdict.latex}  [{why}]")
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()) or "no displayed equations")
    return 2 if counts["not understood"] else 1 if counts["fails"] else 0


def pointer(latex: str, verdict: Verdict) -> str:
    """The characters that were not understood."""
    if verdict.place is None:
        return ""
    return f": here: {' '.join(latex[slice(*verdict.place)].split())}"


if __name__ == "__main__":
    sys.exit(main())
