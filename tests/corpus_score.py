"""How much of other people's displays the checker understands, and how often it is right about them.

The pages of `tests/corpus/` are written in the manner of other authors. Before each display stands a remark that says
what is known about it, found by derivation and not by the checker:

    known: true
    known: true, 3 relations
    known: true under a convention: what the convention is
    known: false: what is wrong with it
    known: false, relation 2 of 3: what is wrong with it

`python tests/corpus_score.py` judges all of them and writes the score; with `--all` it prints what is amiss.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from diffusion_notes.equations.pages import Equation, judge_page
from diffusion_notes.equations.verdicts.judge import Verdict

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
SCORE = CORPUS / "score.json"
PAGE = HERE.parent / "book" / "check_your_own.md"
BEGIN = "<!-- `make corpus` writes from here -->"
END = "<!-- `make corpus` writes to here -->"
PAGES = sorted(path for path in CORPUS.iterdir() if path.suffix in (".md", ".ipynb", ".tex"))

REMARK = re.compile(
    r"known: (?P<truth>true|false)(?P<convention> under a convention)?"
    r"(?:, (?:relation (?P<wrong>\d+) of (?P<of>\d+)|(?P<relations>\d+) relations))?(?:: (?P<why>.+?))?(?: -->)?$",
    re.M,
)


@dataclass(frozen=True)
class Known:
    """What is known about a display.

    Args:
        true: Whether all of it holds.
        under_convention: Whether it holds under a convention that is in use.
        relations: How many relations there are in it.
        wrong: Which of them is wrong, counted from 1; or None, if only one could be, or none is.
        why: What is wrong with it, or what the convention is.
        place: Where the remark ends in the text of the page.
    """

    true: bool
    under_convention: bool
    relations: int
    wrong: int | None
    why: str
    place: int


@dataclass(frozen=True)
class Outcome:
    """What the checker made of a relation.

    Args:
        kind: `right`, `caught`, `not understood`, `called false` (and it is true) or `accepted` (and it is false).
        known: What is known about its display.
        latex: The relation.
        detail: What the checker says.
    """

    kind: str
    known: Known
    latex: str
    detail: str


def text_of(path: Path) -> str:
    """What an author typed: of a notebook, its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def known_displays(path: Path) -> list[Known]:
    """What is known about the displays of a page, in their order."""
    return [
        Known(
            true=remark["truth"] == "true",
            under_convention=bool(remark["convention"]),
            relations=int(remark["relations"] or remark["of"] or 1),
            wrong=int(remark["wrong"]) if remark["wrong"] else None,
            why=remark["why"] or "",
            place=remark.end(),
        )
        for remark in REMARK.finditer(text_of(path))
    ]


@cache
def judged(path: Path) -> tuple[tuple[Known, Equation], ...]:
    """The displays of a page, each with what is known about it and with its verdicts."""
    return tuple(zip(known_displays(path), judge_page(path), strict=True))


def outcomes(known: Known, verdicts: tuple[Verdict, ...]) -> list[Outcome]:
    """What the checker made of each relation of a display; those that it did not even tell apart are not understood."""
    silent = [Outcome("not understood", known, "", "not told apart")] * (known.relations - len(verdicts))
    if known.true:
        return [_of_a_true_one(known, verdict) for verdict in verdicts] + silent
    return _of_a_false_display(known, verdicts) + silent


def _of_a_true_one(known: Known, verdict: Verdict) -> Outcome:
    kind = "right" if verdict.good else "called false" if verdict.kind == "fails" else verdict.kind
    return Outcome(kind, known, verdict.latex, verdict.detail)


def _of_a_false_display(known: Known, verdicts: tuple[Verdict, ...]) -> list[Outcome]:
    """A further verdict, on the ends of a chain, may catch what is wrong in the middle."""
    if len(verdicts) < known.relations:
        wrong, others = verdicts, ()
    else:
        at = (known.wrong or 1) - 1
        beyond = verdicts[known.relations :]
        wrong = (verdicts[at], *beyond)
        others = tuple(v for i, v in enumerate(verdicts[: known.relations]) if i != at)
    kinds = {verdict.kind for verdict in wrong}
    kind = "caught" if "fails" in kinds else "not understood" if "not understood" in kinds else "accepted"
    told = [Outcome(kind, known, wrong[0].latex, "; ".join(verdict.detail for verdict in wrong))]
    return told + [_of_a_true_one(known, verdict) for verdict in others]


def tally(pages: list[Path]) -> dict[str, int | float]:
    """The score over some pages."""
    displays = [(known, equation) for path in pages for known, equation in judged(path)]
    found = [outcome for known, equation in displays for outcome in outcomes(known, equation.verdicts)]
    kinds = Counter(outcome.kind for outcome in found)
    understood = sum(kinds.values()) - kinds["not understood"]
    return {
        "displays": len(displays),
        "false": sum(not known.true for known, _ in displays),
        "relations": len(found),
        "understood": understood,
        "percent": round(100 * understood / max(len(found), 1), 1),
        "right": kinds["right"] + kinds["caught"],
        "called_false": kinds["called false"],
        "accepted": kinds["accepted"],
    }


def line(score: dict[str, int | float]) -> str:
    """The score in a line, as the file keeps it."""
    return json.dumps(score) + "\n"


def said(score: dict[str, int | float]) -> str:
    """The score as the book's page for readers says it."""
    accepted = score["accepted"] or "none"
    called_false = score["called_false"] or "none"
    return (
        f"Of the {score['relations']} relations it understands {score['percent']} % as they are printed.\n"
        f"It accepts {accepted} of the {score['false']} errors, and calls {called_false} of the true relations false."
    )


def write(score: dict[str, int | float]) -> None:
    """Keep the score, and say it on the page for readers."""
    SCORE.write_text(line(score), encoding="utf-8")
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    PAGE.write_text(f"{before}{begin}\n{said(score)}\n{end}{after}", encoding="utf-8")


def print_what_is_amiss(path: Path) -> None:
    """The relations of a page that are not judged as they should be, each with what the checker says."""
    for known, equation in judged(path):
        for outcome in outcomes(known, equation.verdicts):
            if outcome.latex and outcome.kind not in ("right", "caught"):
                print(f"  {outcome.kind}: {outcome.latex}\n    [{outcome.detail}] {known.why}")


def main(arguments: list[str] | None = None) -> int:
    """Judge the corpus, write its score, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, help="only these, and write nothing")
    parser.add_argument("--all", action="store_true", help="print what is not as it should be")
    options = parser.parse_args(arguments)
    pages = [path.resolve() for path in options.pages] or PAGES
    for path in pages:
        print(f"{path.name}: {line(tally([path]))}", end="")
        if options.all:
            print_what_is_amiss(path)
    score = tally(pages)
    print(line(score), end="")
    if not options.pages:
        write(score)
    return 1 if score["accepted"] else 0


if __name__ == "__main__":
    sys.exit(main())
